"""What ``tsfal-geo export`` writes beside the class maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from tsfal_geo.cli.options import Reporter

if TYPE_CHECKING:
    from tsfal_geo.mapping.export import SceneMap
    from tsfal_geo.mapping.network import Network
    from tsfal_geo.raster.scene import Scene
    from tsfal_geo.workspace.layout import Workspace


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


def describe_all(
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


def write_onnx(workspace: Workspace, folder: Path, out: Path, overlap: float, reporter: Reporter) -> Path:
    """The model as ``model.onnx``."""
    from tsfal_geo.mapping.onnx import export_onnx
    from tsfal_geo.raster.grids import metres_per_pixel

    path = out / "model.onnx"
    export_onnx(folder, path, resolution=metres_per_pixel(workspace.scenes[0].grid), overlap=overlap)
    reporter.artefact("onnx", path)
    return path
