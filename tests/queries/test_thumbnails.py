"""Thumbnails: made once, kept on disk."""

import numpy as np
import torch

from tsfal_geo.queries.thumbnails import Thumbnails


def test_pictures_are_made_once_and_kept_on_disk(tmp_path):
    made = []

    def make(position):
        made.append(position)
        return torch.full((2, 4, 4), position + 0.25)

    pictures = Thumbnails(tmp_path, 5, make)
    assert pictures([3, 0]).tolist() == [np.full((2, 4, 4), 3.25).tolist(), np.full((2, 4, 4), 0.25).tolist()]
    assert pictures([0, 3, 3]).shape == (3, 2, 4, 4) and pictures([0]).dtype == torch.float32
    assert made == [3, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["thumbnails.npy"]
