"""What a round's metrics say about masks and votes, counted by hand."""

import numpy as np
import pytest
import torch

from tsfal_geo.config import PlarConfig
from tsfal_geo.raster.chips import Chip, Window
from tsfal_geo.refinement.error_mask import TeacherPrediction
from tsfal_geo.refinement.plar import PlarResult
from tsfal_geo.refinement.refined_labels import RefinerOutput
from tsfal_geo.rounds.quality_counter import QualityCounter

CHIP = Chip(scene=1, row=0, col=2, y=4, x=32, size=16)

# One row a cell: truth, the teacher's class, its confidence, the decoder's probability, the vote.
CELLS = """
    0 0 0.9 0.1 -    1 0 0.9 0.8 1    1 0 0.6 0.1 1    2 2 0.6 0.8 1
    0 1 0.9 0.1 -    2 2 0.9 0.6 2    0 0 0.9 0.1 -    1 1 0.6 0.1 -
    2 1 0.6 0.9 -    2 2 0.9 0.1 -    1 1 0.9 0.8 1    0 2 0.9 0.8 0
    - 1 0.6 0.8 0    a 1 0.6 0.8 0    m 1 0.6 0.8 0    0 0 0.9 0.1 -
"""
# Not counted: "-" has no truth, "a" (class 0) may not be asked, "m" is half 0 and half 1.


class Truth:
    """Known in the window of the chip."""

    def read(self, window):
        assert window == Window(1, 4, 32, 16, 16)
        return TRUTH


def column(number, dtype, **names):
    values = [names.get(value, value) for value in CELLS.split()[number::5]]
    return torch.tensor([float(value) for value in values]).reshape(1, 4, 4).to(dtype)


NAMES = {"-": "255", "a": "0", "m": "0"}
TRUTH = column(0, torch.uint8, **NAMES)[0].numpy().repeat(4, 0).repeat(4, 1)
TRUTH[12:, 10:12] = 1
ASKABLE = np.ones((16, 16), bool)
ASKABLE[12:, 4:8] = False


def counter(threshold=0.5, confidence=0.7):
    return QualityCounter(Truth(), PlarConfig(confidence=confidence), threshold, 3)


def refinement(decodes=True):
    conf, error = column(2, torch.float32), column(3, torch.float32)
    vote = column(4, torch.uint8, **NAMES)
    mask = (conf < 0.7) | (error > 0.7) | (vote != 255)
    unused = torch.zeros_like(conf)
    votes = PlarResult(vote, unused, unused, vote, vote, torch.ones(1, 3, dtype=torch.bool))
    cells = TeacherPrediction(column(1, torch.uint8), conf)
    return RefinerOutput(unused, cells, error.logit()[:, None] if decodes else None, mask, mask, votes)


@pytest.mark.parametrize("halves", [1, 2])
def test_masks_and_votes_are_counted_against_the_truth(halves):
    quality = counter(threshold=0.7)
    for rows in np.split(np.arange(16), halves):
        quality.count(CHIP, 0, refinement(), ASKABLE & np.isin(np.arange(16), rows)[:, None])
    found = quality.diagnostics()
    # Wrong: cells 1, 2, 4, 8 and 11. Doubted: 2, 3, 7 and 8. Decoder above 0.7: 1, 3, 8, 10 and 11.
    assert found["error_mask"] == {
        "confidence": {"precision": 2 / 4, "recall": 2 / 5},
        "emd": {"precision": 3 / 5, "recall": 3 / 5},
        "either": {"precision": 4 / 7, "recall": 4 / 5},
    }
    # Votes: right in 1, 2, 5, 10 and 11, wrong in 3; in 7 and 8 there is none.
    votes = found["votes"]
    assert votes["cells"] == 8
    assert (votes["precision"], votes["coverage"]) == (5 / 6, 6 / 8)
    assert votes["precision_before"] == 3 / 6
    assert (votes["accuracy_before"], votes["accuracy_after"]) == (4 / 8, 6 / 8)
    assert votes["class_precision"] == [1, 3 / 4, 1]


def test_without_a_decoder_the_mask_is_that_of_confidence():
    quality = counter()
    quality.count(CHIP, 0, refinement(decodes=False), ASKABLE)
    found = quality.diagnostics()["error_mask"]
    assert found["emd"] == {"precision": None, "recall": 0}
    assert found["either"] == found["confidence"] == {"precision": 2 / 4, "recall": 2 / 5}
