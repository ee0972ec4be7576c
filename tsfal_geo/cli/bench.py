"""``tsfal-geo bench``: the paper's tables, on its datasets or on the user's data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tsfal_geo.cli.command import ReportedCommand
from tsfal_geo.cli.options import FOLDER, config_options
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.config import parse_set


@click.command("bench", cls=ReportedCommand)
@click.argument(
    "name", metavar="TABLE", type=click.Choice(["table1", "table2", "table3", "table4", "effort"])
)
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
@click.option("--seeds", type=click.IntRange(1), help="Number of seeds, from 0; default: 3, for effort 5.")
@click.option("--rows", help="Some of the table's rows, comma-separated; default: all rows.")
@click.option(
    "--answers", help="Numbers of answers that effort compares, comma-separated; default: 50 to 2000."
)
@click.option("--shares", help="Some of table1's labelled shares, comma-separated; default: all shares.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of trainings at a time; default: one for each GPU, one without a GPU.",
)
@click.option("--live", is_flag=True, help="Also run the row of effort that a live session plays.")
@click.option("--quick", is_flag=True, help="Use a tiny synthetic dataset and tiny networks, as a test.")
@config_options
def command(
    name: str,
    source: Path | None,
    out: Path | None,
    seeds: int | None,
    rows: str | None,
    answers: str | None,
    shares: str | None,
    workers: int | None,
    live: bool,
    quick: bool,
    config_path: Path | None,
    settings: tuple[str, ...],
    reporter: CommandReporter,
) -> dict[str, Any]:
    """Run a table of the paper and write its figures beside the published ones.

    table1: semi-supervised methods on Cityscapes; table2: active learning on Cityscapes; table3: active
    learning on ISPRS Vaihingen; table4: the contribution of each module on Vaihingen. --data may name any
    other dataset.

    effort: mIoU over a person's answers and minutes from no labels on, by way of asking; an oracle answers.
    """
    from tsfal_geo.config.reading import read_overrides

    changes = {**(read_overrides(config_path) if config_path else {}), **parse_set(settings)}
    if name == "effort":
        refused = {"--shares": shares, "--workers": workers, "--quick": quick}
        if given := [option for option, value in refused.items() if value]:
            raise click.UsageError(f"{given[0]} does not apply to effort, which has one training at a time")
        if source is None:
            raise click.UsageError(
                "effort needs --data FOLDER: training scenes in train/ or in the folder itself, scenes to "
                "report on in test/ or val/"
            )
        numbers = range(seeds or 5)
        return _effort(source, out, numbers, _names(rows), answers, changes, reporter, live=live)
    if live:
        raise click.UsageError(f"--live applies to effort alone, not to {name}")
    if answers:
        raise click.UsageError(f"--answers applies to effort alone, not to {name}")
    from tsfal_geo.experiments.run_table import TableRequest, run_table

    out = out or Path(f"bench-{name}-quick" if quick else f"bench-{name}")
    request = TableRequest(
        name, source, out, range(seeds or 3), _names(rows), _names(shares), workers, quick, changes
    )
    jobs = run_table(request, reporter)
    reporter.finish()
    for kind in ("csv", "md", "tex"):
        reporter.artefact("table", out / f"table.{kind}")
    return {"runs": len(jobs), "out": str(out)}


def _effort(
    source: Path,
    out: Path | None,
    seeds: Sequence[int],
    rows: list[str] | None,
    answers: str | None,
    changes: dict[str, Any],
    reporter: CommandReporter,
    *,
    live: bool,
) -> dict[str, Any]:
    from tsfal_geo.experiments.effort import ANSWERS, DEFAULT_ROWS, LIVE, EffortRequest, run_effort

    out = out or Path("bench-effort")
    numbers = ANSWERS if answers is None else _numbers(answers)
    chosen = [*(rows or DEFAULT_ROWS), *([LIVE] if live else [])]
    points = run_effort(EffortRequest(source, out, seeds, numbers, chosen, changes), reporter)
    reporter.finish()
    for kind in ("csv", "md"):
        reporter.artefact("table", out / f"table.{kind}")
    reporter.artefact("curve", out / "curve.png")
    return {"runs": len({(point.mode, point.seed) for point in points}), "out": str(out)}


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or numbers != sorted(set(numbers)) or numbers[0] < 1:
        raise click.UsageError(f"--answers {text}: expected rising whole numbers, such as 50,100,200")
    return numbers


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]
