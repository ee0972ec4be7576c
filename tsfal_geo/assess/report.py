"""The accuracy report of maps: from the reference sample, and from label rasters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio import windows

from tsfal_geo.assess.boundary import Boundaries, BoundaryScore
from tsfal_geo.assess.design import Design
from tsfal_geo.assess.estimate import Estimates, Sample, Value, estimate
from tsfal_geo.assess.metrics import Confusion, Scores
from tsfal_geo.assess.reference import Answers
from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.errors import LabelError, RasterError
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.files import open_raster, reading
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.scene import Scene

if TYPE_CHECKING:
    from rich.table import Table

_HECTARE = 10_000.0
_ROWS = 512


def assess_sample(design: Design, answers: Answers, maps: Sequence[Scene], classes: ClassMap) -> Estimates:
    """Estimate the accuracy of the current maps from the answered part of a sample.

    Args:
        design: the sample.
        answers: the annotators' answers.
        maps: current class maps, of the names in the design.
        classes: the class map.

    Returns:
        The estimates.

    Raises:
        LabelError: a stratum has fewer than two answers.
        RasterError: the map has no class any more at a sample.
    """
    answered = answers.classes != IGNORE
    if not answered.any():
        raise LabelError(
            "no sample is answered yet, expected at least two of each mapped class; label them in QGIS "
            "(docs/accuracy.md)"
        )
    mapped = _mapped_at(design, maps, classes)[answered]
    if (mapped == IGNORE).any():
        raise RasterError(
            f"{int((mapped == IGNORE).sum())} samples lie where the map has no class now, though it had one "
            "when they were drawn; assess the same area, or draw a new sample"
        )
    stratum = np.array([point.stratum for point in design.points])[answered]
    names = classes.names
    sample = Sample(
        design.pixels, stratum, mapped.astype(np.intp), answers.classes[answered].astype(np.intp), names
    )
    return estimate(sample, names)


@dataclass(frozen=True)
class RasterScores:
    """The scores of maps against label rasters, over every labelled pixel.

    Attributes:
        scores: IoU, F1 and the like from one confusion matrix.
        boundaries: boundary F1, by class index.
        tolerance: pixels that outlines may be apart.
    """

    scores: Scores
    boundaries: tuple[BoundaryScore, ...]
    tolerance: int

    def to_json(self) -> dict[str, Any]:
        """Give the values for JSON."""
        return {
            **self.scores.to_json(),
            "tolerance": self.tolerance,
            "boundaries": [vars(score) for score in self.boundaries],
        }

    def table(self) -> Table:
        """Make a table of the scores in percent, a class a row."""
        from rich.table import Table

        table = Table("class", title=f"map against label rasters, {self.scores.pixels:,} pixels")
        for name in ("IoU", "precision", "recall", "F1", f"boundary F1 ({self.tolerance} px)"):
            table.add_column(name, justify="right")
        for score, boundary in zip(self.scores.classes, self.boundaries, strict=True):
            shown = (score.iou, score.precision, score.recall, score.f1, boundary.f1)
            table.add_row(score.name, *("-" if v is None else f"{100 * v:.2f}" for v in shown))
        return table


def assess_rasters(
    maps: Sequence[Scene], scenes: Sequence[Scene], labels: LabelReader, classes: ClassMap, tolerance: int
) -> RasterScores:
    """Compare maps with the label rasters of the scenes of the same names.

    Args:
        maps: class maps.
        scenes: labelled scenes, in the order of ``labels``.
        labels: the truth.
        classes: the class map.
        tolerance: pixels that outlines may be apart.

    Returns:
        The scores.

    Raises:
        RasterError: a map has another size than its scene, or no scene has a map.
    """
    by_name = {item.name: item for item in maps}
    confusion, boundaries = Confusion(len(classes)), Boundaries(len(classes), tolerance)
    pairs = [(i, scene, by_name[scene.name]) for i, scene in enumerate(scenes) if scene.name in by_name]
    if not pairs:
        raise RasterError(
            f"found no map of {', '.join(scene.name for scene in scenes[:5])}; expected maps with the "
            "labelled scenes' names; `tsfal-geo export` them first"
        )
    for index, scene, map_ in pairs:
        if map_.shape != scene.shape:
            raise RasterError(
                f"{map_.path} is {map_.shape}, expected {scene.shape} like {scene.path}; export it again"
            )
        with open_raster(map_.path) as dataset, reading(map_.path):

            def predicted(
                y: int, rows: int, scene: Scene = scene, dataset: Any = dataset
            ) -> NDArray[np.uint8]:
                return _read_rows(dataset, classes, y, rows, scene.shape)

            def truth(y: int, rows: int, index: int = index, scene: Scene = scene) -> NDArray[np.uint8]:
                return labels.read(Window(index, y, 0, rows, scene.width))

            for y in range(0, scene.height, _ROWS):
                rows = min(_ROWS, scene.height - y)
                confusion.add(truth(y, rows), predicted(y, rows))
            boundaries.add(scene.height, truth, predicted)
    return RasterScores(confusion.scores(classes.names), boundaries.scores(), tolerance)


def sample_tables(result: Estimates, design: Design) -> list[Table]:
    """Make tables of accuracies, areas and the error matrix, with 95 % confidence intervals.

    Args:
        result: the estimates.
        design: their sample.
    """
    from rich.table import Table

    total = float(design.pixels.sum()) * design.pixel_area / _HECTARE
    accuracy = Table("class", title=f"accuracy by {result.counts.sum()} reference samples, % ± 95 % interval")
    for name in ("user's", "producer's", "F1", "IoU"):
        accuracy.add_column(name, justify="right")
    for item in result.classes:
        accuracy.add_row(item.name, *(_percent(v) for v in (item.users, item.producers, item.f1, item.iou)))
    accuracy.add_section()
    accuracy.add_row("overall", _percent(result.overall))
    area = Table("class", title=f"area of {total:,.2f} ha")
    for name in ("mapped, ha", "estimated, ha ± 95 % interval", "share, %"):
        area.add_column(name, justify="right")
    for item in result.classes:
        estimated = item.area.scaled(total)
        area.add_row(
            item.name,
            f"{item.mapped.value * total:,.2f}",
            f"{estimated.value:,.2f} ± {estimated.half:,.2f}",
            _percent(item.area),
        )
    matrix = Table("map \\ reference", title="error matrix: samples (share of the area, %)")
    for item in result.classes:
        matrix.add_column(item.name, justify="right")
    for item, counts, shares in zip(result.classes, result.counts, result.proportions, strict=True):
        matrix.add_row(item.name, *(f"{n} ({100 * p:.2f})" for n, p in zip(counts, shares, strict=True)))
    return [accuracy, area, matrix]


def _percent(value: Value) -> str:
    if not math.isfinite(value.value):
        return "-"
    return f"{100 * value.value:.1f} ± {100 * value.half:.1f}"


def _mapped_at(design: Design, maps: Sequence[Scene], classes: ClassMap) -> NDArray[np.uint8]:
    mapped = np.full(len(design.points), IGNORE, np.uint8)
    for scene in maps:
        own = [(i, p) for i, p in enumerate(design.points) if p.scene == scene.name]
        if not own:
            continue
        with open_raster(scene.path) as dataset, reading(scene.path):
            for i, point in sorted(own, key=lambda item: (item[1].row // _ROWS, item[1].column // _ROWS)):
                if not (point.row < scene.height and point.column < scene.width):
                    raise RasterError(
                        f"{scene.path} is smaller than when the sample was drawn; export it again"
                    )
                value = dataset.read(1, window=windows.Window(point.column, point.row, 1, 1))
                mapped[i] = _indices(value, classes, scene.path)[0, 0]
    return mapped


def _read_rows(
    dataset: Any, classes: ClassMap, y: int, rows: int, shape: tuple[int, int]
) -> NDArray[np.uint8]:
    out = np.full((rows, shape[1]), IGNORE, np.uint8)
    top, bottom = max(y, 0), min(y + rows, shape[0])
    ids = dataset.read(1, window=windows.Window(0, top, shape[1], bottom - top))
    out[top - y : bottom - y] = _indices(ids, classes, Path(dataset.name))
    return out


def _indices(ids: NDArray[np.uint8], classes: ClassMap, path: Path) -> NDArray[np.uint8]:
    index = classes.lut_ids_to_index()[ids]
    if (index < 0).any():
        raise RasterError(f"{path} holds ids that are no class of the workspace; export it again")
    return index.astype(np.uint8)
