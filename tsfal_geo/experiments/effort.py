"""Curves of the mIoU over a person's answers and minutes, from no labels on, by way of asking."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsfal_geo.config import Config, load_config
from tsfal_geo.datasets.adapter import CONFIG
from tsfal_geo.errors import ConfigError
from tsfal_geo.experiments.ablation import slug
from tsfal_geo.experiments.curves import CurvePoint, read_points
from tsfal_geo.experiments.effort_table import FULL, write_effort
from tsfal_geo.experiments.live_effort import answer_live
from tsfal_geo.experiments.tables import Changes
from tsfal_geo.reporting import Reporter
from tsfal_geo.rounds.loop import REACHED, create, simulate, train
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import FEATURES, WorkspaceFolder

ANSWERS = (50, 100, 200, 500, 1000, 2000)
"""The numbers of answers that the table compares."""

LIVE = "live"
"""The row whose queries a live session chooses; otherwise it is as "ours"."""

_LOOP = {"train.method": "instant", "data.labelled": 0.0, "active.oracle": True}

EFFORT_ROWS: dict[str, dict[str, Any]] = {
    "ours": {},
    "random segments": {"active.strategy": "random"},
    "random points": {"active.strategy": "random", "active.granularity": "pixels"},
    "entropy": {"active.strategy": "entropy"},
    "core-set": {"active.strategy": "coreset"},
    LIVE: {},
    FULL: {"data.labelled": 1.0, "active.rounds": 0, "active.oracle": False},
}
"""The rows' names and their configuration changes; all have the instant model."""

DEFAULT_ROWS = tuple(name for name in EFFORT_ROWS if name != LIVE)
"""The rows that are run where none are named: a live session fits after every tenth answer, for hours."""
_FIRST_ROUND, _GROWTH = 50, 1.5


@dataclass(frozen=True)
class EffortRequest:
    """A request to measure effort.

    Attributes:
        source: folder with ``train/``, or the training scenes themselves, and beside or in it ``test/`` or
            ``val/``, whose mIoU is reported.
        out: folder for runs and tables; a second call goes on there.
        seeds: of the runs.
        answers: numbers of answers that the table compares, rising.
        rows: names of rows, keys of `EFFORT_ROWS`.
        changes: configuration changes of all rows, by dotted key; without one of the oracle's answers these
            are ``mixed``.
    """

    source: Path
    out: Path
    seeds: Sequence[int]
    answers: Sequence[int] = ANSWERS
    rows: Sequence[str] = DEFAULT_ROWS
    changes: Changes | None = None


def run_effort(request: EffortRequest, reporter: Reporter) -> list[CurvePoint]:
    """Run every row with every seed, and write table and curves after each run; finished runs are only read.

    Args:
        request: rows, seeds, data and folder.
        reporter: receives progress.

    Returns:
        The fitted rounds of all runs.

    Raises:
        ConfigError: an unknown row, or folders that are not there.
        UserError: the errors of `tsfal_geo.rounds.loop.train`.
        Cancelled: the reporter was asked to stop.
    """
    if unknown := [name for name in request.rows if name not in EFFORT_ROWS]:
        raise ConfigError(f"--rows {unknown[0]}: expected some of {', '.join(EFFORT_ROWS)}")
    raster, report = _folders(request.source)
    points: list[CurvePoint] = []
    for seed in request.seeds:
        for name in request.rows:
            root = request.out / "runs" / f"{slug(name)}-{seed}"
            reporter.say(f"— {name}, seed {seed} —")
            own = Request(root, raster, report, _config(request, name, seed))
            _run(own, request, name, reporter)
            points += read_points(root, name, seed)
            write_effort(points, request.answers, request.out)
    return points


def round_answers(points: Sequence[int]) -> list[int]:
    """Place rounds between the points of a curve: each adds half of the answers so far, 50 at least.

    Args:
        points: numbers of answers, rising.
    """
    goals: list[int] = []
    for point in points:
        reached = goals[-1] if goals else 0
        while reached < point:
            reached = min(point, max(reached + _FIRST_ROUND, int(reached * _GROWTH)))
            goals.append(reached)
    return goals


def _run(own: Request, request: EffortRequest, name: str, reporter: Reporter) -> None:
    """Run a row; the features of the scenes are the same for all rows, and computed once."""
    goals = round_answers(request.answers)
    if WorkspaceFolder.exists(own.root):
        workspace = WorkspaceFolder.open(own.root)
        given = workspace.metrics(workspace.current_round).get("answers") or 0
        if workspace.state.status == "done" and (name == FULL or given >= REACHED * goals[-1]):
            return
    shared, features = request.out / FEATURES, own.root / FEATURES
    create(own, reporter)
    if shared.is_dir() and not features.exists():
        shutil.copytree(shared, features)
    if name == FULL:
        train(own, reporter)
    else:
        simulate(own, goals, reporter, answer_live if name == LIVE else None)
    if shared.exists():
        shutil.rmtree(features)
    else:
        features.rename(shared)


def _folders(source: Path) -> tuple[Path, Path]:
    raster = source / "train" if (source / "train").is_dir() else source
    report = next((source / part for part in ("test", "val") if (source / part).is_dir()), None)
    if report is None:
        raise ConfigError(f"{source}: found neither test/ nor val/, expected scenes with labels to report on")
    return raster, report


def _config(request: EffortRequest, name: str, seed: int) -> Config:
    """Read the configuration of a row at once: values that depend on the method are filled in last."""
    path = request.source / CONFIG
    row = {**_LOOP, **EFFORT_ROWS[name], "train.seed": seed}
    changes = {"active.oracle_answers": "mixed", **(request.changes or {}), **row}
    return load_config(path if path.exists() else None, changes)
