"""Results of a table: mean ± standard deviation over the seeds, the paper's figure, and the difference."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

from tsfal_geo.atomic import write_text
from tsfal_geo.experiments.cost import machine_of, relative_costs
from tsfal_geo.experiments.curves import read_points
from tsfal_geo.experiments.formats import csv_text, latex, markdown, spread
from tsfal_geo.experiments.jobs import ExperimentJob
from tsfal_geo.experiments.tables import PAPER, Table

_MISSING = "–"


@dataclass(frozen=True)
class Entry:
    """A figure of a run.

    Attributes:
        row: the row's name, which is a method's.
        column: a labelled share's name, ``labelled``, ``answers``, ``minutes``, ``mIoU``, ``map`` or a class
            name.
        seed: the run's seed.
        value: the figure; shares and IoU in per cent.
    """

    row: str
    column: str
    seed: int
    value: float


def entries(table: Table, job: ExperimentJob) -> list[Entry]:
    """Read the figures of a finished job's last training.

    Args:
        table: the job's table.
        job: a finished job.

    Returns:
        The mIoU alone in tables with labelled shares; otherwise also the labelled share, annotators' answers
        and minutes where the run knows them, the mIoU of the training scenes' map where it measured it, and
        the classes' IoU.

    Raises:
        WorkspaceError: the job's folder is not a readable workspace.
    """
    last = read_points(job.request.root, job.row, job.seed)[-1]
    if table.shares:
        return [Entry(job.row, job.share, job.seed, 100 * last.miou)]
    values = {
        "labelled": 100 * last.labelled_share,
        "answers": last.answers,
        "minutes": last.minutes,
        "mIoU": 100 * last.miou,
        **{name: 100 * value for name, value in last.class_iou.items()},
        "map": None if last.map_miou is None else 100 * last.map_miou,
    }
    return [Entry(job.row, name, job.seed, value) for name, value in values.items() if value is not None]


def write(table: Table, jobs: Sequence[ExperimentJob], out: Path, *, published: bool) -> None:
    """Write ``results.csv``, ``table.csv``, ``table.md``, ``table.tex`` and ``notes.json``.

    A line of ``results.csv`` is a figure of a run.

    Args:
        table: the table, whose order rows and labelled shares keep.
        jobs: the finished jobs.
        out: folder of the files.
        published: add the paper's figures and the differences; the jobs' data must be the paper's.

    Raises:
        WorkspaceError: a job's folder is not a readable workspace.
    """
    paper = {key[1:]: value for key, value in PAPER.items() if published and key[0] == table.name}
    found = [entry for job in jobs for entry in entries(table, job)]
    lines = [[e.row, e.column, e.seed, f"{e.value:.4f}"] for e in found]
    write_text(out / "results.csv", csv_text(["row", "column", "seed", "value"], lines))
    rows = [row.name for row in table.rows if any(e.row == row.name for e in found)]
    columns = [
        column
        for column in table.shares or dict.fromkeys(e.column for e in found)
        if any(e.column == column for e in found)
    ]
    compared = [column for column in columns if any((row, column) in paper for row in rows)]
    header, body = ["system"], [[row] for row in rows]
    for column in columns:
        header.append(column)
        if column in compared:
            header += [f"{column}, paper", f"{column}, difference" if len(compared) > 1 else "difference"]
        for row, cells in zip(rows, body, strict=True):
            values = [e.value for e in found if (e.row, e.column) == (row, column)]
            cells += _cells(values, paper.get((row, column)), column in compared)
    reference, costs = relative_costs(jobs, rows)
    header += [f"cost of a step ({reference} = 1)" if reference else "cost of a step", "seeds"]
    for row, cells in zip(rows, body, strict=True):
        seeds = {e.seed for e in found if e.row == row}
        cells += [f"{costs[row]:.2f} ×" if row in costs else _MISSING, str(len(seeds))]
    write_text(out / "table.csv", csv_text(header, body))
    write_text(out / "table.md", markdown(header, body))
    write_text(out / "table.tex", latex(table.title, header, body))
    runs = {job.request.root.name: _note(job) for job in jobs}
    write_text(out / "notes.json", json.dumps({"table": table.name, "runs": runs}, indent=1))


def _note(job: ExperimentJob) -> dict[str, Any]:
    """Read a finished run's machine, configuration and package versions, which later calls may not have."""
    kept = yaml.safe_load((job.request.root / "tsfal.yaml").read_text(encoding="utf-8"))
    return {"machine": machine_of(job), **kept}


def _cells(values: Sequence[float], paper: float | None, compared: bool) -> list[str]:
    ours = spread(values) if values else _MISSING
    if not compared:
        return [ours]
    comparable = paper is not None and bool(values)
    return [
        ours,
        _MISSING if paper is None else f"{paper:.2f}",
        f"{mean(values) - paper:+.2f}" if comparable and paper is not None else _MISSING,
    ]
