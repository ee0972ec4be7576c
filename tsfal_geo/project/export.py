"""The export of maps: every scene of a folder, and the files beside the class maps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from tsfal_geo.errors import require_extra
from tsfal_geo.project.add_ons import add, write_common_files, write_companions, write_onnx
from tsfal_geo.reporting import Reporter, find_scenes, scene_progress

if TYPE_CHECKING:
    from tsfal_geo.mapping.outputs.blocks import MappingJob
    from tsfal_geo.mapping.outputs.products import Products
    from tsfal_geo.mapping.outputs.rasters import SceneMap
    from tsfal_geo.mapping.overlay import LabelOverlay
    from tsfal_geo.mapping.windowed import Block
    from tsfal_geo.raster.scene import Scene
    from tsfal_geo.workspace.folder import WorkspaceFolder

    Divide = Callable[[MappingJob, LabelOverlay | None, Callable[[float], None]], SceneMap | None]


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Attributes:
        layers: more rasters: some of ``confidence``, ``entropy``, ``error_mask``, ``probabilities``,
            ``source``.
        augment: predict the mean over the eight flips and quarter turns of a window, at eight times the work.
        polygons: file ending of polygons of the map: ``gpkg``, ``parquet`` or ``fgb``; None: no polygons.
        min_area: square metres of the smallest polygon; None: 25 pixels.
        png: write the class ids as a PNG with a palette.
        preview: write orthophoto and map side by side as a PNG.
        mosaic: write all maps as one: ``cog`` or ``vrt``; None: no mosaic.
        onnx: write the model as ONNX.
        workers: number of local processes that share the work; None: this one.
        scheduler: address of a Dask scheduler whose workers share the work.
        shard: index and number of the parts, of which this process does one.
        window: pixels a side, or ``scene`` for no windows; None: as the workspace is configured.
        network_only: leave out labels and votes, so that the maps show the network's prediction everywhere.
        aoi: vector file with the area to map; None: the workspace's, if it has one.
        crs: CRS of orthophotos that have a place but declare no CRS; None: as in training.
        backend: ``auto``, ``pytorch``, ``openvino`` or ``onnx``; None: as the workspace is configured.
    """

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
    aoi: Path | None = None
    crs: str | None = None
    backend: str | None = None

    def products(self, out: Path) -> Products:
        """List the files that are written.

        Args:
            out: folder of the maps.
        """
        from tsfal_geo.mapping.outputs.products import Products

        mosaic = cast(Literal["cog", "vrt"] | None, self.mosaic)
        return Products(out, self.layers, self.polygons, self.png, self.preview, mosaic, self.onnx)

    def with_layers(self, layers: Sequence[str]) -> ExportOptions:
        """Return the options with more layers."""
        return replace(self, layers=tuple(dict.fromkeys((*self.layers, *layers))))

    @property
    def in_blocks(self) -> bool:
        """True where several processes share the work."""
        return self.workers is not None or self.scheduler is not None or self.shard is not None


def export_maps(
    workspace: WorkspaceFolder, raster: Path, out: Path, options: ExportOptions, reporter: Reporter
) -> list[SceneMap]:
    """Map every scene of a folder with the workspace's model.

    Args:
        workspace: with a model.
        raster: folder of the scenes.
        out: folder of the maps.
        options: what is written, and how.
        reporter: takes files and progress.

    Returns:
        The files of each scene; scenes that other shards have not finished are left out.

    Raises:
        UserError: no model, or scenes that are not as the training scenes.
    """
    from tsfal_geo.config import load_config
    from tsfal_geo.inference.backends import PYTORCH, choose_backend
    from tsfal_geo.inference.compute import choose_compute
    from tsfal_geo.inference.network import open_network
    from tsfal_geo.mapping.compatibility import open_scenes
    from tsfal_geo.mapping.outputs.blocks import MappingJob
    from tsfal_geo.mapping.outputs.products import ONNX, check_products
    from tsfal_geo.mapping.outputs.rasters import export_scene
    from tsfal_geo.mapping.scene import settings_for
    from tsfal_geo.raster.comparison import differences

    if options.polygons == "parquet":
        require_extra("pyarrow", "parquet", "--polygons parquet")
    scenes = _in_area(
        workspace,
        raster,
        options.aoi,
        find_scenes(raster, reporter, options.crs or workspace.config.data.crs),
    )
    products = options.products(out)
    check_products(products, scenes)
    if options.onnx:
        require_extra("onnx", "onnx", "--onnx")
        require_extra("onnxscript", "onnx", "--onnx")
    folder = workspace.current_model()
    config = workspace.config
    given = {"export.window": options.window, "export.backend": options.backend}
    if overrides := {key: value for key, value in given.items() if value is not None}:
        config = load_config(base=config, overrides=overrides)
    backend = choose_backend(config.export, choose_compute(), sum(s.height * s.width for s in scenes))
    network = open_network(
        folder,
        errors="error_mask" in options.layers,
        augment=options.augment,
        # Processes that share the work convert the network themselves.
        backend=PYTORCH if options.in_blocks else backend,
        window=config.export.side,
    )
    first = workspace.scenes[0]
    reader = open_scenes(scenes, network.card, first.dtype, first.radiometry)
    for line in differences(scenes, first, network.card.bands):
        reporter.warning(line)
    settings = settings_for(network, config.export, config.plar.confidence, options.layers)
    onnx = None
    if options.onnx:
        onnx = add(
            reporter, "onnx", str(out), lambda: write_onnx(workspace, folder, out / ONNX, settings.overlap)
        )
    jobs = [
        MappingJob(
            folder,
            scene,
            first.dtype,
            out,
            settings,
            options.augment,
            trained=first.radiometry,
            backend=backend,
        )
        for scene in scenes
    ]
    overlays = {} if options.network_only else _overlays(workspace, scenes, reporter)
    maps = []
    with divided(options) as divide:
        for index, scene in enumerate(scenes):
            progress = scene_progress(reporter, "map", scene.name, index, len(scenes))
            overlay = overlays.get(scene.name)
            if divide is None:
                files: SceneMap | None = export_scene(
                    reader, index, network, out, settings, progress, overlay
                )
            else:
                files = divide(jobs[index], overlay, progress)
            if files is None:
                reporter.say(
                    f"{scene.name}: {len(jobs[index].open_blocks())} blocks are left to other shards"
                )
                continue
            maps.append(files)
            reporter.artefact("map", files.classes)
            for layer, path in files.layers.items():
                reporter.artefact(layer, path)
            write_companions(scenes, index, files, network, products, options.min_area, reporter)
    if len(maps) == len(scenes):
        write_common_files(workspace, folder, maps, network, onnx, products, reporter)
    return maps


