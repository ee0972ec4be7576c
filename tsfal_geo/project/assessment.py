"""The accuracy of a workspace's maps: the reference sample is drawn, and its answers are reported."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsfal_geo.assess.design import Design, draw_design, maps_overlap, open_maps
from tsfal_geo.assess.reference import Reference
from tsfal_geo.assess.report import assess_rasters, assess_sample, sample_tables
from tsfal_geo.atomic import write_text
from tsfal_geo.project.evaluate import labelled_scenes
from tsfal_geo.raster.label_reader import FolderLabels
from tsfal_geo.raster.scene import Scene
from tsfal_geo.reporting import Reporter
from tsfal_geo.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    from rich.table import Table

_SQUARE_METRES = 10_000  # of a hectare
_PAGE_WIDTH = 140  # columns of the HTML report


@dataclass(frozen=True)
class AccuracyReport:
    """The accuracy of maps.

    Attributes:
        values: the figures, as JSON values.
        tables: the figures as tables of rich.
        files: the report's files in the workspace's ``maps/``.
    """

    values: dict[str, Any]
    tables: tuple[Table, ...]
    files: tuple[Path, ...]


def draw_sample(
    workspace: WorkspaceFolder,
    maps: Sequence[Path],
    *,
    standard_error: float,
    expected: float,
    expected_of: Mapping[int, float],
    minimum: int,
    authors: Sequence[str],
    seed: int,
    reporter: Reporter,
) -> Design:
    """Draw a reference sample into ``reference/design.gpkg``, and create annotators' files for its answers.

    A sample that exists stays where ``authors`` are given: more annotators answer the same sample.

    Args:
        workspace: the workspace.
        maps: class maps; empty: the class maps in the workspace's ``maps/``.
        standard_error: standard error of the overall accuracy that the sample aims at, 0 to 0.5.
        expected: user's accuracy that is expected of a class, 0 to 1.
        expected_of: the same for single classes, by class index.
        minimum: smallest number of samples of each mapped class.
        authors: annotators whose answer files are created.
        seed: the same maps and seed give the same sample.
        reporter: takes warnings and files.

    Returns:
        The sample.

    Raises:
        RasterError: maps without a pixel of a class, with unknown ids, or with pixels of different sizes.
        LabelError: an annotator's name that makes no file name.
    """
    scenes = _open_maps(workspace, maps)
    reference = Reference(workspace.root / "reference", workspace.classes, scenes)
    if not (reference.design_path.exists() and authors):
        if maps_overlap(scenes):
            reporter.warning(
                "maps overlap, so the sample may contain the same ground more than once; export a mosaic "
                "(--mosaic vrt) and name it with --map"
            )
        drawn = draw_design(
            scenes,
            workspace.classes,
            standard_error=standard_error,
            expected=expected,
            expected_of=expected_of,
            minimum=minimum,
            seed=seed,
        )
        reporter.artefact("sample", reference.write(drawn))
    for author in authors:
        reporter.artefact("answers", reference.author_file(author))
    return reference.read()


def report_accuracy(
    workspace: WorkspaceFolder,
    maps: Sequence[Path],
    raster: Path | None,
    tolerance: int,
    reporter: Reporter,
) -> AccuracyReport:
    """Estimate the accuracy of maps from the reference sample, from label rasters, or from both.

    Args:
        workspace: the workspace.
        maps: class maps; empty: the class maps in the workspace's ``maps/``.
        raster: folder of scenes with label rasters; None: the sample alone.
        tolerance: pixels that two outlines may be apart, for the boundary F1.
        reporter: takes warnings, lines and files.

    Returns:
        The report, which is also written to ``maps/accuracy.json`` and ``maps/accuracy.html``.

    Raises:
        WorkspaceError: there is no sample and ``raster`` is None.
        LabelError: too few samples are answered, or labels do not fit the classes.
        RasterError: maps that do not fit the sample or the scenes.
    """
    scenes = _open_maps(workspace, maps)
    values: dict[str, Any] = {"maps": [scene.name for scene in scenes]}
    tables: list[Table] = []
    if raster is None or (workspace.root / "reference" / "design.gpkg").is_file():
        values["sample"], found = _from_sample(workspace, scenes, reporter)
        tables += found
    if raster is not None:
        labelled = labelled_scenes(raster, workspace.classes, reporter, workspace.config.data.crs)
        labels = FolderLabels(labelled, workspace.classes)
        scores = assess_rasters(scenes, labelled, labels, workspace.classes, tolerance)
        values["rasters"] = scores.to_json()
        tables.append(scores.table())
    files = _write(workspace.maps, values, tables)
    for path in files:
        reporter.artefact("report", path)
    return AccuracyReport(values, tuple(tables), files)


def _from_sample(
    workspace: WorkspaceFolder, maps: list[Scene], reporter: Reporter
) -> tuple[dict[str, Any], Sequence[Table]]:
    reference = Reference(workspace.root / "reference", workspace.classes, maps)
    design = reference.read()
    answers = reference.answers(design)
    for issue in answers.issues:
        reporter.warning(str(issue))
    estimates = assess_sample(design, answers, maps, workspace.classes)
    answered, drawn = int(estimates.counts.sum()), len(design.points)
    if answered < drawn:
        reporter.warning(f"{answered} of {drawn} samples are answered ({answers.unsure} skipped or unsure)")
    if answers.agreement.queries:
        reporter.say(
            f"{answers.agreement.queries} samples have several annotators; they agree on "
            f"{answers.agreement.share:.1%} of the pixels"
        )
    values = {
        **estimates.to_json(),
        "drawn": drawn,
        "unsure": answers.unsure,
        "area_ha": float(design.pixels.sum()) * design.pixel_area / _SQUARE_METRES,
    }
    return values, sample_tables(estimates, design)


def _write(folder: Path, values: dict[str, Any], tables: Sequence[Table]) -> tuple[Path, ...]:
    from rich.console import Console

    page = Console(record=True, width=_PAGE_WIDTH, file=io.StringIO())
    for table in tables:
        page.print(table)
    texts = {
        folder / "accuracy.json": json.dumps(values, ensure_ascii=False, indent=1),
        folder / "accuracy.html": page.export_html(),
    }
    for path, text in texts.items():
        write_text(path, text)
    return tuple(texts)


def _open_maps(workspace: WorkspaceFolder, maps: Sequence[Path]) -> list[Scene]:
    return open_maps(maps or sorted(path for path in workspace.maps.glob("*.tif") if _is_class_map(path)))


def _is_class_map(path: Path) -> bool:
    # Class maps of scenes have a style with a palette beside them; confidence and the like have none.
    style = path.with_suffix(".qml")
    return (
        path.stem != "mosaic" and style.is_file() and 'type="paletted"' in style.read_text(encoding="utf-8")
    )
