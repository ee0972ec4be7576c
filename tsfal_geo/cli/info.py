"""``tsfal-geo info``: the scenes of a folder and their problems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.command import ReportedCommand
from tsfal_geo.cli.options import bands_option, config_options, crs_option, map_option
from tsfal_geo.cli.remote import remote_option
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.errors import RasterError

_ROWS = 100
"""Scenes with rows of their own; more are put together by size, type, CRS and pixel."""

if TYPE_CHECKING:
    from rich.table import Table

    from tsfal_geo.raster.folder_report import FolderReport, SceneReport


@click.command("info", cls=ReportedCommand)
@click.option(
    "--raster",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of orthophotos (in it or in images/), with dsm/ and labels/ beside them.",
)
@bands_option
@map_option
@crs_option
@config_options
@remote_option
def command(
    raster: Path,
    bands: str | None,
    label_values: dict[str, str],
    crs: str | None,
    config_path: Path | None,
    settings: tuple[str, ...],
    reporter: CommandReporter,
) -> dict[str, Any]:
    """List the scenes of a folder and their problems; the exit code is 2 if a file cannot be used."""
    from tsfal_geo.classes import ClassMap
    from tsfal_geo.config import load_config, parse_label_values, parse_set
    from tsfal_geo.raster.folder_report import inspect_folder

    numbers = None if bands is None else [part.strip() for part in bands.split(",")]
    overrides = {"data.bands": numbers, "data.crs": crs, "label_values": label_values, **parse_set(settings)}
    config = load_config(config_path, overrides)
    values = parse_label_values(config.label_values)
    classes = (
        ClassMap.from_specs(config.classes, config.ignore_colours, config.ignore_ids, values)
        if config.classes
        else None
    )
    report = inspect_folder(raster, config.data.bands, classes, config.ignore_ids, values, config.data.crs)
    _print(report, reporter)
    if report.problems:
        reporter.result(report.to_json())
        raise RasterError(f"{len(report.problems)} of the files in {raster} cannot be used, see above")
    return report.to_json()


def _print(report: FolderReport, reporter: CommandReporter) -> None:
    from tsfal_geo.raster.naming import RULES

    reporter.output(_table(report))
    if any(scene.sampled for scene in report.scenes):
        reporter.output("~ estimated from 64 windows spread over the scene")
    if report.classes is not None:
        names = ", ".join(f"{c.id} {c.name}" for c in report.classes.classes)
        reporter.output(f"Classes (from {report.class_source}): {names}")
    for line in (*report.survey.warnings, *report.warnings):
        reporter.output(click.style(f"! {line}", fg="yellow"))
    if report.survey.others:
        reporter.output(f"Not read, and of no concern: {', '.join(report.survey.others[:12])}")
    for problem in report.problems:
        reporter.output(click.style(f"✗ {problem}", fg="red"))
    reporter.output(click.style(f"\n{RULES}", dim=True))


def _table(report: FolderReport) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("scene", "size", "bands", "CRS", "pixel", "nodata", "DSM", "labels", ""):
        table.add_column(heading, overflow="fold")
    alike = [scene for scene in report.scenes if not scene.problem] if len(report.scenes) > _ROWS else []
    for group in _groups(alike):
        table.add_row(*(escape(cell) for cell in _cells_of_many(group)))
    for scene in report.scenes if not alike else [scene for scene in report.scenes if scene.problem]:
        table.add_row(*(escape(cell) for cell in _cells(scene)))
    readable = {scene.scene.path for scene in report.scenes}
    for path in report.survey.problems:
        if path not in readable:
            table.add_row(escape(path.stem), *[""] * 7, "✗")
    return table


def _groups(reports: list[SceneReport]) -> list[list[SceneReport]]:
    """Put scenes of one size, type, CRS and pixel together, in their order."""
    groups: dict[tuple[str, ...], list[SceneReport]] = {}
    for report in reports:
        groups.setdefault(tuple(_cells(report)[1:5]), []).append(report)
    return list(groups.values())


def _cells_of_many(reports: list[SceneReport]) -> list[str]:
    first, last, count = reports[0], reports[-1], len(reports)
    name, *alike = _cells(first)[:5]
    share = sum(report.nodata_share or 0 for report in reports) / count
    found = (sum(getattr(report.scene, kind) is not None for report in reports) for kind in ("dsm", "labels"))
    names = name if count == 1 else f"{name} … {last.scene.name} ({count} scenes)"
    return [names, *alike, f"{share:.1%}", *(f"{n} of {count}" if n else "–" for n in found), ""]


def _cells(report: SceneReport) -> list[str]:
    scene = report.scene
    share = "?" if report.nodata_share is None else f"{report.nodata_share:.1%}"
    alpha = " + alpha" if scene.alpha is not None else ""
    return [
        scene.name,
        f"{scene.width}x{scene.height}",
        f"{len(scene.spectral)} {scene.dtype}{alpha}",
        report.crs_name or "none",
        "–" if report.pixel_size is None else f"{report.pixel_size:.3g} m",
        f"~{share}" if report.sampled else share,
        scene.dsm.name if scene.dsm else "–",
        scene.labels.name if scene.labels else "–",
        "✗" if report.problem else "",
    ]
