"""The files of an export, listed and checked before the first scene is mapped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tsfal_geo.errors import RasterError, UserError
from tsfal_geo.mapping.outputs.rasters import map_paths
from tsfal_geo.raster.files import open_raster
from tsfal_geo.raster.layer_crs import same_crs, scene_crs
from tsfal_geo.raster.scene import Scene, grid_of

MODEL_ITEM = "model.stac.json"
ONNX = "model.onnx"


@dataclass(frozen=True)
class Products:
    """The choice of files that an export writes.

    Attributes:
        out: folder of the files.
        layers: further rasters of a scene, of ``rasters.LAYERS``.
        polygons: file ending of the polygons; None: none.
        png: whether a scene's classes are written as a PNG.
        preview: whether a picture of orthophoto and map is written.
        mosaic: kind of the mosaic; None: none.
        onnx: whether the model is written as ONNX.
    """

    out: Path
    layers: tuple[str, ...] = ()
    polygons: str | None = None
    png: bool = False
    preview: bool = False
    mosaic: Literal["cog", "vrt"] | None = None
    onnx: bool = False

    def polygon_path(self, scene: str) -> Path:
        """Name the polygons of a scene.

        Args:
            scene: its name.
        """
        return self.out / f"{scene}_polygons.{self.polygons}"

    def png_path(self, scene: str) -> Path:
        """Name the picture of a scene's classes.

        Args:
            scene: its name.
        """
        return self.out / f"{scene}_classes.png"

    def preview_path(self, scene: str) -> Path:
        """Name the picture of a scene's orthophoto and map.

        Args:
            scene: its name.
        """
        return self.out / f"{scene}.png"

    @property
    def mosaic_path(self) -> Path:
        """Name of the mosaic."""
        return self.out / ("mosaic.vrt" if self.mosaic == "vrt" else "mosaic.tif")

    def of_scene(self, scene: Scene) -> list[Path]:
        """List the files of a scene, those beside its rasters included.

        Args:
            scene: the scene.
        """
        files = map_paths(self.out, scene, self.layers)
        found = [files.classes, *files.layers.values()]
        found += [self.polygon_path(scene.name)] if self.polygons is not None else []
        found += [*map(_table, found[:1]), *(path.with_suffix(".qml") for path in found)]
        found += [self.png_path(scene.name)] if self.png else []
        found += [self.preview_path(scene.name)] if self.preview else []
        return [*found, files.classes.with_suffix(".stac.json")]

    def of_all(self) -> list[Path]:
        """List the files that belong to all scenes together."""
        found = [self.out / MODEL_ITEM, *([self.out / ONNX] if self.onnx else [])]
        if self.mosaic is not None:
            path = self.mosaic_path
            found += [path, path.with_suffix(".qml"), *([_table(path)] if self.mosaic == "cog" else [])]
        return found


def check_products(products: Products, scenes: Sequence[Scene]) -> None:
    """Check that no file overwrites an input or another file, and that a mosaic of the maps can be made.

    Args:
        products: what is written.
        scenes: all scenes that are mapped.

    Raises:
        RasterError: the scenes cannot be in one mosaic.
        UserError: a file would be overwritten.
    """
    inputs = {path.resolve() for scene in scenes for path in _inputs(scene)}
    owners: dict[str, tuple[Path, str]] = {}
    for owner, path in _owned(products, scenes):
        if path.resolve() in inputs:
            raise UserError(f"{path} is an input; expected another folder for the maps, give --out DIR")
        # Windows and macOS do not tell capitals apart.
        taken = owners.setdefault(str(path).casefold(), (path, owner))
        if taken[1] != owner:
            raise UserError(
                f"{path} would be a file of {owner} and of {taken[1]}, expected files of different names; "
                "rename the scene, or leave out the option that writes the other file"
            )
    if products.mosaic is not None:
        check_mosaic(scenes)


def check_mosaic(scenes: Sequence[Scene]) -> None:
    """Check that the maps of scenes can be in one mosaic.

    Args:
        scenes: the scenes, or their maps.

    Raises:
        RasterError: they have several CRSs, are rotated, or lack a georeference.
    """
    first = scenes[0]
    for scene in scenes:
        affine = scene.grid.affine
        if scene.grid.crs is None:
            raise RasterError(
                f"{scene.path} has no CRS, expected one; a mosaic needs to know where its maps lie"
            )
        if not same_crs(scene_crs(scene), scene_crs(first)):
            raise RasterError(
                f"{scene.path} is in {scene.grid.crs}, {first.path} in {first.grid.crs}; expected one CRS; "
                "bring the orthophotos to one with `gdalwarp -t_srs`"
            )
        if affine.b or affine.d or affine.e > 0 or affine.a < 0:
            raise RasterError(
                f"{scene.path} is rotated or south-up, expected north-up for a mosaic; `gdalwarp` the "
                "orthophoto first"
            )


def check_published(path: Path, scene: Scene) -> str | None:
    """Compare the grid of a written raster with its scene's.

    Args:
        path: the raster.
        scene: the scene.

    Returns:
        The difference, for people; None where there is none.
    """
    with open_raster(path) as dataset:
        grid = grid_of(dataset)
    crs = None if grid.crs is None else grid.crs.proj
    if grid.shape != scene.grid.shape or grid.affine != scene.grid.affine:
        return f"{path}: found the grid {grid.affine.to_gdal()}, expected {scene.grid.affine.to_gdal()}"
    if not same_crs(crs, scene_crs(scene)):
        return f"{path}: found the CRS {grid.crs}, expected {scene.grid.crs}, which the format cannot hold"
    return None


def _owned(products: Products, scenes: Sequence[Scene]) -> Iterator[tuple[str, Path]]:
    for path in products.of_all():
        yield "all scenes together", path
    for scene in scenes:
        for path in products.of_scene(scene):
            yield f"scene {scene.path}", path


def _inputs(scene: Scene) -> Iterator[Path]:
    for path in (scene.path, scene.dsm, scene.labels):
        if path is not None:
            yield path
            yield from (beside for beside in (path.with_suffix(".qml"), _table(path)) if beside.is_file())


def _table(path: Path) -> Path:
    return path.with_name(f"{path.name}.aux.xml")
