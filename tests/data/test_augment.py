"""Pictures, masks and heights move together; an item's seed decides alone what happens to it."""

import pytest
import torch
from torch.nn import functional

from tsfal_geo.config import AugmentConfig
from tsfal_geo.data.augment import ColourJitter, WeakAugment, item_seeds, weak_views
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.raster.stats import Normalisation

SIZE = 64
SEEDS = torch.arange(100, 124)


def blocks(batch, cell=16, seed=0):
    """Label images of one-coloured cells, as float pictures (values 10 · class) and as masks."""
    cells = torch.randint(
        0, 6, (batch, SIZE // cell, SIZE // cell), generator=torch.Generator().manual_seed(seed)
    )
    mask = cells.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
    return 10.0 * mask[:, None], mask.to(torch.uint8)


def interior(mask):
    """Pixels whose 5 × 5 neighbours are there and have one value: interpolation mixes nothing there."""
    values = mask[:, None].float()
    same = functional.max_pool2d(values, 5, 1) == -functional.max_pool2d(-values, 5, 1)
    return functional.pad(same[:, 0], (2, 2, 2, 2))


def test_labels_painted_into_the_picture_stay_aligned():
    images, mask = blocks(len(SEEDS))
    image, moved = WeakAugment(AugmentConfig())(images, mask, generator=SEEDS)
    clear = interior(moved) & (moved != 255)
    assert clear.float().mean() > 0.2
    assert torch.equal(image[:, 0][clear].round() / 10, moved[clear].float())


def test_masks_of_all_kinds_move_alike_and_padding_is_ignored():
    images, mask = blocks(len(SEEDS))
    valid = torch.ones_like(mask, dtype=torch.bool)
    image, moved, again, inside = WeakAugment(AugmentConfig())(images + 1, mask, mask, valid, generator=SEEDS)
    assert torch.equal(moved, again)
    assert inside.dtype == torch.bool
    assert torch.equal(inside, moved != 255)
    assert (~inside).any()
    deep = -functional.max_pool2d(-(~inside).float()[:, None], 3, 1, 1) > 0
    assert (image[deep] == 0).all()


def test_without_scale_it_is_one_of_the_eight_symmetries_exactly():
    image = (
        torch.arange(SIZE * SIZE, dtype=torch.float32).view(1, 1, SIZE, SIZE).expand(len(SEEDS), -1, -1, -1)
    )
    mask = (image[:, 0] % 251).to(torch.uint8)
    moved, labels = WeakAugment(AugmentConfig(scale=(1, 1)))(image, mask, generator=SEEDS)
    symmetries = [
        torch.rot90(start, turns) for start in (image[0, 0], image[0, 0].flip(0)) for turns in range(4)
    ]
    found = set()
    for picture, label in zip(moved[:, 0], labels, strict=True):
        number = next(k for k, s in enumerate(symmetries) if torch.allclose(picture, s, atol=0.05))
        assert torch.equal(label, (symmetries[number] % 251).to(torch.uint8))
        found.add(number)
    assert len(found) >= 6


def test_switches_are_obeyed():
    image, mask = blocks(len(SEEDS))
    still = AugmentConfig(scale=(1, 1), flip=False, rotate90=False)
    moved, labels = WeakAugment(still)(image, mask, generator=SEEDS)
    assert torch.allclose(moved, image, atol=1e-3)
    assert torch.equal(labels, mask)


def test_pictures_with_an_up_and_a_down_are_only_mirrored():
    image, mask = blocks(len(SEEDS))
    street = AugmentConfig(scale=(1, 1), flip="horizontal", rotate90=False)
    _, labels = WeakAugment(street)(image, mask, generator=SEEDS)
    kept = [torch.equal(after, before) for after, before in zip(labels, mask, strict=True)]
    mirrored = [torch.equal(after, before.flip(1)) for after, before in zip(labels, mask, strict=True)]
    assert all(one or other for one, other in zip(kept, mirrored, strict=True))
    assert 6 <= sum(mirrored) <= 18


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.3, 2.0])
def test_downscaled_chips_are_complete_and_upscaled_ones_fill_the_result(scale):
    valid = torch.ones(len(SEEDS), SIZE, SIZE, dtype=torch.bool)
    config = AugmentConfig(scale=(scale, scale))
    _, inside = WeakAugment(config)(valid[:, None].float(), valid, generator=SEEDS)
    shares = inside.float().mean(dim=(1, 2))
    assert torch.allclose(shares, torch.full_like(shares, min(scale, 1) ** 2), atol=0.04)


