"""Looking at chips with a round's networks: what strategies need, what rasters show, what it is worth."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import default_collate

from tsfal_geo.classes import IGNORE
from tsfal_geo.data.dataset import OrthoDataset, Sample
from tsfal_geo.inference.compute import choose_compute
from tsfal_geo.inference.folding import folded
from tsfal_geo.models.segmenter import SegmenterOutput
from tsfal_geo.queries.budget import askable_pixels
from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.strategies import Strategy
from tsfal_geo.queries.strategies.coreset import decoder_input
from tsfal_geo.queries.strategies.qbc import committee_votes
from tsfal_geo.raster.chips import Chip, Window, owned_part
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.refinement.error_mask import Prediction, emd_pixels, emd_target, predict_pixels
from tsfal_geo.refinement.plar import PlarResult
from tsfal_geo.refinement.quality import MaskCounts, VoteCounts
from tsfal_geo.refinement.refined_labels import Source
from tsfal_geo.refinement.refiner import Look
from tsfal_geo.refinement.support import CELL, cell_blocks, label_cells
from tsfal_geo.rounds.context import Context
from tsfal_geo.rounds.halo import Surround, own_parts, surround
from tsfal_geo.rounds.pools import RoundLabels
from tsfal_geo.rounds.training import Trained
from tsfal_geo.training.methods.deal import Deal

HALO = 32


@dataclass(frozen=True)
class Seen:
    """One chip after a look.

    Attributes:
        position: in ``Inputs.chips``.
        chip: the chip.
        outputs: what the strategy scores.
        askable: (H, W) bool, pixels that may be asked.
        layers: (H, W) uint8 for each of the round's rasters.
    """

    position: int
    chip: Chip
    outputs: ChipOutputs
    askable: NDArray[np.bool_]
    layers: dict[str, NDArray[np.uint8]]


class Watcher:
    """Runs teacher, decoder and PLAR over chips and counts, where the truth is known, what they are worth."""

    def __init__(
        self,
        context: Context,
        trained: Trained,
        labels: RoundLabels,
        strategy: Strategy,
        *,
        truth: LabelReader | None,
    ) -> None:
        """Take the networks as they are.

        Args:
            context: whose chips are looked at.
            trained: the round's networks.
            labels: what is said about these chips.
            strategy: what it needs to know of a chip is gathered.
            truth: what masks and votes are counted against; None: they are not.
        """
        self._compute = choose_compute()
        layout = torch.channels_last if context.config.train.channels_last else torch.contiguous_format
        self._module = trained.module.to(self._compute.device, memory_format=layout).eval()  # type: ignore[call-overload]
        self._predictor, self._refiner = self._module.predictor, trained.refiner
        if self._compute.folds:
            self._predictor = folded(self._predictor, self._compute.dtype)
        if self._compute.folds and self._refiner is not None:
            # A copy: rounds to come go on with the decoder as it was trained.
            self._refiner = copy.deepcopy(self._refiner)
            self._refiner.emd.fold_batch_norms(self._compute.dtype)
        self._strategy = strategy
        self._config = context.config
        self._inputs = context.inputs
        self._dataset = OrthoDataset(context.inputs.reader, labels.every, label_key="manual")
        self._aside = labels.aside
        self._truth = truth
        self._masks = {name: MaskCounts() for name in ("confidence", "emd", "either")}
        self._votes = VoteCounts.empty(len(context.inputs.classes))

    @property
    def refines(self) -> bool:
        """Whether there is a refiner."""
        return self._refiner is not None

    @torch.inference_mode()
    def look(self, positions: Sequence[int]) -> list[Seen]:
        """Look at a batch of chips."""
        chips = [self._inputs.chips[i] for i in positions]
        windows = [surround(chip, self._inputs.scenes[chip.scene], HALO) for chip in chips]
        batch = default_collate([self._read(chip.scene, w) for chip, w in zip(chips, windows, strict=True)])
        batch = {key: value.to(self._compute.device) for key, value in batch.items()}
        images = self._module.prepared(self._module.normaliser(batch))
        with self._decoder_input() as entering:
            around = self._run(images)
        votes = self._committee(images, windows) if self._strategy.passes else None
        teacher = _own_output(around, windows, self._predictor.encoder.stride)
        manual, valid = (own_parts(batch[key], windows, 1) for key in ("manual", "valid"))
        pooled = own_parts(entering[0], windows, CELL).float().mean((2, 3)) if entering else None
        probs = teacher.logits.softmax(1)
        pixels = predict_pixels(probs, valid)
        look = None
        if self._refiner is not None:
            with self._autocast():
                logit = self._refiner.decode(around)
                logit = None if logit is None else own_parts(logit, windows, CELL)
                look = self._refiner.look(teacher, valid, manual, pixels.conf, logit)
        difficulty = None
        if isinstance(self._module, Deal):
            difficulty = self._module.difficulty(teacher.logits)
        layers = self._layers(pixels, look, valid, manual)
        seen = []
        for i, (position, chip) in enumerate(zip(positions, chips, strict=True)):
            scene = self._inputs.scenes[chip.scene]
            part = owned_part(chip, scene.height, scene.width)
            aside = self._aside.read(chip.window)
            askable = askable_pixels(valid[i].cpu().numpy(), manual[i].cpu().numpy(), aside, part)
            outputs = self._outputs(chip, i, teacher, probs, look, askable, votes)
            outputs = replace(
                outputs,
                pooled=None if pooled is None else pooled[i],
                difficulty=None if difficulty is None else difficulty[i],
            )
            seen.append(Seen(position, chip, outputs, askable, {k: v[i] for k, v in layers.items()}))
            if self._truth is not None and look is not None:
                self._count(chip, i, look, askable)
        return seen

    def diagnostics(self) -> dict[str, Any]:
        """Precision and recall of the masks, precision and coverage of the votes; empty without the truth."""
        if self._truth is None or self._refiner is None:
            return {}
        masks = {
            name: {"precision": _number(counts.precision), "recall": _number(counts.recall)}
            for name, counts in self._masks.items()
        }
        return {"error_mask": masks, "votes": self._votes.to_dict()}

    def _decoder_input(self) -> AbstractContextManager[list[Tensor]]:
        if not self._strategy.needs_pooled:
            return nullcontext([])
        return decoder_input(self._predictor)

    def _autocast(self) -> torch.autocast:
        dtype = self._compute.dtype
        return torch.autocast(self._compute.device.type, dtype, enabled=dtype is not None)

    def _run(self, images: Tensor) -> SegmenterOutput:
        with self._autocast():
            output: SegmenterOutput = self._predictor(images, features=True)
        return output

    def _read(self, scene: int, window: Surround) -> Sample:
        return self._dataset.read_window(Window(scene, window.y, window.x, window.height, window.width))

    def _committee(self, images: Tensor, windows: Sequence[Surround]) -> Tensor:
        with self._autocast():
            votes = committee_votes(self._predictor, images, self._strategy.passes, self._strategy.seed)
        return own_parts(votes, windows, CELL)

    def _outputs(
        self,
        chip: Chip,
        i: int,
        teacher: SegmenterOutput,
        probs: Tensor,
        look: Look | None,
        askable: NDArray[np.bool_],
        votes: Tensor | None,
    ) -> ChipOutputs:
        assert teacher.f1 is not None
        assert teacher.f2 is not None
        cells = cell_blocks(torch.from_numpy(askable).to(probs.device)).sum(-1)
        plar = None
        if look is not None and self._config.plar.enabled:
            plar = PlarResult(*(getattr(look.votes, name)[i] for name in PlarResult.__dataclass_fields__))
        return ChipOutputs(
            key=(chip.scene, chip.row, chip.col),
            probs=probs[i],
            f1=teacher.f1[i],
            f2=teacher.f2[i],
            emd=None if look is None or look.emd is None else look.emd[i, 0].sigmoid(),
            mask=probs[i].amax(0) < self._config.plar.confidence if look is None else look.mask[i],
            plar=plar,
            askable=cells,
            votes=None if votes is None else votes[i],
        )

    def _layers(
        self, pixels: Prediction, look: Look | None, valid: Tensor, manual: Tensor
    ) -> dict[str, NDArray[np.uint8]]:
        percent = (pixels.conf * 100).round().to(torch.uint8)
        found = {"prediction": pixels.pseudo, "confidence": percent}
        error = 1 - pixels.conf
        mask = (pixels.conf < self._config.plar.confidence) & (manual == IGNORE)
        if look is not None and self._refiner is not None:
            mask = look.pixel_mask
            if look.emd is not None:
                error = emd_pixels(look.emd, (valid.shape[1], valid.shape[2]))
            written = self._refiner.write(look, pixels, manual)
            is_refined = written.source == int(Source.REFINED)
            found["refined"] = torch.where(is_refined, written.labels, IGNORE).to(torch.uint8)
        found["error_mask"] = torch.where(mask, (error * 100).round().clamp(1, 100), 0).to(torch.uint8)
        return {
            name: torch.where(valid, values, IGNORE).to(torch.uint8).cpu().numpy()
            for name, values in found.items()
        }

    def _count(self, chip: Chip, i: int, look: Look, askable: NDArray[np.bool_]) -> None:
        assert self._truth is not None
        truth = np.where(askable, self._truth.read(chip.window), np.uint8(IGNORE))
        cells = label_cells(torch.from_numpy(truth), self._config.plar.purity).to(look.mask.device)
        pseudo, conf = look.cells.pseudo[i], look.cells.conf[i]
        wrong, known = emd_target(pseudo, cells)
        doubtful = conf < self._config.plar.confidence
        said = torch.zeros_like(doubtful)
        if look.emd is not None and self._refiner is not None:
            said = look.emd[i, 0].sigmoid() > self._refiner.threshold
        for name, mask in (("confidence", doubtful), ("emd", said), ("either", doubtful | said)):
            self._masks[name] += MaskCounts.of(mask, wrong, known)
        votes = PlarResult(*(getattr(look.votes, name)[i] for name in PlarResult.__dataclass_fields__))
        self._votes += VoteCounts.of(votes, pseudo, cells, look.mask[i], len(self._inputs.classes))


def _own_output(output: SegmenterOutput, windows: Sequence[Surround], stride: int) -> SegmenterOutput:
    assert output.f1 is not None
    assert output.f2 is not None
    parts = ((output.logits, CELL), (output.f1, stride), (output.f2, CELL))
    return SegmenterOutput(*(own_parts(values, windows, step).float() for values, step in parts))


def _number(value: float) -> float | None:
    return None if value != value else value
