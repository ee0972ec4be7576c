"""``tsfal-geo export``: maps of every scene, and what belongs to them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import click

from tsfal_geo.cli.options import Reporter, json_option, workspace_option
from tsfal_geo.cli.remote import RasterFolder, local_folder, remote_option
from tsfal_geo.cli.scenes import find_scenes, scene_progress

if TYPE_CHECKING:
    from tsfal_geo.mapping.blocks import Job
    from tsfal_geo.mapping.export import SceneMap
    from tsfal_geo.mapping.network import Network
    from tsfal_geo.mapping.predict import Part
    from tsfal_geo.raster.scene import Scene
    from tsfal_geo.workspace.layout import Workspace


@dataclass(frozen=True)
class Wanted:
    """What is written beside the class maps; see the command's options."""

    layers: tuple[str, ...] = ()
    augment: bool = False
    polygons: str | None = None
    min_area: float | None = None
    png: bool = False
    preview: bool = False
    mosaic: str | None = None
    onnx: bool = False
    workers: int | None = None
    scheduler: str | None = None
    shard: tuple[int, int] | None = None
    window: int | str | None = None

    @property
    def pictures(self) -> tuple[str, ...]:
        """Ends of the names of pictures beside the maps."""
        return (*(("_classes.png",) if self.png else ()), *((".png",) if self.preview else ()))

    @property
    def in_blocks(self) -> bool:
        """Whether the work is divided."""
        return self.workers is not None or self.scheduler is not None or self.shard is not None


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
    from tsfal_geo.workspace.layout import Workspace

    flags = {
        "confidence": confidence,
        "entropy": entropy,
        "error_mask": error_mask,
        "probabilities": probabilities,
    }
    layers = tuple(layer for layer, chosen in flags.items() if chosen)
    wanted = Wanted(
        layers, augment, polygons, min_area, png, preview, mosaic, onnx, workers, scheduler, shard, window
    )
    if sum(value is not None for value in (workers, scheduler, shard)) > 1:
        raise click.UsageError("--workers, --scheduler and --shard exclude each other")
    opened = Workspace.open(workspace)
    reporter = Reporter(as_json)
    try:
        folder = local_folder(raster or opened.raster_dir, opened.root / "remote")
        maps = export_maps(opened, folder, out or opened.maps, wanted, reporter)
    finally:
        reporter.finish()
    reporter.result({"maps": [str(files.classes) for files in maps]})


def export_maps(
    workspace: Workspace, raster: Path, out: Path, wanted: Wanted, reporter: Reporter
) -> list[SceneMap]:
    """Map every scene of a folder with the workspace's model; returns the files of each."""
    from tsfal_geo.config import load_config
    from tsfal_geo.mapping.blocks import Job
    from tsfal_geo.mapping.export import check_paths, export_scene
    from tsfal_geo.mapping.network import open_network
    from tsfal_geo.mapping.scene import settings_of
    from tsfal_geo.mapping.sources import open_scenes

    scenes = find_scenes(raster, reporter)
    check_paths(out, scenes, wanted.layers, wanted.pictures)
    folder = workspace.current_model()
    network = open_network(folder, errors="error_mask" in wanted.layers, augment=wanted.augment)
    reader = open_scenes(scenes, network.card, workspace.scenes[0].dtype)
    config = workspace.config
    if wanted.window is not None:
        config = load_config(base=config, overrides={"export.window": wanted.window})
    settings = settings_of(config, network, wanted.layers)
    onnx = _write_onnx(workspace, folder, out, settings.overlap, reporter) if wanted.onnx else None
    jobs = [Job(folder, scene, workspace.scenes[0].dtype, out, settings, wanted.augment) for scene in scenes]
    maps = []
    with divided(wanted) as divide:
        for index, scene in enumerate(scenes):
            progress = scene_progress(reporter, "map", scene.name, index, len(scenes))
            if divide is None:
                files: SceneMap | None = export_scene(reader, index, network, out, settings, progress)
            else:
                files = divide(jobs[index], progress)
            if files is None:
                reporter.say(f"{scene.name}: {len(jobs[index].open_parts())} blocks are left to other shards")
                continue
            maps.append(files)
            reporter.artefact("map", files.classes)
            for layer, path in files.layers.items():
                reporter.artefact(layer, path)
            _describe(scenes, index, files, network, wanted, reporter)
    if len(maps) == len(scenes):
        _describe_all(workspace, folder, out, maps, network, onnx, wanted, reporter)
    return maps


