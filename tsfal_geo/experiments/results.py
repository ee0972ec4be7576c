"""A table's results: ours as mean ± standard deviation over the seeds, what was published, the difference."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

from tsfal_geo.atomic import write_text
from tsfal_geo.experiments.ablation import csv_text, markdown, read_points, spread
from tsfal_geo.experiments.cost import machine_of, relative_costs
from tsfal_geo.experiments.jobs import ExperimentJob
from tsfal_geo.experiments.tables import PAPER, Table

_MISSING = "–"


@dataclass(frozen=True)
class Entry:
    """One figure of one run.

    Attributes:
        row: the system.
        column: labelled share, ``mIoU`` or a class.
        seed: of the run.
        value: per cent.
    """

    row: str
    column: str
    seed: int
    value: float


def entries(table: Table, job: ExperimentJob) -> list[Entry]:
    """What a finished job gives to its table, in per cent: the last training's figures."""
    last = read_points(job.request.root, job.row, job.seed)[-1]
    if table.shares:
        return [Entry(job.row, job.share, job.seed, 100 * last.miou)]
    values = {"labelled": last.labelled_share, "mIoU": last.miou, **last.class_iou}
    if last.map_miou is not None:
        values["map"] = last.map_miou
    return [Entry(job.row, column, job.seed, 100 * value) for column, value in values.items()]


def write(table: Table, jobs: Sequence[ExperimentJob], out: Path, *, published: bool) -> None:
    """Write ``results.csv`` (a run a line), ``table.csv``, ``table.md``, ``table.tex`` and ``notes.json``.

    Args:
        table: which; rows and labelled shares keep its order.
        jobs: finished ones.
        out: folder of the files.
        published: set the paper's figures beside ours, which have to be of the same data then.
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
    """The machine, the configuration and the package versions that a finished run had."""
    kept = yaml.safe_load((job.request.root / "tsfal.yaml").read_text(encoding="utf-8"))
    return {"machine": machine_of(job), **kept}


def latex(title: str, header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table for a paper that uses booktabs."""
    lines = [
        r"\begin{table}",
        rf"\caption{{{_escaped(title)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"\toprule",
        " & ".join(map(_escaped, header)) + r" \\",
        r"\midrule",
        *(" & ".join(map(_escaped, row)) + r" \\" for row in body),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


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


def _escaped(text: str) -> str:
    for sign in "&%_#$":
        text = text.replace(sign, "\\" + sign)
    return text.replace("±", r"$\pm$").replace("×", r"$\times$").replace("–", "--")
