"""What ``tsfal-geo export`` writes beside the class maps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from tsfal_geo.reporting import Reporter, find_scenes, scene_progress

if TYPE_CHECKING:
    from tsfal_geo.inference.network import Network
    from tsfal_geo.mapping.outputs.blocks import Job
    from tsfal_geo.mapping.outputs.rasters import SceneMap
    from tsfal_geo.mapping.overlay import Known
    from tsfal_geo.mapping.windowed import Part
    from tsfal_geo.raster.scene import Scene
    from tsfal_geo.workspace.folder import WorkspaceFolder

    Divide = Callable[[Job, Known | None, Callable[[float], None]], SceneMap | None]


@dataclass(frozen=True)
class Wanted:
    """What is written beside the class maps; see the options of ``export``."""

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
    network_only: bool = False

    @property
    def pictures(self) -> tuple[str, ...]:
        """Ends of the names of pictures beside the maps."""
        return (*(("_classes.png",) if self.png else ()), *((".png",) if self.preview else ()))

    @property
    def in_blocks(self) -> bool:
        """Whether the work is divided."""
        return self.workers is not None or self.scheduler is not None or self.shard is not None


def describe(
    scenes: list[Scene], index: int, files: SceneMap, network: Network, wanted: Wanted, reporter: Reporter
) -> None:
    """What belongs to a scene's map: polygons, picture, STAC item."""
    from tsfal_geo.mapping.outputs.stac import write_map_item

    further: dict[str, Path] = {}
    if wanted.polygons is not None:
        from tsfal_geo.mapping.outputs.polygons import write_polygons

        path = files.classes.with_name(f"{files.scene}_polygons.{wanted.polygons}")
        write_polygons(path, files.classes, network.classes, wanted.min_area)
        further["polygons"] = path
    if wanted.png:
        from tsfal_geo.mapping.outputs.pictures import write_png

        path = files.classes.with_name(f"{files.scene}_classes.png")
        write_png(path, files.classes, network.classes)
        further["png"] = path
    if wanted.preview:
        from tsfal_geo.mapping.outputs.pictures import save_preview

        path = files.classes.with_suffix(".png")
        save_preview(path, scenes, index, files.classes, network.classes, bands=network.card.bands)
        further["preview"] = path
    for kind, path in further.items():
        reporter.artefact(kind, path)
    item = write_map_item(files, scenes[index], network.classes, further)
    if item is not None:
        reporter.artefact("stac", item)


def describe_all(
    workspace: WorkspaceFolder,
    folder: Path,
    out: Path,
    maps: list[SceneMap],
    network: Network,
    onnx: Path | None,
    wanted: Wanted,
    reporter: Reporter,
) -> None:
    """What belongs to all maps together: the model's STAC item, the mosaic."""
    from tsfal_geo.mapping.outputs.stac import write_model_item

    trained = list(workspace.scenes)
    item = write_model_item(out, folder, network.card, trained, trained[0].dtype, onnx)
    if item is not None:
        reporter.artefact("stac", item)
    if wanted.mosaic is not None:
        from tsfal_geo.mapping.outputs.mosaic import write_mosaic

        kind = cast(Literal["cog", "vrt"], wanted.mosaic)
        reporter.artefact("mosaic", write_mosaic(out, [f.classes for f in maps], network.classes, kind))


def write_onnx(
    workspace: WorkspaceFolder, folder: Path, out: Path, overlap: float, reporter: Reporter
) -> Path:
    """The model as ``model.onnx``."""
    from tsfal_geo.mapping.outputs.onnx import export_onnx
    from tsfal_geo.raster.scene import metres_per_pixel

    path = out / "model.onnx"
    export_onnx(folder, path, resolution=metres_per_pixel(workspace.scenes[0].grid), overlap=overlap)
    reporter.artefact("onnx", path)
    return path


def export_maps(
    workspace: WorkspaceFolder, raster: Path, out: Path, wanted: Wanted, reporter: Reporter
) -> list[SceneMap]:
    """Map every scene of a folder with the workspace's model; returns the files of each."""
    from tsfal_geo.config import load_config
    from tsfal_geo.inference.network import open_network
    from tsfal_geo.mapping.compatibility import open_scenes
    from tsfal_geo.mapping.outputs.blocks import Job
    from tsfal_geo.mapping.outputs.rasters import check_paths, export_scene
    from tsfal_geo.mapping.scene import settings_of

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


def _known(workspace: WorkspaceFolder, scenes: list[Scene], reporter: Reporter) -> dict[str, Known]:
    """What lies over the network's word, by scene."""
    from tsfal_geo.rounds.label_overlay import elsewhere, known_scenes

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
    from tsfal_geo.mapping.outputs.blocks import assemble, run_here

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
        from tsfal_geo.mapping.outputs.cluster import connect, run_on

        with connect(wanted.scheduler, wanted.workers or 1) as client:
            # Local workers share the machine's cores.
            threads = None if wanted.workers is None else max(1, (os.cpu_count() or 1) // wanted.workers)

            def spread(job: Job, known: Known | None, progress: Callable[[float], None]) -> SceneMap | None:
                job = replace(job, threads=threads)
                return follow(job, known, run_on(client, job), progress)

            yield spread
