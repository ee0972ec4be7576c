"""Inference on chips with a round's networks: segmenter, error mask decoder, PLAR, committee."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import batched, groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import default_collate

from tsfal_geo.config import TrainConfig
from tsfal_geo.data.dataset import OrthoDataset, Sample
from tsfal_geo.inference.compute import choose_compute
from tsfal_geo.inference.folding import fold_segmenter
from tsfal_geo.models.segmenter import SegmenterOutput
from tsfal_geo.queries.budget import askable_pixels
from tsfal_geo.queries.strategies.coreset import decoder_input
from tsfal_geo.queries.strategies.qbc import committee_votes
from tsfal_geo.raster.chips import Chip, Window, owned_part
from tsfal_geo.refinement.error_mask import TeacherPrediction, classify_pixels
from tsfal_geo.refinement.refined_labels import RefinerOutput
from tsfal_geo.refinement.refiner import ActiveRefiner
from tsfal_geo.refinement.support import CELL
from tsfal_geo.rounds.halo import ChipWindow, own_parts, padded_window
from tsfal_geo.rounds.inputs import Inputs
from tsfal_geo.rounds.pools import RoundLabels
from tsfal_geo.rounds.training import TrainedRound
from tsfal_geo.training.methods.deal import Deal

HALO = 32


@dataclass(frozen=True)
class ChipBatch:
    """The networks' outputs for some chips.

    Attributes:
        positions: of the chips in ``Inputs.chips``.
        chips: the chips.
        teacher: logits (N, C, H/4, W/4) and features of the chips' own pixels, float32.
        probs: (N, C, H/4, W/4) class probabilities.
        pixels: pseudo-labels and confidence of pixels.
        refinement: error mask and votes; None without a refiner.
        votes: (N, C, H/4, W/4) of the committee; None without one.
        pooled: (N, D) means of the decoder's input; None unless the strategy needs them.
        difficulty: (N, 1, H/4, W/4) of DEAL's branch; None without one.
        valid: (N, H, W) bool, pixels with data.
        manual: (N, H, W) uint8 class indices of the labels, 255 elsewhere.
        askable: N arrays (H, W) bool: pixels that a query may hold.
    """

    positions: tuple[int, ...]
    chips: tuple[Chip, ...]
    teacher: SegmenterOutput
    probs: Tensor
    pixels: TeacherPrediction
    refinement: RefinerOutput | None
    votes: Tensor | None
    pooled: Tensor | None
    difficulty: Tensor | None
    valid: Tensor
    manual: Tensor
    askable: tuple[NDArray[np.bool_], ...]


@dataclass(frozen=True)
class Committee:
    """A committee under Monte-Carlo dropout.

    Attributes:
        passes: number of members.
        seed: of their dropout.
    """

    passes: int
    seed: int


class ChipInspector:
    """Runs a round's networks over chips, with their surroundings as context.

    Args:
        inputs: the scenes and their chips.
        labels: of these scenes.
        trained: the round's networks; they stay as they are.
        train: says how images lie in memory.
        committee: that votes as well; None: nobody does.
        pooled: whether the means of the decoder's input are wanted.
    """

    def __init__(
        self,
        inputs: Inputs,
        labels: RoundLabels,
        trained: TrainedRound,
        train: TrainConfig,
        *,
        committee: Committee | None = None,
        pooled: bool = False,
    ) -> None:
        self._compute = choose_compute()
        layout = torch.channels_last if train.channels_last else torch.contiguous_format
        self._module = trained.module.to(self._compute.device, memory_format=layout).eval()
        self._predictor, self.refiner = self._module.predictor, trained.refiner
        if self._compute.folds_norms:
            self._predictor = fold_segmenter(self._predictor, self._compute.dtype)
        if self._compute.folds_norms and self.refiner is not None:
            # A copy: rounds to come go on with the decoder as it was trained.
            self.refiner = copy.deepcopy(self.refiner)
            self.refiner.emd.fold_batch_norms(self._compute.dtype)
        self._inputs, self._labels = inputs, labels
        self._dataset = OrthoDataset(inputs.reader, labels.every, label_key="manual")
        self._committee, self._pooled = committee, pooled

    def batches(self, size: int) -> Iterator[ChipBatch]:
        """Inspect every chip in order; scenes of one size that are a chip each fill batches together.

        Args:
            size: chips a batch, at most.
        """
        chips, scenes = self._inputs.chips, self._inputs.scenes
        for _, alike in groupby(range(len(chips)), key=lambda i: scenes[chips[i].scene].shape):
            for some in batched(alike, size):
                yield self.inspect(some)

    @torch.inference_mode()
    def inspect(self, positions: Sequence[int]) -> ChipBatch:
        """Inspect a batch of chips of scenes of one size.

        Args:
            positions: of the chips in ``Inputs.chips``.
        """
        chips = tuple(self._inputs.chips[i] for i in positions)
        windows = [padded_window(chip, self._inputs.scenes[chip.scene], HALO) for chip in chips]
        batch = default_collate([self._read(chip.scene, w) for chip, w in zip(chips, windows, strict=True)])
        batch = {key: value.to(self._compute.device) for key, value in batch.items()}
        images = self._module.prepared(self._module.normaliser(batch))
        with self._decoder_input() as entering:
            around = self._run(images)
        votes = None if self._committee is None else self._votes(self._committee, images, windows)
        teacher = _own_output(around, windows, self._predictor.encoder.stride)
        manual, valid = (own_parts(batch[key], windows, 1) for key in ("manual", "valid"))
        pooled = own_parts(entering[0], windows, CELL).float().mean((2, 3)) if entering else None
        probs = teacher.logits.softmax(1)
        pixels = classify_pixels(probs, valid)
        refinement = None
        if self.refiner is not None:
            refinement = self._refined(self.refiner, around, teacher, windows, valid, manual, pixels)
        difficulty = None
        if isinstance(self._module, Deal):
            difficulty = self._module.difficulty(teacher.logits)
        return ChipBatch(
            positions=tuple(positions),
            chips=chips,
            teacher=teacher,
            probs=probs,
            pixels=pixels,
            refinement=refinement,
            votes=votes,
            pooled=pooled,
            difficulty=difficulty,
            valid=valid,
            manual=manual,
            askable=tuple(
                self._askable(chip, valid[i].cpu().numpy(), manual[i].cpu().numpy())
                for i, chip in enumerate(chips)
            ),
        )

    def _refined(
        self,
        refiner: ActiveRefiner,
        around: SegmenterOutput,
        teacher: SegmenterOutput,
        windows: Sequence[ChipWindow],
        valid: Tensor,
        manual: Tensor,
        pixels: TeacherPrediction,
    ) -> RefinerOutput:
        with self._autocast():
            logit = refiner.decode(around)
            logit = None if logit is None else own_parts(logit, windows, CELL)
            return refiner.mask_and_vote(teacher, valid, manual, pixels.conf, logit)

    def _askable(self, chip: Chip, valid: NDArray[np.bool_], manual: NDArray[np.uint8]) -> NDArray[np.bool_]:
        scene = self._inputs.scenes[chip.scene]
        part = owned_part(chip, scene.height, scene.width)
        return askable_pixels(valid, manual, self._labels.skipped.read(chip.window), part)

    def _decoder_input(self) -> AbstractContextManager[list[Tensor]]:
        return decoder_input(self._predictor) if self._pooled else nullcontext([])

    def _autocast(self) -> torch.autocast:
        dtype = self._compute.dtype
        return torch.autocast(self._compute.device.type, dtype, enabled=dtype is not None)

    def _run(self, images: Tensor) -> SegmenterOutput:
        with self._autocast():
            output: SegmenterOutput = self._predictor(images, features=True)
        return output

    def _read(self, scene: int, window: ChipWindow) -> Sample:
        return self._dataset.read_window(Window(scene, window.y, window.x, window.height, window.width))

    def _votes(self, committee: Committee, images: Tensor, windows: Sequence[ChipWindow]) -> Tensor:
        with self._autocast():
            votes = committee_votes(self._predictor, images, committee.passes, committee.seed)
        return own_parts(votes, windows, CELL)


def _own_output(output: SegmenterOutput, windows: Sequence[ChipWindow], stride: int) -> SegmenterOutput:
    assert output.f1 is not None
    assert output.f2 is not None
    parts = ((output.logits, CELL), (output.f1, stride), (output.f2, CELL))
    return SegmenterOutput(*(own_parts(values, windows, step).float() for values, step in parts))
