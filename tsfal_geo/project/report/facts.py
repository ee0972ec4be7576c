"""Figures of a workspace that its report shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.errors import UserError, WorkspaceError
from tsfal_geo.project.evaluate import evaluate_folder
from tsfal_geo.project.status import WorkspaceStatus, read_status
from tsfal_geo.raster.files import open_raster, reading
from tsfal_geo.raster.ground import pixel_area
from tsfal_geo.reporting import Reporter
from tsfal_geo.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    from tsfal_geo.assess.metrics import Scores

_SQUARE_METRES = 10_000  # of a hectare
_SHOWN_PAIRS = 5


@dataclass(frozen=True)
class ClassFigures:
    """The figures of one class.

    Attributes:
        name: the class's name.
        colour: as ``#rrggbb``.
        labels: number of the annotators' labels.
        iou: on the validation scenes, 0 to 1, in the last round; None where it is not known.
        first_iou: the same in the first round.
        share: of the predicted pixels of the training scenes, 0 to 1; None without a prediction.
        hectares: predicted area in the training scenes; None where a scene has no place on the ground.
        sample_iou: estimate and 95 % interval from the reference sample; None without one.
        sample_area: the same of the class's share of the area.
    """

    name: str
    colour: str
    labels: int
    iou: float | None
    first_iou: float | None
    share: float | None
    hectares: float | None
    sample_iou: dict[str, float | None] | None
    sample_area: dict[str, float | None] | None


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes that the model confuses.

    Attributes:
        truth: name of the class in the truth.
        predicted: name of the class in the prediction.
        pixels: number of such pixels.
        share: of all wrong pixels, 0 to 1.
    """

    truth: str
    predicted: str
    pixels: int
    share: float


@dataclass(frozen=True)
class ReportFacts:
    """The figures of a report.

    Attributes:
        status: rounds, budget and effort.
        classes: the figures of each class, in the class map's order.
        scores: of the model on label rasters; None without such.
        scored_on: name of the folder of these label rasters; None without such.
        unscored: the reason why ``scores`` is missing; None where it is there.
        pairs: the most confused pairs, the worst first.
        annotators: number of labels and of decisions by annotator.
        compared: rounds of other workspaces, by the workspaces' names.
    """

    status: WorkspaceStatus
    classes: tuple[ClassFigures, ...]
    scores: Scores | None
    scored_on: str | None
    unscored: str | None
    pairs: tuple[ConfusedPair, ...]
    annotators: dict[str, tuple[int, int]]
    compared: dict[str, tuple[dict[str, Any], ...]]


def collect_facts(
    workspace: WorkspaceFolder, raster: Path | None, compare: Sequence[Path], reporter: Reporter
) -> ReportFacts:
    """Collect the figures of a workspace's report.

    Args:
        workspace: with a complete round.
        raster: folder of scenes with label rasters for the confusion matrix; None: the validation scenes.
        compare: other workspaces, such as one with random queries.
        reporter: takes warnings and progress.

    Raises:
        WorkspaceError: no round is complete yet, or one of ``compare`` is no workspace.
        UserError: ``raster`` is given and cannot be compared with the model's prediction.
    """
    status = read_status(workspace)
    if not status.rounds:
        raise WorkspaceError(
            f"{workspace.root}: found no complete round, expected one to report on; run "
            f"`tsfal-geo train --workspace {workspace.root}`"
        )
    scores, unscored = _scores(workspace, raster, reporter)
    folder = raster or workspace.state.val_dir
    snapshot = workspace.store().snapshot()
    labels, decisions = (
        Counter(row.author for row in rows) for rows in (snapshot.labels, snapshot.decisions)
    )
    return ReportFacts(
        status=status,
        classes=_class_figures(workspace, status, Counter(label.class_id for label in snapshot.labels)),
        scores=scores,
        scored_on=folder.name if scores is not None and folder is not None else None,
        unscored=unscored,
        pairs=confused_pairs(scores) if scores is not None else (),
        annotators={name: (labels[name], decisions[name]) for name in sorted(labels | decisions)},
        compared={Path(path).name: read_status(WorkspaceFolder.open(path)).rounds for path in compare},
    )


