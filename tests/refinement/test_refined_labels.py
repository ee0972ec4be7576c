"""Precedence and weights of written labels."""

import pytest
import torch

from tsfal_geo.config import PlarConfig
from tsfal_geo.refinement.error_mask import TeacherPrediction
from tsfal_geo.refinement.plar import PlarResult
from tsfal_geo.refinement.refined_labels import LabelSource, merge_labels


@pytest.fixture
def scene():
    """One image of 2 x 3 cells: vote for 2, no vote, vote for 3; the mask cuts through cells."""
    refined = torch.tensor([[[2, 255, 3], [255, 2, 2]]], dtype=torch.uint8)
    margin = torch.tensor([[[0.4, 0.0, 0.6], [0.0, 0.8, 0.2]]])
    nothing = torch.zeros_like(refined, dtype=torch.bool)
    result = PlarResult(refined, nothing, margin, refined, refined, torch.ones(4, dtype=torch.bool))
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(1, 8, 12, generator=generator) < 0.5
    pixels = TeacherPrediction(
        torch.randint(0, 2, (1, 8, 12), generator=generator).to(torch.uint8),
        torch.rand(1, 8, 12, generator=generator),
    )
    manual = torch.where(torch.rand(1, 8, 12, generator=generator) < 0.2, 1, 255).to(torch.uint8)
    return pixels, mask & (manual == 255), result, manual


def expected_pixels(scene, weigh, unresolved):
    """The rules, pixel by pixel."""
    pixels, mask, result, manual = scene
    for y in range(8):
        for x in range(12):
            cell = (0, y // 4, x // 4)
            pseudo, conf = int(pixels.pseudo[0, y, x]), float(pixels.conf[0, y, x])
            vote = int(result.refined[cell])
            if manual[0, y, x] != 255:
                yield int(manual[0, y, x]), 1.0, 1.0, LabelSource.MANUAL
            elif not mask[0, y, x]:
                yield pseudo, 1.0, conf, LabelSource.PSEUDO
            elif vote != 255:
                yield vote, float(result.margin[cell]) if weigh == "margin" else 1.0, 1.0, LabelSource.REFINED
            elif unresolved == "ignore":
                yield 255, 0.0, conf, LabelSource.UNRESOLVED
            else:
                yield pseudo, conf if unresolved == "conf" else 1.0, conf, LabelSource.UNRESOLVED


@pytest.mark.parametrize("weigh", ["one", "margin"])
@pytest.mark.parametrize("unresolved", ["keep", "ignore", "conf"])
def test_every_pixel_follows_the_rules(scene, weigh, unresolved):
    found = merge_labels(*scene, PlarConfig(refined_weight=weigh, unresolved=unresolved))
    labels, weight, conf, source = zip(*expected_pixels(scene, weigh, unresolved), strict=True)
    assert found.labels.flatten().tolist() == list(labels)
    assert found.weight.flatten().tolist() == pytest.approx(list(weight))
    assert found.conf.flatten().tolist() == pytest.approx(list(conf))
    assert found.source.flatten().tolist() == [int(s) for s in source]
    assert set(source) == set(LabelSource)


def test_manual_labels_win_also_inside_a_mask_that_holds_them(scene):
    pixels, _, result, manual = scene
    found = merge_labels(pixels, torch.ones_like(manual, dtype=torch.bool), result, manual, PlarConfig())
    by_hand = manual != 255
    assert torch.equal(found.labels[by_hand], manual[by_hand])