def test_positions_of_the_crop_vary():
    matrices = WeakAugment(AugmentConfig(scale=(2, 2), flip=False, rotate90=False)).matrices(SEEDS, SIZE)
    assert matrices[:, :, 2].std(dim=0).min() > 10


def test_an_items_result_does_not_depend_on_its_batch():
    images, mask = blocks(4)
    augment, jitter = WeakAugment(AugmentConfig()), ColourJitter(0.8, bands=1)
    seeds = torch.tensor([5, 6, 7, 8])
    full = augment(images, mask, generator=seeds)
    part = augment(images[2:3], mask[2:3], generator=seeds[2:3])
    assert torch.equal(full[0][2:3], part[0]) and torch.equal(full[1][2:3], part[1])
    valid = torch.ones_like(mask, dtype=torch.bool)
    assert torch.equal(
        jitter(images, valid, generator=seeds)[2:3], jitter(images[2:3], valid[2:3], generator=seeds[2:3])
    )


def test_generators_give_seeds_and_leave_global_randomness_alone():
    before = torch.get_rng_state()
    images, mask = blocks(3)
    first = WeakAugment(AugmentConfig())(images, mask, generator=torch.Generator().manual_seed(4))
    second = WeakAugment(AugmentConfig())(images, mask, generator=torch.Generator().manual_seed(4))
    assert torch.equal(first[0], second[0])
    generator = torch.Generator().manual_seed(4)
    assert not torch.equal(item_seeds(generator, 3), item_seeds(generator, 3))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_jitter_changes_colours_alone(bands):
    images = torch.randn(4, bands + 1, 32, 32, generator=torch.Generator().manual_seed(0))
    valid = torch.ones(4, 32, 32, dtype=torch.bool)
    valid[:, :4] = False
    images[:, :, :4] = 0
    jittered = ColourJitter(1.0, bands)(images, valid, generator=SEEDS[:4])
    assert torch.equal(jittered[:, bands], images[:, bands])
    assert (jittered[:, :, :4] == 0).all()
    assert jittered.isfinite().all()
    change = (jittered - images)[:, :bands, 4:].abs().mean(dim=(1, 2, 3))
    assert (change > 0.05).all() and (change < 2).all()


def test_no_jitter_changes_nothing():
    images, mask = blocks(2)
    assert ColourJitter(0.0, 1)(images, mask > 9, generator=SEEDS[:2]) is images


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_normaliser_against_the_formula(dtype):
    statistics = Normalisation(low=(10.0, 0.0), high=(200.0, 30.0), mean=(100.0, 4.0), std=(50.0, 2.0))
    image = torch.tensor([[0, 100, 150, 250]]).view(1, 1, 1, 4).to(dtype)
    height = torch.tensor([2.0, 4.0, 90.0, -5.0]).view(1, 1, 1, 4)
    valid = torch.tensor([True, True, True, False]).view(1, 1, 4)
    result = Normaliser(statistics)({"image": image, "height": height, "valid": valid})
    assert result.dtype == torch.float32
    assert result[0, 0, 0].tolist() == pytest.approx([-1.8, 0.0, 1.0, 0.0])
    assert result[0, 1, 0].tolist() == pytest.approx([-1.0, 0.0, 13.0, 0.0])


def test_nan_pixels_become_the_mean():
    statistics = Normalisation(low=(0.0,), high=(9.0,), mean=(4.0,), std=(2.0,))
    image = torch.tensor([float("nan"), 8.0]).view(1, 1, 1, 2)
    result = Normaliser(statistics)({"image": image, "valid": ~image[0].isnan()})
    assert result.flatten().tolist() == [0.0, 2.0]


def test_weak_views_move_everything_of_a_batch():
    images, mask = blocks(4)
    batch = {
        "image": images.to(torch.uint8),
        "height": images / 10,
        "valid": torch.ones_like(mask, dtype=torch.bool),
        "manual": mask,
        "seed": SEEDS[:4],
        "scene": torch.zeros(4, dtype=torch.int64),
    }
    plain = Normalisation(low=(0.0, 0.0), high=(255.0, 255.0), mean=(0.0, 0.0), std=(1.0, 1.0))
    view = weak_views(batch, Normaliser(plain), WeakAugment(AugmentConfig()))
    clear = interior(view["manual"]) & view["valid"]
    assert view["image"].shape == (4, 2, SIZE, SIZE)
    assert "height" not in view and torch.equal(view["scene"], batch["scene"])
    assert torch.equal(view["image"][:, 0][clear].round() / 10, view["manual"][clear].float())
    assert torch.equal(view["image"][:, 1][clear].round(), view["manual"][clear].float())