def confused_pairs(scores: Scores) -> tuple[ConfusedPair, ...]:
    """Find the pairs of classes with the most wrong pixels.

    Args:
        scores: with a confusion matrix.

    Returns:
        At most five pairs, the worst first.
    """
    wrong = scores.confusion.copy()
    np.fill_diagonal(wrong, 0)
    names = [score.name for score in scores.classes]
    total = int(wrong.sum())
    worst = np.argsort(-wrong, axis=None, kind="stable")[:_SHOWN_PAIRS]
    places = [(int(place) // len(names), int(place) % len(names)) for place in worst]
    return tuple(
        ConfusedPair(names[row], names[column], int(wrong[row, column]), int(wrong[row, column]) / total)
        for row, column in places
        if wrong[row, column]
    )


def _scores(
    workspace: WorkspaceFolder, raster: Path | None, reporter: Reporter
) -> tuple[Scores | None, str | None]:
    folder = raster or workspace.state.val_dir
    if folder is None:
        return None, "The workspace has no validation scenes. --raster DIR names scenes with label rasters."
    try:
        return evaluate_folder(workspace, folder, None, reporter), None
    except UserError as error:
        if raster is not None:
            raise
        # The validation scenes may have gone since; everything else can be told without them.
        reporter.warning(str(error))
        return None, "The validation scenes cannot be compared with the model's prediction now."


def _class_figures(
    workspace: WorkspaceFolder, status: WorkspaceStatus, labels: Counter[int]
) -> tuple[ClassFigures, ...]:
    first, last = ((status.rounds[n].get("class_iou") or {}) for n in (0, -1))
    areas = _predicted_areas(workspace)
    sample = _sample(workspace)
    figures = []
    for index, info in enumerate(workspace.classes.classes):
        pixels, hectares = (None, None) if areas is None else (areas[0], areas[1])
        estimate = sample.get(info.name, {})
        figures.append(
            ClassFigures(
                name=info.name,
                colour="#{:02x}{:02x}{:02x}".format(*info.colour),
                labels=labels[info.id],
                iou=last.get(info.name),
                first_iou=first.get(info.name),
                share=None if pixels is None else float(pixels[index] / max(pixels.sum(), 1)),
                hectares=None if hectares is None else float(hectares[index]),
                sample_iou=estimate.get("iou"),
                sample_area=estimate.get("area"),
            )
        )
    return tuple(figures)


def _predicted_areas(
    workspace: WorkspaceFolder,
) -> tuple[NDArray[np.int64], NDArray[np.float64] | None] | None:
    """Count the pixels of each class in the last round's predictions, and their hectares."""
    folder = workspace.round_dir(workspace.current_round)
    found = [scene for scene in workspace.scenes if (folder / scene.name / "prediction.tif").is_file()]
    if not found:
        return None
    counts = np.stack([_counts(folder / scene.name / "prediction.tif") for scene in found])[
        :, workspace.classes.ids
    ]
    placed = all(scene.grid.crs is not None for scene in found)
    metres = np.array([pixel_area(scene.grid) for scene in found])
    return counts.sum(0), (counts * metres[:, None]).sum(0) / _SQUARE_METRES if placed else None


def _counts(path: Path) -> NDArray[np.int64]:
    counts = np.zeros(IGNORE + 1, np.int64)
    with open_raster(path) as dataset, reading(path):
        for _, window in dataset.block_windows(1):
            counts += np.bincount(dataset.read(1, window=window).ravel(), minlength=IGNORE + 1)
    return counts


def _sample(workspace: WorkspaceFolder) -> dict[str, dict[str, Any]]:
    """Read the estimates of `tsfal-geo assess report`, by class name; empty without them."""
    path = workspace.maps / "accuracy.json"
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {item["name"]: item for item in values.get("sample", {}).get("classes", ())}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkspaceError(
            f"{path}: damaged ({error!r}); write it again with `tsfal-geo assess report "
            f"--workspace {workspace.root}`"
        ) from None
