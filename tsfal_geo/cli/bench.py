"""``tsfal-geo bench``: the paper's tables, on its data or on one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.options import config_options, json_option
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.config import Config, load_config, parse_set
from tsfal_geo.errors import ConfigError, UserError

if TYPE_CHECKING:
    from tsfal_geo.experiments.jobs import Data
    from tsfal_geo.experiments.tables import Table


@click.command("bench")
@click.argument("name", metavar="TABLE", type=click.Choice(["table1", "table2", "table3", "table4"]))
@click.option(
    "--data",
    "source",
    type=click.Path(path_type=Path, file_okay=False),
    help="The dataset as its owners ship it, or a folder that `datasets prepare` made (train/, val/, test/).",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Tables and runs; default: ./bench-TABLE (with --quick ./bench-TABLE-quick). The same folder again "
    "goes on where it stopped.",
)
@click.option(
    "--seeds", type=click.IntRange(1), default=3, show_default=True, help="Number of seeds, from 0."
)
@click.option("--rows", help="Some of the systems, comma-separated; default: all of them.")
@click.option("--shares", help="Some of table1's labelled shares, comma-separated; default: all of them.")
@click.option(
    "--workers", type=click.IntRange(1), help="Trainings at a time; default: one a GPU, one without a GPU."
)
@click.option("--quick", is_flag=True, help="Tiny made-up data and networks: shows that everything runs.")
@config_options
@json_option
def command(
    name: str,
    source: Path | None,
    out: Path | None,
    seeds: int,
    rows: str | None,
    shares: str | None,
    workers: int | None,
    quick: bool,
    config_path: Path | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run a table of the paper and write ours beside what was published.

    table1: semi-supervised systems on Cityscapes; table2: active learning on Cityscapes; table3: the same on
    ISPRS Vaihingen; table4: what each module adds, on Vaihingen. With --data any dataset can stand in.
    """
    reporter = CommandReporter(as_json)
    from tsfal_geo.experiments.folder import TableSource, check, claimed, table_lock
    from tsfal_geo.experiments.jobs import ExperimentJob, Plan, begun_jobs, jobs_of
    from tsfal_geo.experiments.results import write
    from tsfal_geo.experiments.running import run_jobs
    from tsfal_geo.experiments.tables import QUICK, TABLES

    table = TABLES[name]
    if source is None and not quick:
        raise UserError(
            f"bench {name}: no data given; expected --data FOLDER ({table.dataset} as its owners ship "
            "it: see `tsfal-geo datasets list`), or --quick"
        )
    out = out or Path(f"bench-{name}-quick" if quick else f"bench-{name}")
    wanted = range(seeds), _rows(table, rows), _shares(table, shares)
    try:
        with claimed(out, TableSource(name, str(source.resolve()) if source else None, quick), reporter):
            data = _prepared(table, source, out, quick, reporter)
        changes = {**(QUICK if quick else {}), **_flat(config_path), **parse_set(settings)}
        plan = Plan(table, data, out, changes, most_rounds=1 if quick else None)
        jobs, begun = jobs_of(plan, *wanted), begun_jobs(plan)
        check([*jobs, *begun])

        def write_tables(_ended: ExperimentJob | None = None) -> None:
            # Other calls, also on other machines, may have finished rows of this table.
            with table_lock(out, reporter):
                finished = [job for job in begun_jobs(plan) if job.done]
                write(table, finished, out, published=not quick and data.is_of(table))

        if any(job.done for job in begun):
            write_tables()
        run_jobs(jobs, workers or _devices(), reporter, write_tables)
    finally:
        reporter.finish()
    for kind in ("csv", "md", "tex"):
        reporter.artefact("table", out / f"table.{kind}")
    reporter.result({"runs": len(jobs), "out": str(out)})


def _rows(table: Table, chosen: str | None) -> list[str]:
    return _some("--rows", chosen, [row.name for row in table.rows], table)


def _shares(table: Table, chosen: str | None) -> list[str]:
    return _some("--shares", chosen, list(table.shares), table)


def _some(option: str, chosen: str | None, known: list[str], table: Table) -> list[str]:
    names = known if chosen is None else [part.strip() for part in chosen.split(",")]
    if wrong := [name for name in names if name not in known]:
        there = f"some of {', '.join(known)}" if known else f"none: {table.name} has no {option[2:]}"
        raise ConfigError(f"{option} {wrong[0]}: expected {there}")
    return names


def _prepared(table: Table, source: Path | None, out: Path, quick: bool, reporter: CommandReporter) -> Data:
    """The folders to train on and to report on; made once, under ``out/data``, of what the owners ship."""
    from tsfal_geo.datasets.adapter import CONFIG, open_prepared
    from tsfal_geo.datasets.registry import DATASETS
    from tsfal_geo.experiments.jobs import Data

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
        reporter.warning(f"{folder}: no {table.report_on}/; figures are of {report.name}/")
    lists = folder / "splits"
    config = folder / CONFIG
    base = load_config(config) if config.exists() else Config()
    return Data(folder / "train", report, lists if lists.is_dir() and not quick else None, base)


def _flat(path: Path | None) -> dict[str, Any]:
    """A YAML file's sections as dotted keys, to be laid over a table's own configuration."""
    if path is None:
        return {}
    import yaml

    load_config(path)  # says what is wrong with it
    values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    flat: dict[str, Any] = {}
    for section, content in values.items():
        if isinstance(content, dict):
            flat |= {f"{section}.{key}": value for key, value in content.items()}
        else:
            flat[section] = content
    return flat


def _devices() -> int:
    import torch

    return max(1, torch.cuda.device_count())
