import pytest
import torch

from tsfal_geo.models.layers import ByteDropout


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("p", "rounded"), [(0.5, 0.5), (0.2, 51 / 256)])
def test_share_scale_and_gradient(layout, p, rounded):
    torch.manual_seed(0)
    x = torch.ones(2, 64, 64, 65).contiguous(memory_format=layout).requires_grad_()
    out = ByteDropout(p)(x)
    dropped = out == 0
    assert dropped.float().mean().item() == pytest.approx(rounded, abs=0.005)
    assert torch.allclose(out[~dropped], torch.tensor(1 / (1 - rounded)))
    # Neighbours share a draw but not its bits: they must be dropped independently, in every position of it.
    flat = dropped.permute(0, 2, 3, 1).flatten() if layout is torch.channels_last else dropped.flatten()
    eighths = flat[: len(flat) // 8 * 8].view(-1, 8).float()
    assert torch.allclose(eighths.mean(0), torch.tensor(rounded), atol=0.01)
    assert (eighths.T.corrcoef() - torch.eye(8)).abs().max() < 0.02
    out.sum().backward()
    assert torch.equal(x.grad, out)


def test_seeded_and_off_in_eval_mode():
    dropout, x = ByteDropout(0.5), torch.randn(2, 3, 5, 7)
    torch.manual_seed(1)
    first = dropout(x)
    torch.manual_seed(1)
    assert torch.equal(dropout(x), first)
    assert torch.equal(dropout.eval()(x), x)
    assert dropout.train()(x[:, :, ::2]).shape == (2, 3, 3, 7)
