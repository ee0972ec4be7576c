"""Report on a folder of rasters before training: nodata, surface models, labels, problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.crs import CRS

from tsfal_geo.classes import VAIHINGEN, ClassMap
from tsfal_geo.config import LabelValue
from tsfal_geo.errors import LabelError, UserError
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.comparison import differences
from tsfal_geo.raster.discovery import Survey, survey
from tsfal_geo.raster.files import FileHandles
from tsfal_geo.raster.ground import metres_per_pixel
from tsfal_geo.raster.label_judgement import judge_counts
from tsfal_geo.raster.label_reader import LabelCounts, check_labels
from tsfal_geo.raster.label_tables import classes_are_named, infer_class_map
from tsfal_geo.raster.radiometry import conversion
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene

_FILES = "the label files"
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
        pixel_size: side of a pixel in the scene's middle, in metres on the ellipsoid, or in the units of a
            transform without CRS; None without a georeference.
        problem: the reason why the scene cannot be used, on one line.
        labels: pixels of its label file; None without one, or without a class map.
    """

    scene: Scene
    nodata_share: float | None
    sampled: bool
    pixel_size: float | None
    problem: str | None
    labels: LabelCounts | None = None

    @property
    def crs_name(self) -> str | None:
        """The EPSG code of the scene's CRS, else its name; None without a CRS."""
        crs = self.scene.grid.crs
        return None if crs is None else _crs_name(str(crs))

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
        warnings: what a person should look at, one line each.
        label_problem: the reason why the labels cannot be used as a whole, on one line.
    """

    survey: Survey
    scenes: tuple[SceneReport, ...]
    classes: ClassMap | None
    class_source: str
    warnings: tuple[str, ...] = ()
    label_problem: str | None = None

    @property
    def problems(self) -> list[str]:
        """The reasons why files, scenes and labels cannot be used, one line each."""
        scenes = [scene.problem for scene in self.scenes if scene.problem]
        labels = [] if self.label_problem is None else [self.label_problem]
        return [*self.survey.problems.values(), *scenes, *labels]

    def to_json(self) -> dict[str, Any]:
        """Return the values that ``tsfal-geo info --json`` prints."""
        return {
            "folder": str(self.survey.folder),
            "scenes": [scene.to_json() for scene in self.scenes],
            "classes": None if self.classes is None else self.classes.to_json(),
            "class_source": self.class_source,
            "warnings": [*self.survey.warnings, *self.warnings],
            "problems": self.problems,
        }


@lru_cache(maxsize=64)
def _crs_name(text: str) -> str:
    crs = CRS(text)
    return f"EPSG:{crs.epsg}" if crs.epsg else str(crs.proj.name)


def inspect_folder(
    folder: Path,
    bands: tuple[int, ...] | None = None,
    classes: ClassMap | None = None,
    ignore_ids: tuple[int, ...] = (),
    values: tuple[LabelValue, ...] = (),
    crs: str | None = None,
) -> FolderReport:
    """Inspect the scenes of a folder: headers, labels, and pixels (of large scenes, samples).

    Args:
        folder: as for `tsfal_geo.raster.discovery.discover`.
        bands: 1-based numbers of the bands that a training will use; None for all.
        classes: the configured class map; None for the classes of the label files, else Vaihingen's.
        ignore_ids: ids that mean no class, if ``classes`` is None.
        values: classes that values of the label files mean, if ``classes`` is None.
        crs: as for `tsfal_geo.raster.discovery.discover`.

    Returns:
        The report.

    Raises:
        RasterError: there is no such folder, or no orthophoto in it.
        LabelError: two label files give one id different names.
    """
    reports: list[SceneReport] = []
    found = survey(
        folder, lambda scene, handles: reports.append(_pixel_report(scene, bands, handles)), crs=crs
    )
    source = "the configuration"
    declared = classes is not None or bool(values)
    if classes is None:
        own, source = _own_classes(found.scenes, values)
        classes = own and own.ignoring(ignore_ids)
        declared = declared or source == _FILES
    reports = [report if report.problem else _with_labels(report, classes) for report in reports]
    lines, problem = _judged(folder, reports, classes, declared)
    if found.scenes:
        lines = [*differences(found.scenes, found.scenes[0], bands), *lines]
        reports = _with_mixed_numbers(reports, bands)
    return FolderReport(found, tuple(reports), classes, source, tuple(lines), problem)


def _with_mixed_numbers(reports: Sequence[SceneReport], bands: tuple[int, ...] | None) -> list[SceneReport]:
    """Report the scenes whose numbers cannot be brought to those of the first, as a training would."""
    first = reports[0].scene
    result = []
    for report in reports:
        scene = report.scene
        try:
            conversion(scene.path, scene.radiometry, first.radiometry, bands or scene.spectral)
        except UserError as error:
            report = replace(report, problem=report.problem or str(error))
        result.append(report)
    return result


def _judged(
    folder: Path, reports: Sequence[SceneReport], classes: ClassMap | None, declared: bool
) -> tuple[list[str], str | None]:
    """Warnings about the labels of all scenes, and the reason why they cannot be used."""
    counts = [report.labels for report in reports if report.labels is not None]
    if classes is None or not counts:
        return [], None
    total = counts[0]
    for other in counts[1:]:
        total += other
    try:
        return judge_counts(folder, classes, total, declared=declared), None
    except LabelError as error:
        return [], str(error)


def _own_classes(scenes: Sequence[Scene], values: tuple[LabelValue, ...]) -> tuple[ClassMap | None, str]:
    files = [scene.labels for scene in scenes if scene.labels is not None]
    if not files:
        return None, "no labels"
    usable = []
    for scene in scenes:
        try:
            infer_class_map([scene], values)
        except UserError:
            continue
        usable.append(scene)
    classes = infer_class_map(usable, values)
    if classes is None:
        return VAIHINGEN.with_label_values(values), "Vaihingen's colours, since the labels are RGB"
    if values:
        return classes, "--map"
    if classes_are_named(usable):
        return classes, _FILES
    return classes, "the ids that occur in the labels; name them under `classes` in the configuration"


def _pixel_report(scene: Scene, bands: tuple[int, ...] | None, handles: FileHandles) -> SceneReport:
    """Report on a scene's pixels and heights; its file is open in ``handles``."""
    share, sampled, problem = None, False, None
    try:
        reader = SceneReader([scene], bands, use_dsm=False, handles=handles)
        share, sampled = _nodata_share(reader)
        if share == 1.0 and not sampled:
            problem = f"{scene.path} holds nothing but nodata; remove the file, or mend its nodata value"
        elif scene.dsm is not None:
            heights = SceneReader([scene], bands, use_dsm=True)
            if not sampled:
                heights.read(Window(0, scene.height // 2, scene.width // 2, 1, 1))
            heights.close()
    except UserError as error:
        problem = str(error)
    return SceneReport(scene, share, sampled, metres_per_pixel(scene.grid), problem)


def _with_labels(report: SceneReport, classes: ClassMap | None) -> SceneReport:
    if classes is None or report.scene.labels is None:
        return report
    try:
        return replace(report, labels=check_labels(report.scene, classes))
    except UserError as error:
        return replace(report, problem=str(error))


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
