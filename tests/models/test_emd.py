import math

import pytest
import torch

from tsfal_geo.models.emd import ErrorMaskDecoder, emd_loss
from tsfal_geo.models.head import upsample_to


def inputs(size=(32, 32), classes=6):
    generator = torch.Generator().manual_seed(0)
    height, width = size
    f1 = torch.randn(2, 256, -(-height // 4), -(-width // 4), generator=generator).relu()
    f2 = torch.randn(2, 256, height, width, generator=generator).relu()
    return f1, f2, torch.randn(2, classes, height, width, generator=generator).softmax(1)


def test_split_first_layer_equals_one_convolution_on_everything():
    f1, f2, probabilities = (x.double() for x in inputs((18, 21)))
    decoder = ErrorMaskDecoder(6, first_kernel=1).double().eval()
    weight = torch.cat([decoder.coarse.weight, decoder.first.weight], dim=1)
    stacked = torch.cat([upsample_to(f1, (18, 21)), f2, probabilities], dim=1)
    expected = decoder.rest(torch.nn.functional.conv2d(stacked, weight))
    assert torch.allclose(decoder(f1, f2, probabilities), expected)


def trained_norms(decoder):
    for module in decoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(module.weight, 1, 0.2)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    return decoder.eval()


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize(("dtype", "near"), [(None, 1e-4), (torch.bfloat16, 0.02)])
def test_folded_it_answers_alike(kernel, dtype, near):
    torch.manual_seed(0)
    decoder = trained_norms(ErrorMaskDecoder(6, first_kernel=kernel))
    with torch.no_grad():
        expected = decoder(*inputs())
        decoder.fold_batch_norms(dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is not None):
            found = decoder(*inputs()).float()
    torch.testing.assert_close(found, expected, atol=near, rtol=near)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in decoder.modules())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_answers_alike_whatever_the_layout_of_its_inputs(layout):
    decoder = trained_norms(ErrorMaskDecoder(6, first_kernel=1))
    f1, f2, probabilities = inputs()
    with torch.no_grad():
        expected = decoder(f1, f2, probabilities)
        found = decoder(f1, f2.to(memory_format=layout), probabilities)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kernel", [1, 3])
def test_learns_a_simple_mask_and_leaves_its_inputs_without_gradient(kernel):
    torch.set_num_threads(1)
    f1, f2, probabilities = (x.requires_grad_() for x in inputs((16, 16)))
    decoder = ErrorMaskDecoder(6, first_kernel=kernel)
    wrong = f2.detach()[:, 0] > 0.7
    valid = torch.ones_like(wrong)
    optimiser = torch.optim.AdamW(decoder.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = emd_loss(decoder(f1, f2, probabilities), wrong, valid)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert all(x.grad is None for x in (f1, f2, probabilities))


def test_loss_against_hand_computed_value():
    logit = torch.tensor([[0.5, -1.0], [2.0, 3.0]])[None, None]
    target = torch.tensor([[True, False], [False, True]])[None]
    valid = torch.tensor([[True, True], [True, False]])[None]
    softplus = lambda x: math.log1p(math.exp(x))  # noqa: E731
    wrong, correct = softplus(-0.5), (softplus(-1.0) + softplus(2.0)) / 2
    weights = [1 / math.sqrt(3), 1 / math.sqrt(2)]
    expected = (weights[0] * correct + weights[1] * wrong) / sum(weights)
    assert emd_loss(logit, target, valid).item() == pytest.approx(expected, rel=1e-6)


def test_loss_has_the_right_sign():
    target = torch.rand(1, 8, 8) > 0.5
    valid = torch.ones_like(target)
    agreeing = torch.where(target, 4.0, -4.0)[:, None]
    assert emd_loss(agreeing, target, valid) < 0.1 < emd_loss(-agreeing, target, valid)


@pytest.mark.parametrize("case", ["perfect teacher", "all wrong", "nothing valid"])
def test_absent_class_gives_a_finite_loss_and_gradient(case):
    logit = torch.randn(1, 1, 4, 4, requires_grad=True)
    target = torch.full((1, 4, 4), case == "all wrong")
    valid = torch.full((1, 4, 4), case != "nothing valid")
    loss = emd_loss(logit, target, valid)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logit.grad).all()
    assert (loss > 0) == (case != "nothing valid")


def test_cells_without_truth_do_not_count():
    logit = torch.randn(1, 1, 4, 4)
    target, valid = torch.rand(1, 4, 4) > 0.5, torch.rand(1, 4, 4) > 0.5
    changed = logit.masked_fill(~valid[:, None], 1e4)
    assert torch.equal(emd_loss(logit, target, valid), emd_loss(changed, target ^ ~valid, valid))
