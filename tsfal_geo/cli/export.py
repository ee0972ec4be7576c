"""``tsfal-geo export``: maps of every scene, and the files beside them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from tsfal_geo.cli.command import ReportedCommand
from tsfal_geo.cli.options import FOLDER, aoi_option, crs_option, workspace_option
from tsfal_geo.cli.remote import path_or_address, remote_option
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


@click.command("export", cls=ReportedCommand)
@workspace_option
@click.option(
    "--raster",
    metavar="FOLDER",
    callback=path_or_address,
    help="Folder of the scenes to map, or the address of one scene; default: the training folder.",
)
@click.option("--out", type=FOLDER, help="Folder for the maps; default: maps/ in the workspace.")
@aoi_option
@crs_option
@click.option(
    "--confidence", is_flag=True, help="Also write <name>_confidence.tif: probability of the class, 0 to 100."
)
@click.option(
    "--entropy", is_flag=True, help="Also write <name>_entropy.tif: entropy of the prediction, 0 to 100."
)
@click.option(
    "--error-mask",
    is_flag=True,
    help="Also write <name>_error_mask.tif: 0 outside the mask, else the probability of an error, 1 to 100.",
)
@click.option(
    "--probabilities", is_flag=True, help="Also write <name>_probabilities.tif: one band for each class."
)
@click.option(
    "--source",
    is_flag=True,
    help="Also write <name>_source.tif, the origin of each pixel's class: 0 the model, 1 PLAR's votes, "
    "2 a label.",
)
@click.option(
    "--network-only",
    is_flag=True,
    help="Map the model's prediction everywhere; without it, labels and PLAR's votes replace the prediction.",
)
@click.option(
    "--polygons",
    type=click.Choice(["gpkg", "parquet", "fgb"]),
    help="Also write <name>_polygons in this format.",
)
@click.option(
    "--min-area",
    type=click.FloatRange(0),
    help="Smallest polygon in m²; a smaller one is merged into its neighbour.  [default: 25 pixels]",
)
@click.option(
    "--png",
    is_flag=True,
    help="Also write <name>_classes.png: class ids with a palette, without georeference.",
)
@click.option(
    "--preview", is_flag=True, help="Also write <name>.png: orthophoto and map side by side, with a legend."
)
@click.option(
    "--mosaic",
    type=click.Choice(["cog", "vrt"]),
    help="Also write all maps as one; where scenes overlap, the first by name is on top.",
)
@click.option(
    "--window",
    metavar="N|scene",
    callback=_window,
    help="Side of the prediction windows in pixels, or `scene` to predict whole scenes; default: "
    "export.window in the workspace's tsfal.yaml.",
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "pytorch", "openvino", "onnx"]),
    help="Runtime of windows on a CPU; default: export.backend in the workspace's tsfal.yaml.",
)
@click.option("--onnx", is_flag=True, help="Also write model.onnx, for the QGIS plugin Deepness and others.")
@click.option(
    "--augment",
    is_flag=True,
    help="Predict the mean over eight flips and rotations, which takes eight times as long.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Divide the work among this number of processes (Dask); a stopped export can be resumed.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Divide the work among the workers of a Dask scheduler.")
@click.option(
    "--shard",
    callback=_shard,
    metavar="I/N",
    help="Compute part I (from 0) of N; the process that completes the last part assembles the maps.",
)
@remote_option
def command(
    workspace: Path,
    raster: Path | str | None,
    out: Path | None,
    aoi: Path | None,
    crs: str | None,
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
    backend: str | None,
    onnx: bool,
    augment: bool,
    workers: int | None,
    scheduler: str | None,
    shard: tuple[int, int] | None,
    reporter: CommandReporter,
) -> dict[str, Any]:
    """Write a map of each scene: a cloud-optimised GeoTIFF with its name and grid, and a STAC item."""
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
        network_only, aoi and aoi.resolve(), crs, backend,
    )  # fmt: skip
    if sum(value is not None for value in (workers, scheduler, shard)) > 1:
        raise click.UsageError("--workers, --scheduler and --shard exclude each other")
    maps = open_workspace(workspace).export(raster, out=out, options=options, reporter=reporter)
    return {"maps": [str(files.classes) for files in maps]}