def _in_area(workspace: WorkspaceFolder, raster: Path, aoi: Path | None, scenes: list[Scene]) -> list[Scene]:
    """Limit scenes to an area of interest: the one that is given, else the workspace's."""
    from tsfal_geo.labels.exchange.area import limit_to, read_area

    kept = {scene.name: scene for scene in workspace.scenes if scene.area is not None}
    if aoi is None and kept and raster.resolve() == workspace.raster_dir.resolve():
        own = [replace(scene, area=kept[scene.name].area) for scene in scenes if scene.name in kept]
        return own or scenes
    aoi = aoi or workspace.config.data.aoi
    return scenes if aoi is None else limit_to(scenes, read_area(aoi))


def _overlays(workspace: WorkspaceFolder, scenes: list[Scene], reporter: Reporter) -> dict[str, LabelOverlay]:
    """Return labels and votes that stand in the maps in place of the prediction, by scene."""
    from tsfal_geo.rounds.label_overlay import same_grid_other_file, scene_overlays

    snapshot = workspace.store().snapshot()
    for issue in snapshot.rejected:
        reporter.warning(f"not used: {issue}")
    overlays = scene_overlays(workspace, scenes, snapshot)
    if overlays:
        reporter.say(
            f"{len(overlays)} of {len(scenes)} scenes were trained on: their labels, and votes that rest on "
            "them, stand in the maps; --network-only leaves them out"
        )
    others = same_grid_other_file(workspace, scenes)
    if others:
        more = f" and {len(others) - 1} more" if others[1:] else ""
        reporter.warning(
            f"{others[0].path}{more}: found name and grid of a scene that was trained on, expected its "
            f"file in {workspace.raster_dir} for its labels to stand in the map; if it is the same picture, "
            f"tell the workspace with `tsfal-geo train --workspace {workspace.root} --raster DIR`, "
            "then export again"
        )
    return overlays


@contextmanager
def divided(options: ExportOptions) -> Iterator[Divide | None]:
    """Give a function that maps a scene in blocks and assembles them; None for one pass over the scene."""
    from tsfal_geo.mapping.outputs.blocks import assemble, run_local

    def follow(
        job: MappingJob,
        overlay: LabelOverlay | None,
        done: Iterator[Block],
        progress: Callable[[float], None],
    ) -> SceneMap | None:
        total = len(job.blocks())
        for _ in done:
            progress(1 - len(job.open_blocks()) / total)
        files = assemble(job, overlay)
        progress(1.0)
        return files

    if not options.in_blocks:
        yield None
    elif options.shard is not None:
        shard, shards = options.shard
        yield lambda job, overlay, progress: follow(job, overlay, run_local(job, shard, shards), progress)
    else:
        from tsfal_geo.mapping.outputs.cluster import connect, run_on

        with connect(options.scheduler, options.workers or 1) as client:
            # Local workers share the machine's cores.
            threads = None if options.workers is None else max(1, (os.cpu_count() or 1) // options.workers)

            def spread(
                job: MappingJob, overlay: LabelOverlay | None, progress: Callable[[float], None]
            ) -> SceneMap | None:
                job = replace(job, threads=threads)
                return follow(job, overlay, run_on(client, job), progress)

            yield spread
