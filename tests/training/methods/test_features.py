import torch

from tsfal_geo.models.encoders import EncoderFeatures
from tsfal_geo.training.methods.features import complementary, complementary_masks, dropped


def features(images):
    return EncoderFeatures(*(1 + torch.rand(images, c, s, s) for c, s in ((40, 6), (64, 3), (64, 2))))


def test_dropped_features_are_whole_channels_of_appended_images():
    given = features(5)
    got = dropped(given, slice(2, 4), 0.5)
    for before, after in zip(given, got, strict=True):
        assert torch.equal(after[:5], before) and len(after) == 7
        factor = after[5:] / before[2:4]
        assert set(factor.round(decimals=4).unique().tolist()) == {0, 2}
        assert (factor.std(dim=(2, 3)) < 1e-4).all()


def test_two_views_keep_complementary_channels_and_half_of_the_images_all():
    torch.manual_seed(0)
    given = features(3 + 2 * 4)
    got = complementary(given, 3, 0.5)
    touched = []
    for before, after in zip(given, got, strict=True):
        assert torch.equal(after[:3], before[:3])
        first, second = (after[3:] / before[3:]).mean(dim=(2, 3)).round(decimals=4).split(4)
        assert torch.equal(first + second, torch.full_like(first, 2))
        touched.append((first != 1).any(1).tolist())
        for image in first[(first != 1).any(1)]:
            assert set(image.tolist()) == {0, 2}
    assert touched[0].count(True) == 2 and touched[0] == touched[1] == touched[2]
    masks = [((a / b)[3:] > 1).any(-1).any(-1) for a, b in zip(got, given, strict=True)]
    assert torch.equal(masks[1], masks[2])  # as many channels, the same masks


def test_complementary_masks_drop_half():
    torch.manual_seed(1)
    masks = complementary_masks(10, 1000, torch.tensor([4]))
    assert (masks[[4, 14]] == 1).all()
    assert abs(masks[:4].mean().item() - 1) < 0.05
