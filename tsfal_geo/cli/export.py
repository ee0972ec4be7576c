"""``tsfal-geo export``: maps of every scene, and what belongs to them."""

from __future__ import annotations

import re
from pathlib import Path

import click

from tsfal_geo.cli.options import json_option, workspace_option
from tsfal_geo.cli.remote import RasterFolder, remote_option
from tsfal_geo.cli.reporter import CommandReporter


def _shard(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", value)
    if match is None or not int(match[1]) < int(match[2]):
        raise click.BadParameter(f"found {value}, expected I/N with I from 0 to N - 1, such as 0/8")
    return int(match[1]), int(match[2])


def _window(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | str | None:
    from pydantic import ValidationError

    from tsfal_geo.config import ExportConfig

    if value is None:
        return None
    given = {"window": int(value) if value.isdecimal() else value}
    try:
        return ExportConfig.model_validate(given).window
    except ValidationError:
        raise click.BadParameter(f"found {value}, expected a multiple of 4 from 64 on, or scene") from None


@click.command("export")
@workspace_option
@click.option(
    "--raster",
    type=RasterFolder(),
    help="Folder of the scenes to map, or address of one; default: the folder that was trained on.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the maps; default: maps/ in the workspace.",
)
@click.option("--confidence", is_flag=True, help="Also <name>_confidence.tif: 0 to 100.")
@click.option("--entropy", is_flag=True, help="Also <name>_entropy.tif: 0 to 100.")
@click.option(
    "--error-mask", is_flag=True, help="Also <name>_error_mask.tif: 0, or the chance of an error, 1 to 100."
)
@click.option("--probabilities", is_flag=True, help="Also <name>_probabilities.tif: a band a class.")
@click.option(
    "--source",
    is_flag=True,
    help="Also <name>_source.tif: who says the class; 0 the network, 1 PLAR's votes, 2 a label.",
)
@click.option(
    "--network-only",
    is_flag=True,
    help="The network's word everywhere, also where people labelled or PLAR mended it.",
)
@click.option(
    "--polygons", type=click.Choice(["gpkg", "parquet", "fgb"]), help="Also <name>_polygons in this format."
)
@click.option(
    "--min-area",
    type=click.FloatRange(0),
    help="Of a polygon, in m²; smaller ones are merged.  [default: 25 pixels]",
)
@click.option(
    "--png", is_flag=True, help="Also <name>_classes.png: class ids with a palette, no georeference."
)
@click.option("--preview", is_flag=True, help="Also <name>.png: orthophoto and map with a legend.")
@click.option(
    "--mosaic",
    type=click.Choice(["cog", "vrt"]),
    help="Also all maps as one; where scenes overlap, the first by name lies on top.",
)
@click.option(
    "--window",
    metavar="N|scene",
    callback=_window,
    help="Pixels a side, or scene for no windows; default: export.window in the workspace's tsfal.yaml.",
)
@click.option("--onnx", is_flag=True, help="Also model.onnx, for the QGIS plugin Deepness and others.")
@click.option(
    "--augment", is_flag=True, help="Mean over eight flips and turns: steadier, eight times the work."
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Divide the work among so many processes (Dask); it can be resumed.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Divide it among the workers of a Dask scheduler.")
@click.option(
    "--shard",
    callback=_shard,
    metavar="I/N",
    help="Do the I-th (from 0) of N parts; who is last puts them together.",
)
@remote_option
@json_option
def command(
    workspace: Path,
    raster: Path | str | None,
    out: Path | None,
    confidence: bool,
    entropy: bool,
    error_mask: bool,
    probabilities: bool,
    source: bool,
    network_only: bool,
    polygons: str | None,
    min_area: float | None,
    png: bool,
    preview: bool,
    mosaic: str | None,
    window: int | str | None,
    onnx: bool,
    augment: bool,
    workers: int | None,
    scheduler: str | None,
    shard: tuple[int, int] | None,
    as_json: bool,
) -> None:
    """Map every scene wall-to-wall: a cloud-optimised GeoTIFF with the scene's name and grid, a STAC item."""
    from tsfal_geo.project.export import ExportOptions
    from tsfal_geo.project.open_workspace import open_workspace

    flags = {
        "confidence": confidence,
        "entropy": entropy,
        "error_mask": error_mask,
        "probabilities": probabilities,
        "source": source,
    }
    layers = tuple(layer for layer, chosen in flags.items() if chosen)
    options = ExportOptions(
        layers, augment, polygons, min_area, png, preview, mosaic, onnx, workers, scheduler, shard, window,
        network_only,
    )  # fmt: skip
    if sum(value is not None for value in (workers, scheduler, shard)) > 1:
        raise click.UsageError("--workers, --scheduler and --shard exclude each other")
    reporter = CommandReporter(as_json)
    try:
        maps = open_workspace(workspace).export(raster, out=out, options=options, reporter=reporter)
    finally:
        reporter.finish()
    reporter.result({"maps": [str(files.classes) for files in maps]})
