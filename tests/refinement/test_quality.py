"""Vote diagnostics on counts done by hand."""

import pytest
import torch

from tsfal_geo.refinement.plar import PlarResult
from tsfal_geo.refinement.quality import VoteCounts


def counts(truth, pseudo, refined, mask):
    to_tensor = [torch.tensor(v, dtype=torch.uint8) for v in (truth, pseudo, refined)]
    unused = torch.zeros(len(truth))
    result = PlarResult(to_tensor[2], unused, unused, unused, unused, unused)
    return VoteCounts.of(result, to_tensor[1], to_tensor[0], torch.tensor(mask).bool(), classes=3)


# cell:      0    1    2    3    4    5    6 (truth unknown)  7 (outside the mask)
TRUTH = [0, 0, 1, 1, 1, 2, 255, 0]
PSEUDO = [0, 1, 1, 0, 0, 1, 0, 1]
REFINED = [0, 0, 1, 1, 255, 1, 0, 255]
MASK = [1, 1, 1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("halves", [1, 2])
def test_figures(halves):
    parts = [slice(None)] if halves == 1 else [slice(0, 3), slice(3, 8)]
    total = VoteCounts.empty(3)
    for part in parts:
        total = total + counts(TRUTH[part], PSEUDO[part], REFINED[part], MASK[part])
    found = total.to_dict()
    assert found["cells"] == 6
    assert found["precision"] == 4 / 5
    assert found["precision_before"] == 2 / 5
    assert found["coverage"] == 5 / 6
    assert found["accuracy_before"] == 2 / 6
    assert found["accuracy_after"] == 4 / 6
    assert found["class_precision"] == [1, 2 / 3, None]
    assert found["class_precision_before"] == [1 / 2, 1 / 3, None]
    assert found["class_coverage"] == [1, 2 / 3, 1]
    assert found["class_accuracy_before"] == [1 / 2, 1 / 3, 0]
    assert found["class_accuracy_after"] == [1, 2 / 3, 0]


def test_nothing_in_the_mask():
    found = VoteCounts.empty(3).to_dict()
    assert found["precision"] is None
    assert found["class_coverage"] == [None] * 3
