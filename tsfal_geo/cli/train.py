"""``tsfal-geo train``: train rounds and select queries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import parse_qs, urlsplit

import click

from tsfal_geo.cli.command import ReportedCommand
from tsfal_geo.cli.options import (
    FILE,
    FOLDER,
    aoi_option,
    bands_option,
    budget_options,
    budget_overrides,
    config_options,
    crs_option,
    duration,
    map_option,
    raster_option,
)
from tsfal_geo.cli.remote import remote_option
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.config import Method, QueryStrategy, load_config, parse_set
from tsfal_geo.errors import ConfigError, UserError

if TYPE_CHECKING:
    from tsfal_geo.workspace.folder import WorkspaceFolder


@click.command("train", cls=ReportedCommand)
@raster_option
@click.option(
    "--workspace", type=FOLDER, help="Folder of the project; default: ./<name of the raster folder>-tsfal."
)
@click.option(
    "--labelled", type=float, help="Share of the chips whose labels training uses; the seed draws them."
)
@click.option(
    "--labelled-list",
    type=FILE,
    help="Text file with the names of the scenes whose labels training uses, one a line.",
)
@click.option("--method", type=click.Choice(get_args(Method)), help="Training method; default: tsf.")
@bands_option
@click.option(
    "--dsm",
    type=click.Choice(["auto", "use", "ignore"]),
    help="Heights above local ground as an extra channel; auto: if all scenes have DSMs.",
)
@click.option("--weights", help="Weights of the encoder: bundled, imagenet, a name of torchgeo's, or a file.")
@click.option(
    "--from",
    "start",
    type=click.Path(path_type=Path),
    help="Start from this model: a workspace, a folder with a model, or a zip of `tsfal-geo model export`.",
)
@click.option("--steps", type=int, help="Optimisation steps of the first round.")
@click.option(
    "--time",
    "seconds",
    callback=duration,
    metavar="DURATION",
    help="Time of each training on this machine, such as 20m or 1h30m, in place of --steps.",
)
@click.option("--seed", type=int, help="Seed of all random numbers.")
@map_option
@crs_option
@aoi_option
@click.option("--val", "val_dir", type=FOLDER, help="Folder of validation scenes, with labels.")
@budget_options
@click.option("--rounds", type=int, help="Number of query rounds that share the budget.")
@click.option("--strategy", type=click.Choice(get_args(QueryStrategy)), help="Strategy that selects queries.")
@click.option(
    "--oracle", is_flag=True, default=None, help="Let the folder's labels answer the queries (simulation)."
)
@click.option("--store", help="Label store: postgresql://… for teams; default: GeoPackages in the workspace.")
@click.option("--fresh", is_flag=True, help="Start over; earlier rounds move to the workspace's archive/.")
@config_options
@remote_option
def command(
    raster: Path | None,
    workspace: Path | None,
    config_path: Path | None,
    settings: tuple[str, ...],
    val_dir: Path | None,
    store: str | None,
    fresh: bool,
    start: Path | None,
    reporter: CommandReporter,
    **options: Any,
) -> dict[str, Any]:
    """Train on a folder of orthophotos and write queries.

    The same command again continues where it stopped, or trains the next round on new labels.
    """
    if raster is None and workspace is None:
        raise UserError("found neither --raster nor --workspace; expected tsfal-geo train --raster DIR")
    if workspace is None:
        assert raster is not None
        workspace = Path(f"{raster.resolve().name}-tsfal")
    if store and (urlsplit(store).password or "password" in parse_qs(urlsplit(store).query)):
        raise UserError("--store: found a password in the URL, which the workspace would keep; use ~/.pgpass")
    overrides = {**_start(start), **parse_set(settings), **_overrides(options)}

    from tsfal_geo.project.open_workspace import create_workspace, open_workspace
    from tsfal_geo.workspace.folder import WorkspaceFolder

    existing = WorkspaceFolder.open(workspace) if WorkspaceFolder.exists(workspace) else None
    base = None if existing is None or fresh or config_path else existing.config
    config = load_config(config_path, overrides, base)
    if existing is None or fresh:
        opened = create_workspace(
            workspace,
            _rasters(workspace, raster, existing),
            val_dir or (existing.state.val_dir if existing else None),
            config,
            store=store,
            fresh=fresh,
            reporter=reporter,
        )
    else:
        opened = open_workspace(workspace, config=config, rasters=raster, validation=val_dir, store=store)
    return opened.train(reporter).to_json()


def _start(path: Path | None) -> dict[str, Any]:
    """Give the settings of a network that starts from a model: the model's own."""
    if path is None:
        return {}
    from tsfal_geo.models.start import structure_of

    return {**structure_of(path), "model.start": str(path.resolve())}


def _rasters(workspace: Path, raster: Path | None, existing: WorkspaceFolder | None) -> Path:
    if raster is not None:
        return raster
    if existing is None:
        raise UserError(f"{workspace}: no workspace there yet; give its rasters with --raster DIR")
    return existing.raster_dir


def _overrides(options: dict[str, Any]) -> dict[str, Any]:
    bands = options.get("bands")
    try:
        numbers = [int(part) for part in bands.split(",")] if bands else None
    except ValueError:
        raise ConfigError(f"--bands {bands}: expected band numbers from 1, such as 4,1,2") from None
    listed = options["labelled_list"]
    named = {
        "label_values": options["label_values"] or None,
        "data.bands": numbers,
        "data.crs": options["crs"],
        "data.aoi": options["aoi"] and str(options["aoi"].resolve()),
        "data.dsm": options["dsm"],
        "data.labelled": options["labelled"],
        "data.labelled_list": listed and str(listed.resolve()),
        "model.weights": options["weights"],
        "train.method": options["method"],
        "train.steps": options["steps"],
        "train.seconds": options["seconds"],
        "train.seed": options["seed"],
        "active.rounds": options["rounds"],
        "active.strategy": options["strategy"],
        "active.oracle": options["oracle"],
    }
    given = {key: value for key, value in named.items() if value is not None}
    return {**given, **budget_overrides(options)}
