"""``tsfal-geo ablation``: the contribution of each module, as a table and a curve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.command import ReportedCommand
from tsfal_geo.cli.options import FOLDER, budget_options, budget_overrides, config_options
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.config import load_config, parse_set

if TYPE_CHECKING:
    from tsfal_geo.experiments.curves import XAxis

_LABELLED = 0.15


@click.command("ablation", cls=ReportedCommand)
@click.option("--raster", required=True, type=FOLDER, help="Folder of the training scenes, with labels.")
@click.option(
    "--val", "val_dir", required=True, type=FOLDER, help="Folder of the validation scenes, with labels."
)
@click.option("--out", required=True, type=FOLDER, help="Folder for tables, curve and runs.")
@click.option(
    "--seeds", type=click.IntRange(1), default=3, show_default=True, help="Number of seeds, from 0."
)
@click.option("--modes", help="Some of the rows, comma-separated; default: all rows.")
@click.option("--labelled", type=float, help="Labelled share at the start; default: 0.15.")
@budget_options
@click.option("--rounds", type=int, help="Number of query rounds.")
@click.option("--steps", type=int, help="Optimisation steps of the first round.")
@click.option(
    "--x-axis",
    type=click.Choice(["pixels", "answers", "minutes"]),
    default="pixels",
    show_default=True,
    help="Unit of the annotators' work along the curve.",
)
@config_options
def command(
    raster: Path,
    val_dir: Path,
    out: Path,
    seeds: int,
    modes: str | None,
    labelled: float | None,
    rounds: int | None,
    steps: int | None,
    x_axis: XAxis,
    config_path: Path | None,
    settings: tuple[str, ...],
    reporter: CommandReporter,
    **limits: Any,
) -> dict[str, Any]:
    """Run the rows of the paper's Table 4; an oracle answers the queries.

    The same command again continues where it stopped.
    """
    named = {
        "data.labelled": labelled,
        "active.rounds": rounds,
        "train.steps": steps,
    }
    given = {key: value for key, value in named.items() if value is not None}
    overrides = {**parse_set(settings), **given, **budget_overrides(limits)}
    config = load_config(config_path, overrides)
    if config.data.labelled is None and config.data.labelled_list is None:
        config = load_config(None, {"data.labelled": _LABELLED}, config)
    from tsfal_geo.experiments.ablation import MODES, run_ablation

    names = [part.strip() for part in modes.split(",")] if modes else list(MODES)
    points = run_ablation(raster, val_dir, config, range(seeds), names, out, reporter, x_axis)
    reporter.finish()
    reporter.artefact("table", out / "table.md")
    reporter.artefact("curve", out / "curve.png")
    return {"points": len(points), "out": str(out)}
