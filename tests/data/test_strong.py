import pytest
import torch

from tsfal_geo.data import strong
from tsfal_geo.data.strong import StrongAugment


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    valid = torch.ones(6, 24, 24, dtype=torch.bool)
    valid[:, :, 20:] = False
    return torch.randn(6, 5, 24, 24, generator=generator) * valid[:, None], valid


def test_one_seed_an_image_and_heights_left_alone(images):
    pixels, valid = images
    augment, seeds = StrongAugment(bands=4), torch.arange(6)
    views = augment(pixels, valid, generator=seeds)
    alone = augment(pixels[3:4], valid[3:4], generator=seeds[3:4])
    assert torch.equal(views[3:4], alone) and views.shape == pixels.shape
    assert torch.equal(views[:, 4:], pixels[:, 4:])
    assert (views[:, :4][(~valid)[:, None].expand(-1, 4, -1, -1)] == 0).all()


def only(monkeypatch, **chances):
    for name in ("JITTER", "GREY", "BLUR"):
        monkeypatch.setattr(strong, name, chances.get(name, 0.0))


def test_grey_is_the_mean_of_the_bands(images, monkeypatch):
    only(monkeypatch, GREY=1.0)
    pixels, valid = images
    views = StrongAugment(bands=4)(pixels, valid, generator=torch.arange(6))
    assert torch.allclose(views[:, :4], pixels[:, :4].mean(1, keepdim=True).expand(-1, 4, -1, -1))


def test_blur_is_a_gaussian_of_two_pixels_at_most(images, monkeypatch):
    from scipy.ndimage import gaussian_filter

    only(monkeypatch, BLUR=1.0)
    pixels, valid = images
    view = StrongAugment(bands=4)(pixels[:1], torch.ones_like(valid[:1]), generator=torch.tensor([3]))
    draws = torch.rand(4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    sigma = 0.1 + 1.9 * draws[3].item()
    expected = gaussian_filter(pixels[0, 0].double().numpy(), sigma, mode="mirror", truncate=3)
    inner = (slice(7, -7), slice(7, -7))
    assert torch.allclose(view[0, 0][inner].double(), torch.from_numpy(expected)[inner], atol=0.01)
    assert view[0, 0].std() < 0.8 * pixels[0, 0].std()


def test_each_part_comes_as_often_as_it_should(monkeypatch):
    pixels, valid = torch.randn(1, 3, 8, 8).expand(500, -1, -1, -1), torch.ones(500, 8, 8, dtype=torch.bool)
    for name, chance in (("JITTER", 0.8), ("GREY", 0.2), ("BLUR", 0.5)):
        with monkeypatch.context() as patch:
            only(patch, **{name: getattr(strong, name)})
            views = StrongAugment(bands=3)(pixels, valid, generator=torch.arange(500))
        changed = (views != pixels).flatten(1).any(1).float().mean().item()
        assert changed == pytest.approx(chance, abs=0.06)
