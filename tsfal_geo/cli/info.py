"""``tsfal-geo info``: every scene of a folder, and what is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.options import config_options, json_option
from tsfal_geo.cli.remote import remote_option
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.errors import RasterError

if TYPE_CHECKING:
    from tsfal_geo.raster.folder_report import FolderReport, SceneReport


@click.command("info")
@click.option(
    "--raster",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of orthophotos (in it or in images/), with dsm/ and labels/ beside.",
)
@click.option("--bands", help="1-based band numbers in the order wanted, such as 4,1,2.")
@config_options
@remote_option
@json_option
def command(
    raster: Path, bands: str | None, config_path: Path | None, settings: tuple[str, ...], as_json: bool
) -> None:
    """List the scenes of a folder and what is wrong with them; exit code 2 if one cannot be used."""
    from tsfal_geo.classes import ClassMap
    from tsfal_geo.config import load_config, parse_set
    from tsfal_geo.raster.folder_report import inspect_folder

    reporter = CommandReporter(as_json)
    config = load_config(config_path, {"data.bands": _numbers(bands), **parse_set(settings)})
    ignored = config.ignore_colours, config.ignore_ids
    classes = ClassMap.from_specs(config.classes, *ignored) if config.classes else None
    report = inspect_folder(raster, config.data.bands, classes, config.ignore_ids)
    for line in report.survey.warnings:
        reporter.warning(line)
    if not as_json:
        _show(report)
    reporter.result(_as_json(report))
    _raise_if_unusable(report)


def _numbers(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


def _raise_if_unusable(report: FolderReport) -> None:
    bad = [*report.survey.problems.values(), *(r.problem for r in report.scenes if r.problem)]
    if bad:
        raise RasterError(f"{len(bad)} of the files in {report.survey.folder} cannot be used, see above")


def _show(report: FolderReport) -> None:
    from rich.console import Console
    from rich.markup import escape

    from tsfal_geo.raster.naming import RULES

    # In a pipe or a file rich assumes 80 columns and would fold names.
    width = None if sys.stdout.isatty() else 1000
    console = Console(highlight=False, soft_wrap=True, width=width)
    console.print(_table(report))
    if any(scene.sampled for scene in report.scenes):
        console.print("~ estimated from 64 windows spread over the scene")
    if report.classes is not None:
        names = ", ".join(f"{c.id} {c.name}" for c in report.classes.classes)
        console.print(escape(f"Classes (from {report.class_source}): {names}"))
    problems = [*report.survey.problems.values(), *(r.problem for r in report.scenes if r.problem)]
    for problem in problems:
        console.print(escape(f"✗ {problem}"), style="red")
    console.print(f"\n{escape(RULES)}", style="dim")


def _table(report: FolderReport) -> Any:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("scene", "size", "bands", "CRS", "pixel", "nodata", "DSM", "labels", ""):
        table.add_column(heading, overflow="fold")
    for scene in report.scenes:
        table.add_row(*(escape(cell) for cell in _cells(scene)))
    known = {scene.scene.path for scene in report.scenes}
    for path in report.survey.problems:
        if path not in known:
            table.add_row(escape(path.stem), *[""] * 7, "✗")
    return table


def _cells(report: SceneReport) -> list[str]:
    scene = report.scene
    share = "?" if report.nodata_share is None else f"{report.nodata_share:.1%}"
    alpha = " + alpha" if scene.alpha is not None else ""
    return [
        scene.name,
        f"{scene.width}x{scene.height}",
        f"{len(scene.spectral)} {scene.dtype}{alpha}",
        _crs_name(report),
        "–" if report.pixel_size is None else f"{report.pixel_size:.4g} m",
        f"~{share}" if report.sampled else share,
        scene.dsm.name if scene.dsm else "–",
        scene.labels.name if scene.labels else "–",
        "✗" if report.problem else "",
    ]


def _crs_name(report: SceneReport) -> str:
    crs = report.scene.grid.crs
    if crs is None:
        return "none"
    return f"EPSG:{crs.epsg}" if crs.epsg else str(crs.proj.name)


def _as_json(report: FolderReport) -> dict[str, Any]:
    return {
        "folder": str(report.survey.folder),
        "scenes": [_scene_json(scene) for scene in report.scenes],
        "classes": None if report.classes is None else report.classes.to_json(),
        "class_source": report.class_source,
        "problems": list(report.survey.problems.values()),
    }


def _scene_json(report: SceneReport) -> dict[str, Any]:
    scene = report.scene
    return {
        "name": scene.name,
        "path": str(scene.path),
        "width": scene.width,
        "height": scene.height,
        "bands": len(scene.spectral),
        "alpha": scene.alpha,
        "dtype": scene.dtype,
        "crs": None if scene.grid.crs is None else _crs_name(report),
        "pixel_size": report.pixel_size,
        "nodata_share": report.nodata_share,
        "nodata_sampled": report.sampled,
        "dsm": None if scene.dsm is None else str(scene.dsm),
        "labels": None if scene.labels is None else str(scene.labels),
        "problem": report.problem,
    }
