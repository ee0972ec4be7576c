"""``tsfal-geo ablation``: what each module adds, in a table and a curve."""

from __future__ import annotations

from pathlib import Path

import click

from tsfal_geo.cli.options import config_options, json_option
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.config import load_config, parse_set

_LABELLED = 0.15


@click.command("ablation")
@click.option(
    "--raster", required=True, type=click.Path(path_type=Path, file_okay=False), help="Training scenes."
)
@click.option(
    "--val",
    "val_dir",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Validation scenes.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Tables, curve, runs."
)
@click.option(
    "--seeds", type=click.IntRange(1), default=3, show_default=True, help="Number of seeds, from 0."
)
@click.option("--modes", help="Some of the rows, comma-separated; default: all of them.")
@click.option("--labelled", type=float, help="Labelled share at the start; default: 0.15.")
@click.option("--budget", type=float, help="Labelled share at the end; default: 0.09 more.")
@click.option("--rounds", type=int, help="Rounds of queries.")
@click.option("--steps", type=int, help="Optimisation steps of the first round.")
@config_options
@json_option
def command(
    raster: Path,
    val_dir: Path,
    out: Path,
    seeds: int,
    modes: str | None,
    labelled: float | None,
    budget: float | None,
    rounds: int | None,
    steps: int | None,
    config_path: Path | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run the rows of the paper's Table 4 with an oracle; run it again to go on where it stopped."""
    named = {
        "data.labelled": labelled,
        "active.budget": budget,
        "active.rounds": rounds,
        "train.steps": steps,
    }
    overrides = {**parse_set(settings), **{key: value for key, value in named.items() if value is not None}}
    config = load_config(config_path, overrides)
    if config.data.labelled is None and config.data.labelled_list is None:
        config = load_config(None, {"data.labelled": _LABELLED}, config)
    reporter = CommandReporter(as_json)
    from tsfal_geo.experiments.ablation import MODES, run_ablation

    names = [part.strip() for part in modes.split(",")] if modes else list(MODES)
    try:
        points = run_ablation(raster, val_dir, config, range(seeds), names, out, reporter)
    finally:
        reporter.finish()
    reporter.artefact("table", out / "table.md")
    reporter.artefact("curve", out / "curve.png")
    reporter.result({"points": len(points), "out": str(out)})
