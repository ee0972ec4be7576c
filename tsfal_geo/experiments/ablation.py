"""The paper's Table 4 on one's own rasters: what each module adds, at the same number of steps."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from tsfal_geo.atomic import replace_file, write_text
from tsfal_geo.config import Config, load_config
from tsfal_geo.errors import ConfigError
from tsfal_geo.reporting import Reporter
from tsfal_geo.rounds.loop import query, train
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.copy import copy_workspace
from tsfal_geo.workspace.folder import WorkspaceFolder

MODES: dict[str, dict[str, Any]] = {
    "TSF": {"active.rounds": 0},
    "TSF+random": {"active.strategy": "random", "emd.enabled": False, "plar.enabled": False},
    "+AL": {"active.strategy": "emd", "emd.enabled": False, "plar.enabled": False},
    "+AL+EMD": {"active.strategy": "emd", "plar.enabled": False},
    "+AL+PLAR": {"active.strategy": "plar", "emd.enabled": False},
    "all": {"active.strategy": "plar"},
    "full supervision": {"active.rounds": 0, "data.labelled": 1.0, "train.method": "supervised"},
}
"""What each row changes. Rows without queries get all steps in one round: no row trains longer."""

SHARES = (0.15, 0.20, 0.24)
"""Labelled shares at which rows are compared with full supervision."""

_NEAR = 0.01
FIRST = "all"
"""The row whose first training the other rows with queries share: modules join in only after it."""


@dataclass(frozen=True)
class CurvePoint:
    """One round of one run: a point of the curve.

    Attributes:
        mode: the row.
        seed: of the run.
        round: trainings before it.
        labelled_share: 0 to 1.
        miou: on the validation scenes, 0 to 1.
        class_iou: likewise, by class.
        map_miou: of the training scenes' map, labels and votes over the prediction; None where unknown.
    """

    mode: str
    seed: int
    round: int
    labelled_share: float
    miou: float
    class_iou: dict[str, float]
    map_miou: float | None = None


def run_ablation(
    raster_dir: Path,
    val_dir: Path,
    config: Config,
    seeds: Sequence[int],
    modes: Sequence[str],
    out: Path,
    reporter: Reporter,
) -> list[CurvePoint]:
    """Run every mode with every seed (finished runs are only read) and write table and curve into ``out``.

    Raises:
        ConfigError: an unknown mode.
        UserError: as ``train`` raises.
    """
    points: list[CurvePoint] = []
    for seed in seeds:
        for mode in modes:
            changed = mode_config(config, mode, seed)
            root = out / "runs" / f"{slug(mode)}-{seed}"
            request = Request(root, raster_dir, val_dir, changed)
            reporter.say(f"— {mode}, seed {seed} —")
            if changed.active.rounds:
                alone = load_config(None, {"active.oracle": False}, mode_config(config, FIRST, seed))
                first = Request(out / "runs" / f"first-{seed}", raster_dir, val_dir, alone)
                branch_off(request, first, reporter)
            train(request, reporter)
            points += read_points(root, mode, seed)
            write_results(points, out)
    return points


def mode_config(config: Config, mode: str, seed: int) -> Config:
    """The configuration of one row.

    Raises:
        ConfigError: an unknown mode.
    """
    if mode not in MODES:
        raise ConfigError(f"--modes {mode}: expected some of {', '.join(MODES)}")
    changes = dict(MODES[mode])
    active = config.active
    if changes.get("active.rounds") == 0:
        steps = config.train.steps
        changes["train.steps"] = steps + active.rounds * max(1, round(steps * active.round_steps))
    changes |= filled_batch(changes, config.train.batch_labelled, config.train.batch_unlabelled)
    return load_config(None, {"active.oracle": True, "train.seed": seed, **changes}, config)


def filled_batch(changes: Mapping[str, Any], labelled: int, unlabelled: int) -> dict[str, int]:
    """What a row of full supervision changes beside: as many images a step as the other rows have."""
    if changes.get("train.method") != "supervised" or changes.get("data.labelled") != 1.0:
        return {}
    return {"train.batch_labelled": labelled + unlabelled}


def read_points(root: Path, mode: str, seed: int) -> list[CurvePoint]:
    """The rounds of a run that trained, counted from 0."""
    workspace = WorkspaceFolder.open(root)
    points: list[CurvePoint] = []
    for number in range(workspace.current_round + 1):
        values = workspace.metrics(number)
        if "miou" in values:
            trained = len(points)
            share, ious = values["labelled_share"], values["class_iou"]
            points.append(
                CurvePoint(mode, seed, trained, share, values["miou"], ious, values.get("map_miou"))
            )
    return points


def write_results(points: Sequence[CurvePoint], out: Path) -> None:
    """Write ``curve.csv``, ``table.csv``, ``table.md`` and ``curve.png``."""
    classes = list(points[0].class_iou)
    rows = [
        [p.mode, p.seed, p.round, f"{p.labelled_share:.6f}", f"{p.miou:.6f}", _six(p.map_miou)]
        + [f"{p.class_iou.get(name, float('nan')):.6f}" for name in classes]
        for p in points
    ]
    columns = ["mode", "seed", "round", "labelled_share", "miou", "map_miou", *classes]
    write_text(out / "curve.csv", csv_text(columns, rows))
    header, table = summary(points, classes)
    write_text(out / "table.csv", csv_text(header, table))
    write_text(out / "table.md", markdown(header, table))
    _plot(points, out / "curve.png")


def summary(points: Sequence[CurvePoint], classes: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table: the last round of each run, mean ± standard deviation over seeds.

    ``map`` is the mIoU of the training scenes' own map. ``of full`` is the mean mIoU in per cent of full
    supervision's, at the end and at each of ``SHARES``.
    """
    ends = {mode: _ends(points, mode) for mode in dict.fromkeys(p.mode for p in points)}
    full = [p.miou for p in ends.get("full supervision", [])]
    header = ["mode", "labelled", "mIoU", "map", "of full", *(f"at {share:.0%}" for share in SHARES)]
    header += [*classes, "seeds"]
    rows = []
    for mode, last in ends.items():
        values = [100 * p.miou for p in last]
        runs = [[p for p in points if (p.mode, p.seed) == (mode, end.seed)] for end in last]
        rows.append(
            [
                mode,
                f"{100 * mean(p.labelled_share for p in last):.2f} %",
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
    """One run's mIoU at a labelled share, between its rounds by a straight line.

    Args:
        run: its rounds, in order; shares grow.
        share: in 0..1. Up to a hundredth beyond the ends counts as the end (regions do not come in every
            size, void pixels have no answer); farther off there is nothing to say: None.
    """
    shares = [p.labelled_share for p in run]
    if not shares[0] - _NEAR <= share <= shares[-1] + _NEAR:
        return None
    return float(np.interp(share, shares, [p.miou for p in run]))


def _of_full(values: Sequence[float | None], full: Sequence[float]) -> str:
    available = [value for value in values if value is not None]
    return f"{100 * mean(available) / mean(full):.1f} %" if full and len(available) == len(values) else "–"


def _of_maps(points: Sequence[CurvePoint]) -> str:
    available = [100 * p.map_miou for p in points if p.map_miou is not None]
    return spread(available) if len(available) == len(points) else "–"


def _six(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _ends(points: Sequence[CurvePoint], mode: str) -> list[CurvePoint]:
    last: dict[int, CurvePoint] = {p.seed: p for p in points if p.mode == mode}
    return list(last.values())


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation."""
    deviation = stdev(values) if len(values) > 1 else 0.0
    return f"{mean(values):.2f} ± {deviation:.2f}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines) + "\n"


def csv_text(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as CSV."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([header, *rows])
    return buffer.getvalue()


def _plot(points: Sequence[CurvePoint], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for mode in dict.fromkeys(p.mode for p in points):
        rounds = sorted({p.round for p in points if p.mode == mode})
        groups = [[p for p in points if p.mode == mode and p.round == r] for r in rounds]
        shares = [100 * mean(p.labelled_share for p in group) for group in groups]
        scores = [100 * mean(p.miou for p in group) for group in groups]
        spread = [100 * stdev(p.miou for p in group) if len(group) > 1 else 0.0 for group in groups]
        if mode == "full supervision":
            axes.axhline(scores[-1], linestyle=":", color="grey", label=mode)
        else:
            axes.errorbar(shares, scores, yerr=spread, marker="o", capsize=3, label=mode)
    axes.set_xlabel("labelled pixels, %")
    axes.set_ylabel("mIoU on the validation scenes, %")
    axes.legend()
    axes.grid(alpha=0.3)
    with replace_file(path) as temporary:
        figure.savefig(temporary, dpi=150)
    plt.close(figure)


def slug(mode: str) -> str:
    """A row's name as part of a folder's."""
    return "-".join(re.findall("[a-z0-9]+", mode.lower()))


def branch_off(request: Request, first: Request, reporter: Reporter) -> None:
    """Begin a row with a copy of a shared first training, asked anew by the row's own strategy.

    Args:
        request: the row's; nothing happens if it is already under way.
        first: the shared training, without an oracle, so that it stops after its queries.
        reporter: is told of progress.

    Raises:
        UserError: as training raises.
    """
    if WorkspaceFolder.exists(request.root) and WorkspaceFolder.open(request.root).current_round > 0:
        return
    begin(first, reporter)
    shutil.rmtree(request.root, ignore_errors=True)
    copy_workspace(first.root, request.root)
    query(request, reporter)


def begin(first: Request, reporter: Reporter) -> None:
    """Run a shared first training to its end, if it is not done."""
    if not WorkspaceFolder.exists(first.root) or WorkspaceFolder.open(first.root).current_round < 0:
        train(first, reporter)
