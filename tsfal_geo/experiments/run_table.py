"""A table of the paper from end to end: prepare the data, run the trainings, write the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsfal_geo.config import Config, load_config
from tsfal_geo.datasets.adapter import CONFIG, LISTS_FOLDER, open_prepared
from tsfal_geo.datasets.registry import DATASETS
from tsfal_geo.errors import ConfigError, UserError
from tsfal_geo.experiments.folder import TableSource, check, claimed, table_lock
from tsfal_geo.experiments.jobs import Data, ExperimentJob, Plan, begun_jobs, jobs_of
from tsfal_geo.experiments.results import write
from tsfal_geo.experiments.running import run_jobs
from tsfal_geo.experiments.tables import QUICK, TABLES, Changes, Table
from tsfal_geo.reporting import Reporter


@dataclass(frozen=True)
class TableRequest:
    """A request to run a table.

    Attributes:
        name: the table, a key of `tsfal_geo.experiments.tables.TABLES`.
        source: the dataset as its owners ship it, or a folder with ``train/`` and ``val/`` or ``test/``;
            None: a synthetic fixture.
        out: folder for data, runs and tables; a second call continues there.
        seeds: the runs' seeds.
        rows: names of the selected rows; None: all of them.
        shares: names of the selected labelled shares; None: all of them.
        workers: number of trainings at a time; None: one for each GPU, one without a GPU.
        quick: use tiny networks and a few steps.
        changes: the user's configuration changes, by dotted key.
    """

    name: str
    source: Path | None
    out: Path
    seeds: Sequence[int]
    rows: Sequence[str] | None = None
    shares: Sequence[str] | None = None
    workers: int | None = None
    quick: bool = False
    changes: Changes | None = None


def run_table(request: TableRequest, reporter: Reporter) -> list[ExperimentJob]:
    """Run a table's trainings that are not done, and write the table after each of them.

    Args:
        request: the table, its data and its folder.
        reporter: receives progress.

    Returns:
        The jobs of the request, all of them done.

    Raises:
        ConfigError: a row, a share or a configuration key that does not exist, or runs with another
            configuration.
        UserError: there are no data, the folder holds runs of other data, or a training fails.
        Cancelled: the reporter was asked to stop.
    """
    table, out, quick = TABLES[request.name], request.out, request.quick
    if request.source is None and not quick:
        raise UserError(
            f"bench {table.name}: no data given; expected --data FOLDER ({table.dataset} as its owners ship "
            "it: see `tsfal-geo datasets list`), or --quick"
        )
    rows = _selected("rows", request.rows, [row.name for row in table.rows], table)
    shares = _selected("shares", request.shares, list(table.shares), table)
    origin = None if request.source is None else str(request.source.resolve())
    with claimed(out, TableSource(table.name, origin, quick), reporter):
        data = _prepare(table, request.source, out, quick, reporter)
    changes = {**(QUICK if quick else {}), **(request.changes or {})}
    plan = Plan(table, data, out, changes, most_rounds=1 if quick else None)
    jobs, begun = jobs_of(plan, request.seeds, rows, shares), begun_jobs(plan)
    check([*jobs, *begun])

    def write_tables(_ended: ExperimentJob | None = None) -> None:
        # Other calls, also on other machines, may have finished rows of this table.
        with table_lock(out, reporter):
            finished = [job for job in begun_jobs(plan) if job.done]
            write(table, finished, out, published=not quick and data.is_of(table))

    if any(job.done for job in begun):
        write_tables()
    run_jobs(jobs, request.workers or _gpu_count(), reporter, write_tables)
    return jobs


def _selected(option: str, chosen: Sequence[str] | None, names: list[str], table: Table) -> Sequence[str]:
    if chosen is None:
        return names
    if unknown := [name for name in chosen if name not in names]:
        expected = f"some of {', '.join(names)}" if names else f"none: {table.name} has no {option}"
        raise ConfigError(f"--{option} {unknown[0]}: expected {expected}")
    return chosen


def _prepare(table: Table, source: Path | None, out: Path, quick: bool, reporter: Reporter) -> Data:
    """Find the scenes; prepare shipped files and fixtures once, in ``out/data``."""
    adapter = DATASETS[table.dataset]
    made = out / "data"
    options: dict[str, Any] = dict(table.options)
    if source is None:
        source = out / "fixture"
        options |= adapter.fixture_options
        if not source.exists():
            adapter.fixture(source, 0)
    if (source / "train").is_dir() and any((source / split).is_dir() for split in ("val", "test")):
        folder = source
    elif made.exists():
        folder = open_prepared(made).config.parent
    else:
        prepared = adapter.prepare(source, made, reporter.progress, **options)
        for note in prepared.notes:
            reporter.say(note)
        folder = made
    report = folder / table.report_on
    if not report.is_dir():
        report = folder / ("test" if table.report_on == "val" else "val")
        reporter.warning(f"{folder}: found no {table.report_on}/; the table reports {report.name}/")
    lists = folder / LISTS_FOLDER
    config = folder / CONFIG
    base = load_config(config) if config.exists() else Config()
    return Data(folder / "train", report, lists if lists.is_dir() and not quick else None, base)


def _gpu_count() -> int:
    import torch

    return max(1, torch.cuda.device_count())
