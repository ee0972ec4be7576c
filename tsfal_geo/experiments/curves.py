"""Curves of mIoU over labelled pixels, answers or minutes, and their table.

Full supervision is the reference of all rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Literal

import numpy as np

from tsfal_geo.atomic import replace_file, write_text
from tsfal_geo.experiments.formats import csv_text, markdown, spread
from tsfal_geo.figures import figure
from tsfal_geo.workspace.folder import WorkspaceFolder

SHARES = (0.15, 0.20, 0.24)
"""The labelled shares, 0 to 1, at which the table compares rows with full supervision."""

# Regions have different sizes and void pixels have no answer, so runs miss their target share by a little.
_SHARE_TOLERANCE = 0.01


XAxis = Literal["pixels", "answers", "minutes"]
"""Unit of the annotators' work along a curve."""

_AXIS_LABELS: dict[XAxis, str] = {
    "pixels": "labelled pixels, %",
    "answers": "annotators' answers",
    "minutes": "minutes of annotators' time",
}


@dataclass(frozen=True)
class CurvePoint:
    """A trained round of a run, as a point of the curve.

    Attributes:
        mode: the row's name.
        seed: the run's seed.
        round: number of trainings before this one.
        labelled_share: labelled share of the training pixels, 0 to 1.
        miou: mIoU on the validation scenes, 0 to 1.
        class_iou: IoU on the validation scenes, 0 to 1, by class name.
        map_miou: mIoU, 0 to 1, of the training scenes' map, in which labels and PLAR's votes overlay the
            prediction; None without a measurement.
        answers: annotators' answers that the round trained on; None: not known.
        minutes: of annotators' time for these answers; None: not known.
    """

    mode: str
    seed: int
    round: int
    labelled_share: float
    miou: float
    class_iou: dict[str, float]
    map_miou: float | None = None
    answers: int | None = None
    minutes: float | None = None


def read_points(root: Path, mode: str, seed: int) -> list[CurvePoint]:
    """Read the trained rounds of a run.

    Args:
        root: the run's folder, a workspace.
        mode: the row's name.
        seed: the run's seed.

    Returns:
        The rounds with a training, numbered from 0.

    Raises:
        WorkspaceError: the folder is not a readable workspace.
    """
    workspace = WorkspaceFolder.open(root)
    points: list[CurvePoint] = []
    for number in range(workspace.current_round + 1):
        values = workspace.metrics(number)
        if "miou" in values:
            trained = len(points)
            share, ious = values["labelled_share"], values["class_iou"]
            points.append(
                CurvePoint(
                    mode,
                    seed,
                    trained,
                    share,
                    values["miou"],
                    ious,
                    values.get("map_miou"),
                    values["answers"],
                    values["minutes"],
                )
            )
    return points


def write_results(points: Sequence[CurvePoint], out: Path, x_axis: XAxis = "pixels") -> None:
    """Write ``curve.csv``, ``table.csv``, ``table.md`` and ``curve.png``.

    Args:
        points: the trained rounds of all runs so far, at least one.
        out: folder of the files.
        x_axis: of the curve.
    """
    write_curve(points, out)
    classes = list(points[0].class_iou)
    header, table = summary(points, classes)
    write_text(out / "table.csv", csv_text(header, table))
    write_text(out / "table.md", markdown(header, table))
    _plot(points, out / "curve.png", x_axis)


def write_curve(points: Sequence[CurvePoint], out: Path) -> None:
    """Write ``curve.csv``, a line a round.

    Args:
        points: the trained rounds of all runs so far, at least one.
        out: folder of the file.
    """
    classes = list(points[0].class_iou)
    rows = [
        [p.mode, p.seed, p.round, f"{p.labelled_share:.6f}", _of(p.answers), _of(p.minutes, ".4f")]
        + [f"{p.miou:.6f}", _of(p.map_miou, ".6f")]
        + [f"{p.class_iou.get(name, float('nan')):.6f}" for name in classes]
        for p in points
    ]
    columns = ["mode", "seed", "round", "labelled_share", "answers", "minutes", "miou", "map_miou", *classes]
    write_text(out / "curve.csv", csv_text(columns, rows))