@contextmanager
def divided(wanted: Wanted) -> Iterator[Callable[[Job, Callable[[float], None]], SceneMap | None] | None]:
    """What does a job's blocks and puts them together; None for one pass over the scene."""
    from tsfal_geo.mapping.blocks import assemble, run_here

    def follow(job: Job, done: Iterator[Part], progress: Callable[[float], None]) -> SceneMap | None:
        total = len(job.parts())
        for _ in done:
            progress(1 - len(job.open_parts()) / total)
        files = assemble(job)
        progress(1.0)
        return files

    if not wanted.in_blocks:
        yield None
    elif wanted.shard is not None:
        shard, shards = wanted.shard
        yield lambda job, progress: follow(job, run_here(job, shard, shards), progress)
    else:
        from tsfal_geo.mapping.cluster import connect, run_on

        with connect(wanted.scheduler, wanted.workers or 1) as client:
            # Local workers share the machine's cores.
            threads = None if wanted.workers is None else max(1, (os.cpu_count() or 1) // wanted.workers)
            yield lambda job, progress: follow(
                replace(job, threads=threads), run_on(client, replace(job, threads=threads)), progress
            )


def _describe(
    scenes: list[Scene], index: int, files: SceneMap, network: Network, wanted: Wanted, reporter: Reporter
) -> None:
    """What belongs to a scene's map: polygons, picture, STAC item."""
    from tsfal_geo.mapping.stac import write_map_item

    further: dict[str, Path] = {}
    if wanted.polygons is not None:
        from tsfal_geo.mapping.polygons import write_polygons

        path = files.classes.with_name(f"{files.scene}_polygons.{wanted.polygons}")
        write_polygons(path, files.classes, network.classes, wanted.min_area)
        further["polygons"] = path
    if wanted.png:
        from tsfal_geo.mapping.png import write_png

        path = files.classes.with_name(f"{files.scene}_classes.png")
        write_png(path, files.classes, network.classes)
        further["png"] = path
    if wanted.preview:
        from tsfal_geo.mapping.preview import save_preview

        path = files.classes.with_suffix(".png")
        save_preview(path, scenes, index, files.classes, network.classes, bands=network.card.bands)
        further["preview"] = path
    for kind, path in further.items():
        reporter.artefact(kind, path)
    item = write_map_item(files, scenes[index], network.classes, further)
    if item is not None:
        reporter.artefact("stac", item)


def _describe_all(
    workspace: Workspace,
    folder: Path,
    out: Path,
    maps: list[SceneMap],
    network: Network,
    onnx: Path | None,
    wanted: Wanted,
    reporter: Reporter,
) -> None:
    """What belongs to all maps together: the model's STAC item, the mosaic."""
    from tsfal_geo.mapping.stac import write_model_item

    trained = list(workspace.scenes)
    item = write_model_item(out, folder, network.card, trained, trained[0].dtype, onnx)
    if item is not None:
        reporter.artefact("stac", item)
    if wanted.mosaic is not None:
        from tsfal_geo.mapping.mosaic import write_mosaic

        kind = cast(Literal["cog", "vrt"], wanted.mosaic)
        reporter.artefact("mosaic", write_mosaic(out, [f.classes for f in maps], network.classes, kind))


def _write_onnx(workspace: Workspace, folder: Path, out: Path, overlap: float, reporter: Reporter) -> Path:
    from tsfal_geo.mapping.onnx import export_onnx
    from tsfal_geo.raster.grids import metres_per_pixel

    path = out / "model.onnx"
    export_onnx(folder, path, resolution=metres_per_pixel(workspace.scenes[0].grid), overlap=overlap)
    reporter.artefact("onnx", path)
    return path
