"""``tsfal-geo evaluate``: a workspace's model against label rasters."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tsfal_geo.cli.options import json_option, workspace_option
from tsfal_geo.cli.remote import remote_option
from tsfal_geo.cli.reporter import CommandReporter


@click.command("evaluate")
@workspace_option
@click.option(
    "--raster",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of scenes with labels.",
)
@remote_option
@json_option
def command(workspace: Path, raster: Path, as_json: bool) -> None:
    """Predict wall-to-wall, each pixel once; per-class IoU, mIoU, overall accuracy, confusion matrix."""
    from tsfal_geo.project.open_workspace import open_workspace

    reporter = CommandReporter(as_json)
    try:
        scores = open_workspace(workspace).evaluate(raster, reporter)
    finally:
        reporter.finish()
    if not as_json:
        from rich.console import Console

        # In a pipe or a file rich assumes 80 columns and would cut the figures of many classes.
        console = Console(width=None if sys.stdout.isatty() else 1000)
        console.print(scores.table())
        console.print(scores.confusion_table())
    reporter.result({**scores.to_json(), "scenes": list(scores.scenes)})