def summary(points: Sequence[CurvePoint], classes: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Summarise the last round of each run as mean ± standard deviation over the seeds.

    The column ``map`` is the mIoU of the training scenes' own map. The column ``of full`` is the mean mIoU of
    the last round, in per cent of full supervision's; further columns have it at each of `SHARES`.

    Args:
        points: the trained rounds of all runs.
        classes: names of the classes, which get a column each.

    Returns:
        The header and the rows of the table.
    """
    ends = {mode: _ends(points, mode) for mode in dict.fromkeys(p.mode for p in points)}
    full = [p.miou for p in ends.get("full supervision", [])]
    header = [
        "mode",
        "labelled",
        "answers",
        "minutes",
        "mIoU",
        "map",
        "of full",
        *(f"at {share:.0%}" for share in SHARES),
    ]
    header += [*classes, "seeds"]
    rows = []
    for mode, last in ends.items():
        values = [100 * p.miou for p in last]
        runs = [[p for p in points if (p.mode, p.seed) == (mode, end.seed)] for end in last]
        rows.append(
            [
                mode,
                f"{100 * mean(p.labelled_share for p in last):.2f} %",
                _mean([p.answers for p in last], ".0f"),
                _mean([p.minutes for p in last], ".1f"),
                spread(values),
                _of_maps(last),
                _of_full([p.miou for p in last], full),
                *(_of_full([miou_at(run, share) for run in runs], full) for share in SHARES),
                *(spread([100 * p.class_iou.get(name, float("nan")) for p in last]) for name in classes),
                str(len(last)),
            ]
        )
    return header, rows


def miou_at(run: Sequence[CurvePoint], share: float) -> float | None:
    """Interpolate a run's mIoU linearly at a labelled share.

    Args:
        run: the run's rounds, by increasing labelled share.
        share: the labelled share, 0 to 1.

    Returns:
        The mIoU, 0 to 1. A share beyond the run's first or last round by one hundredth at most has that
        round's mIoU; farther beyond it is None.
    """
    shares = [p.labelled_share for p in run]
    if not shares[0] - _SHARE_TOLERANCE <= share <= shares[-1] + _SHARE_TOLERANCE:
        return None
    return float(np.interp(share, shares, [p.miou for p in run]))


def _of_full(values: Sequence[float | None], full: Sequence[float]) -> str:
    available = [value for value in values if value is not None]
    return f"{100 * mean(available) / mean(full):.1f} %" if full and len(available) == len(values) else "–"


def _of_maps(points: Sequence[CurvePoint]) -> str:
    available = [100 * p.map_miou for p in points if p.map_miou is not None]
    return spread(available) if len(available) == len(points) else "–"


def _of(value: float | None, form: str = "") -> str:
    return "" if value is None else format(value, form)


def _mean(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return figure(mean(known) if len(known) == len(values) else None, form)


def _ends(points: Sequence[CurvePoint], mode: str) -> list[CurvePoint]:
    last: dict[int, CurvePoint] = {p.seed: p for p in points if p.mode == mode}
    return list(last.values())


def _plot(points: Sequence[CurvePoint], path: Path, x_axis: XAxis) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for mode in dict.fromkeys(p.mode for p in points):
        rounds = sorted({p.round for p in points if p.mode == mode})
        groups = [[p for p in points if p.mode == mode and p.round == r] for r in rounds]
        places = [mean(_place(p, x_axis) for p in group) for group in groups]
        scores = [100 * mean(p.miou for p in group) for group in groups]
        deviations = [100 * stdev(p.miou for p in group) if len(group) > 1 else 0.0 for group in groups]
        if mode == "full supervision":
            axes.axhline(scores[-1], linestyle=":", color="grey", label=mode)
        else:
            axes.errorbar(places, scores, yerr=deviations, marker="o", capsize=3, label=mode)
    axes.set_xlabel(_AXIS_LABELS[x_axis])
    axes.set_ylabel("mIoU on the validation scenes, %")
    axes.legend()
    axes.grid(alpha=0.3)
    with replace_file(path) as temporary:
        figure.savefig(temporary, dpi=150)
    plt.close(figure)


def _place(point: CurvePoint, x_axis: XAxis) -> float:
    """Return a point's place on the axis; a round of an earlier version has none where it knows no effort."""
    value = {
        "pixels": 100 * point.labelled_share,
        "answers": point.answers,
        "minutes": point.minutes,
    }[x_axis]
    return math.nan if value is None else value
