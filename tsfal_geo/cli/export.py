"""``tsfal-geo export``: maps of every scene, and what belongs to them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tsfal_geo.cli.map_files import Wanted, describe, describe_all, write_onnx
from tsfal_geo.cli.options import Reporter, json_option, workspace_option
from tsfal_geo.cli.remote import RasterFolder, local_folder, remote_option
from tsfal_geo.cli.scenes import find_scenes, scene_progress

if TYPE_CHECKING:
    from tsfal_geo.mapping.blocks import Job
    from tsfal_geo.mapping.export import SceneMap
    from tsfal_geo.mapping.known import Known
    from tsfal_geo.mapping.predict import Part
    from tsfal_geo.raster.scene import Scene
    from tsfal_geo.workspace.layout import Workspace

    Divide = Callable[[Job, Known | None, Callable[[float], None]], SceneMap | None]


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
    from tsfal_geo.workspace.layout import Workspace

    flags = {
        "confidence": confidence,
        "entropy": entropy,
        "error_mask": error_mask,
        "probabilities": probabilities,
        "source": source,
    }
    layers = tuple(layer for layer, chosen in flags.items() if chosen)
    wanted = Wanted(
        layers, augment, polygons, min_area, png, preview, mosaic, onnx, workers, scheduler, shard, window,
        network_only,
    )  # fmt: skip
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
    onnx = write_onnx(workspace, folder, out, settings.overlap, reporter) if wanted.onnx else None
    jobs = [Job(folder, scene, workspace.scenes[0].dtype, out, settings, wanted.augment) for scene in scenes]
    known = {} if wanted.network_only else _known(workspace, scenes, reporter)
    maps = []
    with divided(wanted) as divide:
        for index, scene in enumerate(scenes):
            progress = scene_progress(reporter, "map", scene.name, index, len(scenes))
            over = known.get(scene.name)
            if divide is None:
                files: SceneMap | None = export_scene(reader, index, network, out, settings, progress, over)
            else:
                files = divide(jobs[index], over, progress)
            if files is None:
                reporter.say(f"{scene.name}: {len(jobs[index].open_parts())} blocks are left to other shards")
                continue
            maps.append(files)
            reporter.artefact("map", files.classes)
            for layer, path in files.layers.items():
                reporter.artefact(layer, path)
            describe(scenes, index, files, network, wanted, reporter)
    if len(maps) == len(scenes):
        describe_all(workspace, folder, out, maps, network, onnx, wanted, reporter)
    return maps


def _known(workspace: Workspace, scenes: list[Scene], reporter: Reporter) -> dict[str, Known]:
    """What lies over the network's word, by scene."""
    from tsfal_geo.active.known import elsewhere, known_scenes

    snapshot = workspace.store().snapshot()
    for finding in snapshot.rejected:
        reporter.warning(f"not used: {finding}")
    known = known_scenes(workspace, scenes, snapshot)
    if known:
        reporter.say(
            f"{len(known)} of {len(scenes)} scenes were trained on: their labels, and votes that rest on "
            "them, stand in the maps; --network-only leaves them out"
        )
    others = elsewhere(workspace, scenes)
    if others:
        more = f" and {len(others) - 1} more" if others[1:] else ""
        reporter.warning(
            f"{others[0].path}{more}: found name and grid of a scene that was trained on, expected its "
            f"file in {workspace.raster_dir} for its labels to stand in the map; if it is the same picture, "
            f"tell the workspace with `tsfal-geo train --workspace {workspace.root} --raster DIR`, "
            "then export again"
        )
    return known


@contextmanager
def divided(wanted: Wanted) -> Iterator[Divide | None]:
    """What does a job's blocks and puts them together; None for one pass over the scene."""
    from tsfal_geo.mapping.blocks import assemble, run_here

    def follow(
        job: Job, known: Known | None, done: Iterator[Part], progress: Callable[[float], None]
    ) -> SceneMap | None:
        total = len(job.parts())
        for _ in done:
            progress(1 - len(job.open_parts()) / total)
        files = assemble(job, known)
        progress(1.0)
        return files

    if not wanted.in_blocks:
        yield None
    elif wanted.shard is not None:
        shard, shards = wanted.shard
        yield lambda job, known, progress: follow(job, known, run_here(job, shard, shards), progress)
    else:
        from tsfal_geo.mapping.cluster import connect, run_on

        with connect(wanted.scheduler, wanted.workers or 1) as client:
            # Local workers share the machine's cores.
            threads = None if wanted.workers is None else max(1, (os.cpu_count() or 1) // wanted.workers)

            def spread(job: Job, known: Known | None, progress: Callable[[float], None]) -> SceneMap | None:
                job = replace(job, threads=threads)
                return follow(job, known, run_on(client, job), progress)

            yield spread
