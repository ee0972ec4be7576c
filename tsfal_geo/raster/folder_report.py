"""Report on a folder of rasters before training: nodata, surface models, labels, problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tsfal_geo.classes import VAIHINGEN, ClassMap
from tsfal_geo.errors import UserError
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.discovery import Survey, survey
from tsfal_geo.raster.label_reader import check_labels
from tsfal_geo.raster.label_tables import infer_class_map, names_its_classes
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene, metres_per_pixel

_COUNTED_PIXELS = 32_000_000
_ROWS = 1024
_SAMPLES, _SAMPLE_SIDE = 8, 256


@dataclass(frozen=True)
class SceneReport:
    """Report on one scene.

    Attributes:
        scene: the scene.
        nodata_share: share of the pixels without measurements, 0 to 1; None if the file cannot be read.
        sampled: True if the share is estimated from windows, not counted.
        pixel_size: side of a pixel in metres, or in the units of a transform without CRS; None without a
            georeference.
        problem: the reason why the scene cannot be used, on one line.
    """

    scene: Scene
    nodata_share: float | None
    sampled: bool
    pixel_size: float | None
    problem: str | None

    @property
    def crs_name(self) -> str | None:
        """The EPSG code of the scene's CRS, else its name; None without a CRS."""
        crs = self.scene.grid.crs
        if crs is None:
            return None
        return f"EPSG:{crs.epsg}" if crs.epsg else str(crs.proj.name)

    def to_json(self) -> dict[str, Any]:
        """Return the values that ``tsfal-geo info --json`` prints of a scene."""
        scene = self.scene
        return {
            "name": scene.name,
            "path": str(scene.path),
            "width": scene.width,
            "height": scene.height,
            "bands": len(scene.spectral),
            "alpha": scene.alpha,
            "dtype": scene.dtype,
            "crs": self.crs_name,
            "pixel_size": self.pixel_size,
            "nodata_share": self.nodata_share,
            "nodata_sampled": self.sampled,
            "dsm": None if scene.dsm is None else str(scene.dsm),
            "labels": None if scene.labels is None else str(scene.labels),
            "problem": self.problem,
        }


@dataclass(frozen=True)
class FolderReport:
    """Report on a folder.

    Attributes:
        survey: the files of the folder.
        scenes: reports on its usable scenes, sorted by name.
        classes: the class map; None without labels.
        class_source: origin of the class map, in words.
    """

    survey: Survey
    scenes: tuple[SceneReport, ...]
    classes: ClassMap | None
    class_source: str

    @property
    def problems(self) -> list[str]:
        """The reasons why files and scenes cannot be used, one line each."""
        return [*self.survey.problems.values(), *(scene.problem for scene in self.scenes if scene.problem)]

    def to_json(self) -> dict[str, Any]:
        """Return the values that ``tsfal-geo info --json`` prints."""
        return {
            "folder": str(self.survey.folder),
            "scenes": [scene.to_json() for scene in self.scenes],
            "classes": None if self.classes is None else self.classes.to_json(),
            "class_source": self.class_source,
            "problems": list(self.survey.problems.values()),
        }


def inspect_folder(
    folder: Path,
    bands: tuple[int, ...] | None = None,
    classes: ClassMap | None = None,
    ignore_ids: tuple[int, ...] = (),
) -> FolderReport:
    """Inspect the scenes of a folder: headers, labels, and pixels (of large scenes, samples).

    Args:
        folder: as for `tsfal_geo.raster.discovery.discover`.
        bands: 1-based numbers of the bands that a training will use; None for all.
        classes: the configured class map; None for the classes of the label files, else Vaihingen's.
        ignore_ids: ids that mean no class, if ``classes`` is None.

    Returns:
        The report.

    Raises:
        RasterError: there is no such folder, or no orthophoto in it.
        LabelError: two label files give one id different names.
    """
    found = survey(folder)
    source = "the configuration"
    if classes is None:
        own, source = _own_classes(found.scenes)
        classes = own and own.ignoring(ignore_ids)
    reports = tuple(_scene_report(scene, bands, classes) for scene in found.scenes)
    return FolderReport(found, reports, classes, source)


def _own_classes(scenes: Sequence[Scene]) -> tuple[ClassMap | None, str]:
    files = [scene.labels for scene in scenes if scene.labels is not None]
    if not files:
        return None, "no labels"
    usable = []
    for scene in scenes:
        try:
            infer_class_map([scene])
        except UserError:
            continue
        usable.append(scene)
    classes = infer_class_map(usable)
    if classes is None:
        return VAIHINGEN, "Vaihingen's colours, since the labels are RGB"
    if any(scene.labels and names_its_classes(scene.labels) for scene in usable):
        return classes, "the label files"
    return classes, "the ids that occur in the labels; name them under `classes` in the configuration"


def _scene_report(scene: Scene, bands: tuple[int, ...] | None, classes: ClassMap | None) -> SceneReport:
    share, sampled, problem = None, False, None
    try:
        reader = SceneReader([scene], bands, use_dsm=False)
        share, sampled = _nodata_share(reader)
        if share == 1.0 and not sampled:
            problem = f"{scene.path} holds nothing but nodata; remove the file, or mend its nodata value"
        if scene.dsm is not None:
            SceneReader([scene], bands, use_dsm=True).close()
        if classes is not None:
            check_labels(scene, classes)
        reader.close()
    except UserError as error:
        problem = str(error)
    return SceneReport(scene, share, sampled, metres_per_pixel(scene.grid), problem)


def _nodata_share(reader: SceneReader) -> tuple[float, bool]:
    scene = reader.scenes[0]
    sampled = scene.height * scene.width > _COUNTED_PIXELS
    valid = total = 0
    for part in _samples(scene) if sampled else _strips(scene):
        patch = reader.read(Window(0, *part))
        valid += int(patch.valid.sum())
        total += patch.valid.size
    return 1 - valid / total, sampled


def _strips(scene: Scene) -> Iterator[tuple[int, int, int, int]]:
    for y in range(0, scene.height, _ROWS):
        yield y, 0, min(_ROWS, scene.height - y), scene.width


def _samples(scene: Scene) -> Iterator[tuple[int, int, int, int]]:
    side = min(_SAMPLE_SIDE, scene.height, scene.width)
    for y in np.linspace(0, scene.height - side, _SAMPLES).astype(int).tolist():
        for x in np.linspace(0, scene.width - side, _SAMPLES).astype(int).tolist():
            yield y, x, side, side
