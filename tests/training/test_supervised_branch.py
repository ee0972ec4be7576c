"""The loss on labels that every training method shares."""

import pytest
import torch
import torch.nn.functional as F

from tsfal_geo.models.segmenter import SegmenterOutput
from tsfal_geo.training.losses import class_weights

COUNTS = (40_000, 20_000, 3_000)  # of the fixture


@pytest.fixture
def output():
    generator = torch.Generator().manual_seed(0)
    logits, aux = torch.randn(2, 2, 3, 16, 16, generator=generator)
    target = torch.randint(0, 3, (2, 64, 64), generator=generator)
    target[0, :20] = 255
    return SegmenterOutput(logits, aux=aux), target


def reference(log_p, target, weight):
    total = F.nll_loss(log_p, target, weight, ignore_index=255, reduction="sum")
    return total / (target != 255).sum()


@pytest.mark.parametrize("preset", ["strong", "paper"])
def test_strong_weights_the_classes_in_both_heads(make_config, make_module, output, preset):
    output, target = output
    branch = make_module(make_config(preset)).branch
    weight = class_weights(COUNTS) if preset == "strong" else None
    log_p, aux = (
        F.log_softmax(F.interpolate(x, (64, 64), mode="bilinear", align_corners=False), dim=1)
        for x in (output.logits, output.aux)
    )
    expected = reference(log_p, target, weight) + 0.4 * reference(aux, target, weight)
    assert branch.loss(output, log_p, target).item() == pytest.approx(expected.item(), rel=1e-5)


def test_weights_are_no_part_of_a_checkpoint(make_config, make_module):
    """They follow from the labels of the round that reads it."""
    branch = make_module(make_config()).branch
    assert branch.weights is not None
    assert "weights" not in branch.state_dict()
