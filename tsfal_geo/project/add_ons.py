"""Files beside the maps of an export: polygons, pictures, STAC items, the mosaic, the model as ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tsfal_geo.errors import Cancelled, UserError
from tsfal_geo.reporting import Reporter

if TYPE_CHECKING:
    from tsfal_geo.inference.network import Network
    from tsfal_geo.mapping.outputs.products import Products
    from tsfal_geo.mapping.outputs.rasters import SceneMap
    from tsfal_geo.raster.scene import Scene
    from tsfal_geo.workspace.folder import WorkspaceFolder


def add(reporter: Reporter, kind: str, subject: str, write: Callable[[], Path | None]) -> Path | None:
    """Write a file beside the maps; a failure is a warning, and stops nothing.

    Args:
        reporter: takes the file, or the failure.
        kind: of the file, for programs.
        subject: the scene or the folder, for the report of a failure.
        write: writes the file; returns its path, or None where there is none to write.

    Returns:
        The path; None also on a failure.
    """
    try:
        path = write()
    except (Cancelled, MemoryError):
        raise
    # GDAL, OGR, Pillow and pystac have no base of exceptions in common.
    except Exception as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        reporter.warning(f"{subject}: {kind} was not written ({' '.join(reason.split())})")
        return None
    if path is not None:
        reporter.artefact(kind, path)
    return path


def write_companions(
    scenes: list[Scene],
    index: int,
    files: SceneMap,
    network: Network,
    products: Products,
    min_area: float | None,
    reporter: Reporter,
) -> None:
    """Write what belongs to a scene's map: polygons, pictures, STAC item.

    Args:
        scenes: all scenes of the export.
        index: which of them.
        files: the scene's maps.
        network: the model.
        products: say what is written.
        min_area: square metres of the smallest polygon; None: 25 pixels.
        reporter: takes the files and the failures.
    """
    from tsfal_geo.mapping.outputs.products import check_published
    from tsfal_geo.mapping.outputs.stac import write_map_item

    scene, classes, further = scenes[index], network.classes, {}
    for path in (files.classes, *files.layers.values()):
        difference = check_published(path, scene)
        if difference is not None:
            reporter.warning(f"{difference}; expected the scene's own: tell us about this file")

    def polygons() -> Path:
        from tsfal_geo.mapping.outputs.polygons import write_polygons

        write_polygons(products.polygon_path(scene.name), files.classes, classes, min_area)
        return products.polygon_path(scene.name)

    def png() -> Path:
        from tsfal_geo.mapping.outputs.pictures import write_png

        write_png(products.png_path(scene.name), files.classes, classes)
        return products.png_path(scene.name)

    def preview() -> Path:
        from tsfal_geo.mapping.outputs.pictures import save_preview

        path, bands = products.preview_path(scene.name), network.card.bands
        save_preview(path, scenes, index, files.classes, classes, bands=bands)
        return path

    chosen = {"polygons": (products.polygons, polygons), "png": (products.png, png),
              "preview": (products.preview, preview)}  # fmt: skip
    for kind, (wanted, write) in chosen.items():
        written = add(reporter, kind, scene.name, write) if wanted else None
        if written is not None:
            further[kind] = written
    add(reporter, "stac", scene.name, lambda: write_map_item(files, scene, classes, further))


def write_common_files(
    workspace: WorkspaceFolder,
    folder: Path,
    maps: list[SceneMap],
    network: Network,
    onnx: Path | None,
    products: Products,
    reporter: Reporter,
) -> None:
    """Write what belongs to all maps together: the model's STAC item, the mosaic.

    Args:
        workspace: the folder.
        folder: of the model.
        maps: the files of all scenes.
        network: the model.
        onnx: the model as ONNX, if it was written.
        products: say what is written.
        reporter: takes the files and the failures.
    """
    from tsfal_geo.mapping.outputs.model_item import write_model_item

    trained, out, card = list(workspace.scenes), products.out, network.card

    def model_item() -> Path | None:
        return write_model_item(out, folder, card, trained, onnx)

    add(reporter, "stac", str(out), model_item)
    if products.mosaic is not None:
        from tsfal_geo.mapping.outputs.mosaic import write_mosaic

        classes = [files.classes for files in maps]
        add(
            reporter, "mosaic", str(out), lambda: write_mosaic(products.mosaic_path, classes, network.classes)
        )


def write_onnx(workspace: WorkspaceFolder, folder: Path, path: Path, overlap: float) -> Path:
    """Write the model as ONNX.

    Args:
        workspace: the folder.
        folder: of the model.
        path: the file to write.
        overlap: share of a window that its neighbour covers too; programs that run the model read it.
    """
    from tsfal_geo.mapping.outputs.onnx import export_onnx
    from tsfal_geo.raster.ground import metres_per_pixel

    export_onnx(folder, path, resolution=metres_per_pixel(workspace.scenes[0].grid), overlap=overlap)
    return path
