"""Features of a frozen encoder on cells of 4 × 4 pixels, block by block."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import default_collate

from tsfal_geo.data.dataset import OrthoDataset
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.inference.compute import choose_compute
from tsfal_geo.inference.folding import fold_norms
from tsfal_geo.instant.basis import Basis
from tsfal_geo.instant.blocks import HALO
from tsfal_geo.models.pyramid import PyramidEncoder, to_quarter
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.stats import Normalisation
from tsfal_geo.refinement.support import CELL

_SAMPLES = 8
_SAMPLE_SIDE = 256


class FeatureExtractor:
    """The features of a network's encoder on cells, with pixels around each block as context.

    Args:
        segmenter: of the architecture ``instant``; it stays as it is.
        normalisation: of its input.
        reader: reads the scenes.
    """

    def __init__(self, segmenter: Segmenter, normalisation: Normalisation, reader: SceneReader) -> None:
        self._compute = choose_compute()
        encoder = segmenter.encoder
        assert isinstance(encoder, PyramidEncoder)
        self._strides = encoder.level_strides
        used = _folded(segmenter) if self._compute.folds_norms else encoder
        self._encoder = used.to(self._compute.device).to(memory_format=torch.channels_last).eval()
        self._multiple = encoder.multiple
        self._normaliser = Normaliser(normalisation).to(self._compute.device)
        self._dataset = OrthoDataset(reader)

    @torch.inference_mode()
    def features(self, window: Window) -> tuple[Tensor, NDArray[np.bool_]]:
        """Compute the features of a window's cells.

        Args:
            window: inside its scene; its first row and column are multiples of 64 pixels.

        Returns:
            (D, h, w) float32 on the CPU, and (h, w) bool: cells with data on at least half of their pixels.
        """
        block = read_block(self._dataset, window, self._multiple)
        batch = {key: value.to(self._compute.device) for key, value in block.batch.items()}
        images = self._normaliser(batch).contiguous(memory_format=torch.channels_last)
        y, x = block.y // CELL, block.x // CELL
        h, w = -(-window.height // CELL), -(-window.width // CELL)
        levels = self._encoder(images)
        cut = [
            to_quarter(level.float(), stride)[0, :, y : y + h, x : x + w]
            for level, stride in zip(levels, self._strides, strict=True)
        ]
        valid = block.batch["valid"][0].numpy()
        share = valid.reshape(valid.shape[0] // CELL, CELL, valid.shape[1] // CELL, CELL).mean((1, 3))
        return torch.cat(cut).cpu(), share[y : y + h, x : x + w] >= 0.5

    def basis(self, windows: Sequence[Window]) -> Basis:
        """Compute the basis of a few windows, spread over the scenes.

        Args:
            windows: all blocks of all scenes, see `blocks`.

        Returns:
            The basis of the valid cells; of a constant picture one without variance.
        """
        chosen = np.unique(np.linspace(0, len(windows) - 1, _SAMPLES).round().astype(int))
        sample = []
        for position in chosen.tolist():
            window = windows[position]
            height, width = min(window.height, _SAMPLE_SIDE), min(window.width, _SAMPLE_SIDE)
            part = Window(window.scene, window.y, window.x, height, width)
            features, valid = self.features(part)
            sample.append(features[:, torch.from_numpy(valid)].T.numpy())
        return Basis.of(np.concatenate(sample))


@dataclass(frozen=True)
class Block:
    """A window of a scene with pixels around it.

    Attributes:
        batch: a collated sample of `OrthoDataset`, alone in its batch.
        y: first row of the window in it.
        x: first column.
    """

    batch: dict[str, Tensor]
    y: int
    x: int


def read_block(dataset: OrthoDataset, window: Window, multiple: int) -> Block:
    """Read a window with up to 64 pixels around it, and padding to a multiple of a number.

    Args:
        dataset: reads the scenes.
        window: inside its scene.
        multiple: of height and width.
    """
    scene = dataset.scenes[window.scene]
    top, left = max(window.y - HALO, 0), max(window.x - HALO, 0)
    bottom = min(window.y + window.height + HALO, scene.height)
    right = min(window.x + window.width + HALO, scene.width)
    height, width = (-(-length // multiple) * multiple for length in (bottom - top, right - left))
    batch = default_collate([dataset.read_window(Window(window.scene, top, left, height, width))])
    return Block(batch, window.y - top, window.x - left)


def _folded(segmenter: Segmenter) -> torch.nn.Module:
    encoder = copy.deepcopy(segmenter.encoder).eval()
    fold_norms(encoder, None)
    return encoder
