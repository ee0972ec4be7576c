"""``tsfal-geo report``: a workspace's report as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tsfal_geo.cli.command import ReportedCommand
from tsfal_geo.cli.options import FILE, FOLDER, workspace_option
from tsfal_geo.cli.reporter import CommandReporter


@click.command("report", cls=ReportedCommand)
@workspace_option
@click.option("--out", type=FILE, help="The HTML file; default: maps/report.html in the workspace.")
@click.option(
    "--raster", type=FOLDER, help="Folder of scenes with label rasters; default: the validation scenes."
)
@click.option(
    "--compare",
    type=FOLDER,
    multiple=True,
    help="Another workspace whose mIoU is drawn beside; one with a single round is a level line. Repeatable.",
)
@click.option("--scenes", type=click.IntRange(0), default=6, show_default=True, help="Scenes with pictures.")
def command(
    workspace: Path,
    out: Path | None,
    raster: Path | None,
    compare: tuple[Path, ...],
    scenes: int,
    reporter: CommandReporter,
) -> dict[str, Any]:
    """Write accuracy, areas, confusion, effort and pictures as one HTML file, which needs no network."""
    from tsfal_geo.project.open_workspace import open_workspace

    path = open_workspace(workspace).report(
        out, raster=raster, compare=compare, scenes=scenes, reporter=reporter
    )
    return {"report": str(path)}
