"""The ablation of Ma, Karakus, Rosin 2025, Table 4: its rows take the same number of optimisation steps."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tsfal_geo.config import Config, load_config
from tsfal_geo.errors import ConfigError
from tsfal_geo.experiments.curves import CurvePoint, XAxis, read_points, write_results
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
"""The rows' names and their configuration changes.

Rows without queries spend the steps of all rounds in one round, so that no row trains longer than another.
"""

FIRST = "all"
"""The row whose first training all rows with queries share; they differ only from the first queries on."""


def run_ablation(
    raster_dir: Path,
    val_dir: Path,
    config: Config,
    seeds: Sequence[int],
    modes: Sequence[str],
    out: Path,
    reporter: Reporter,
    x_axis: XAxis = "pixels",
) -> list[CurvePoint]:
    """Run every mode with every seed and write table and curve after each run; finished runs are only read.

    Args:
        raster_dir: folder of the training scenes, with labels.
        val_dir: folder of the validation scenes, with labels.
        config: the configuration that the modes change.
        seeds: the runs' seeds.
        modes: names of rows, keys of `MODES`.
        out: folder of the table and the curve; the runs are in its ``runs/``.
        reporter: receives progress.
        x_axis: of the curve.

    Returns:
        The trained rounds of all runs.

    Raises:
        ConfigError: an unknown mode.
        UserError: the errors of `tsfal_geo.rounds.loop.train`.
        Cancelled: the reporter was asked to stop.
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
            write_results(points, out, x_axis)
    return points


def mode_config(config: Config, mode: str, seed: int) -> Config:
    """Make the configuration of a row.

    Args:
        config: the configuration that the row changes.
        mode: the row's name, a key of `MODES`.
        seed: the run's seed.

    Returns:
        The row's configuration, whose queries an oracle answers.

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
    """Fill the batch of a row of full supervision, which has no unlabelled images.

    Args:
        changes: the row's configuration changes.
        labelled: labelled images in a step of the other rows.
        unlabelled: unlabelled images in a step of the other rows.

    Returns:
        Additional changes, which give the row as many images in a step; empty for all other rows.
    """
    if changes.get("train.method") != "supervised" or changes.get("data.labelled") != 1.0:
        return {}
    return {"train.batch_labelled": labelled + unlabelled}


def slug(mode: str) -> str:
    """Turn a row's name into a part of a folder's name.

    Args:
        mode: the row's name.

    Returns:
        The name's letters and digits in lower case, with hyphens between the words.
    """
    return "-".join(re.findall("[a-z0-9]+", mode.lower()))


def branch_off(request: Request, first: Request, reporter: Reporter) -> None:
    """Begin a row with a copy of a shared first training, and select queries with the row's own strategy.

    Args:
        request: the row's request; a row that is past its first training stays as it is.
        first: the request of the shared training, without an oracle, so that it stops after its queries.
        reporter: receives progress.

    Raises:
        UserError: the errors of `tsfal_geo.rounds.loop.train`.
        Cancelled: the reporter was asked to stop.
    """
    if WorkspaceFolder.exists(request.root) and WorkspaceFolder.open(request.root).current_round > 0:
        return
    begin(first, reporter)
    shutil.rmtree(request.root, ignore_errors=True)
    copy_workspace(first.root, request.root)
    query(request, reporter)


def begin(first: Request, reporter: Reporter) -> None:
    """Run a shared first training to its end, unless a call has already done so.

    Args:
        first: the request of the shared training.
        reporter: receives progress.

    Raises:
        UserError: the errors of `tsfal_geo.rounds.loop.train`.
        Cancelled: the reporter was asked to stop.
    """
    if not WorkspaceFolder.exists(first.root) or WorkspaceFolder.open(first.root).current_round < 0:
        train(first, reporter)
