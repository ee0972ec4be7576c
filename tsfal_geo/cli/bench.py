"""``tsfal-geo bench``: the paper's tables, on its datasets or on the user's data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tsfal_geo.cli.command import ReportedCommand
from tsfal_geo.cli.options import FOLDER, config_options
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.config import parse_set


@click.command("bench", cls=ReportedCommand)
@click.argument("name", metavar="TABLE", type=click.Choice(["table1", "table2", "table3", "table4"]))
@click.option(
    "--data",
    "source",
    type=FOLDER,
    help="The dataset as its owners ship it, or a folder that `datasets prepare` made (train/, val/, test/).",
)
@click.option(
    "--out",
    type=FOLDER,
    help="Folder for tables and runs; default: ./bench-TABLE, with --quick ./bench-TABLE-quick. A second "
    "call with the same folder continues where the first stopped.",
)
@click.option(
    "--seeds", type=click.IntRange(1), default=3, show_default=True, help="Number of seeds, from 0."
)
@click.option("--rows", help="Some of the table's rows, comma-separated; default: all rows.")
@click.option("--shares", help="Some of table1's labelled shares, comma-separated; default: all shares.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of trainings at a time; default: one for each GPU, one without a GPU.",
)
@click.option("--quick", is_flag=True, help="Use a tiny synthetic dataset and tiny networks, as a test.")
@config_options
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
    reporter: CommandReporter,
) -> dict[str, Any]:
    """Run a table of the paper and write its figures beside the published ones.

    table1: semi-supervised methods on Cityscapes; table2: active learning on Cityscapes; table3: active
    learning on ISPRS Vaihingen; table4: the contribution of each module on Vaihingen. --data may name any
    other dataset.
    """
    from tsfal_geo.config.reading import read_overrides
    from tsfal_geo.experiments.run_table import TableRequest, run_table

    out = out or Path(f"bench-{name}-quick" if quick else f"bench-{name}")
    changes = {**(read_overrides(config_path) if config_path else {}), **parse_set(settings)}
    request = TableRequest(
        name, source, out, range(seeds), _names(rows), _names(shares), workers, quick, changes
    )
    jobs = run_table(request, reporter)
    reporter.finish()
    for kind in ("csv", "md", "tex"):
        reporter.artefact("table", out / f"table.{kind}")
    return {"runs": len(jobs), "out": str(out)}


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]
