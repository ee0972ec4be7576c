"""A table's results: ours as mean ± standard deviation over the seeds, what was published, the difference."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from tsfal_geo.active.ablation import csv_text, markdown, read_points, spread
from tsfal_geo.bench.jobs import Job, cost
from tsfal_geo.bench.paper import PAPER
from tsfal_geo.bench.tables import Table
from tsfal_geo.workspace.atomic import write_text

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


def entries(table: Table, job: Job) -> list[Entry]:
    """What a finished job gives to its table, in per cent: the last training's figures."""
    last = read_points(job.request.root, job.row, job.seed)[-1]
    if table.shares:
        return [Entry(job.row, job.share, job.seed, 100 * last.miou)]
    values = {"labelled": last.labelled_share, "mIoU": last.miou, **last.class_iou}
    return [Entry(job.row, column, job.seed, 100 * value) for column, value in values.items()]


def write(table: Table, jobs: Sequence[Job], out: Path, *, published: bool) -> None:
    """Write ``results.csv`` (a run a line), ``table.csv``, ``table.md``, ``table.tex`` and ``notes.json``.

    Args:
        table: which.
        jobs: finished ones.
        out: folder of the files.
        published: set the paper's figures beside ours, which have to be of the same data then.
    """
    paper = {key[1:]: value for key, value in PAPER.items() if published and key[0] == table.name}
    found = [entry for job in jobs for entry in entries(table, job)]
    lines = [[e.row, e.column, e.seed, f"{e.value:.4f}"] for e in found]
    write_text(out / "results.csv", csv_text(["row", "column", "seed", "value"], lines))
    rows = list(dict.fromkeys(e.row for e in found))
    columns = list(dict.fromkeys(e.column for e in found))
    costs = relative_costs(jobs)
    header, body = ["system"], [[row] for row in rows]
    for column in columns:
        compared = any((row, column) in paper for row in rows)
        header += [column, *([f"{column}, paper", "difference"] if compared else [])]
        for row, cells in zip(rows, body, strict=True):
            values = [e.value for e in found if (e.row, e.column) == (row, column)]
            cells += _cells(values, paper.get((row, column)), compared)
    header += ["cost of a step", "seeds"]
    for row, cells in zip(rows, body, strict=True):
        seeds = {e.seed for e in found if e.row == row}
        cells += [f"{costs[row]:.2f} ×" if row in costs else _MISSING, str(len(seeds))]
    write_text(out / "table.csv", csv_text(header, body))
    write_text(out / "table.md", markdown(header, body))
    write_text(out / "table.tex", latex(table.title, header, body))
    configs = {job.request.root.name: job.request.config.model_dump(mode="json") for job in jobs}
    write_text(out / "notes.json", json.dumps({"table": table.name, "runs": configs}, indent=1))


def relative_costs(jobs: Sequence[Job]) -> Mapping[str, float]:
    """Each row's cost of a step in those of the supervised one; empty where that was not measured whole."""
    seconds: dict[str, list[float]] = {}
    for job in jobs:
        value = cost(job)
        if value is not None:
            seconds.setdefault(job.row, []).append(value)
    plain = [
        value
        for job in jobs
        if job.request.config.train.method == "supervised" and job.row in seconds
        for value in seconds[job.row]
    ]
    return {row: mean(values) / mean(plain) for row, values in seconds.items()} if plain else {}


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
    known = paper is not None and bool(values)
    return [
        ours,
        _MISSING if paper is None else f"{paper:.2f}",
        f"{mean(values) - paper:+.2f}" if known and paper is not None else _MISSING,
    ]


def _escaped(text: str) -> str:
    for sign in "&%_#$":
        text = text.replace(sign, "\\" + sign)
    return text.replace("±", r"$\pm$").replace("×", r"$\times$").replace("–", "--")
