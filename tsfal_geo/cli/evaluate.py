"""``tsfal-geo evaluate``: the accuracy of a workspace's model on scenes with label rasters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tsfal_geo.cli.command import ReportedCommand
from tsfal_geo.cli.options import FOLDER, crs_option, map_option, workspace_option
from tsfal_geo.cli.remote import remote_option
from tsfal_geo.cli.reporter import CommandReporter


@click.command("evaluate", cls=ReportedCommand)
@workspace_option
@click.option("--raster", required=True, type=FOLDER, help="Folder of scenes with label rasters.")
@map_option
@crs_option
@remote_option
def command(
    workspace: Path,
    raster: Path,
    label_values: dict[str, str],
    crs: str | None,
    reporter: CommandReporter,
) -> dict[str, Any]:
    """Predict each labelled pixel once; print IoU, mIoU, overall accuracy and the confusion matrix."""
    from tsfal_geo.project.evaluate import evaluate_folder
    from tsfal_geo.project.open_workspace import open_workspace

    scores = evaluate_folder(open_workspace(workspace).folder, raster, label_values, reporter, crs)
    reporter.output(scores.table(), scores.confusion_table())
    return {**scores.to_json(), "scenes": list(scores.scenes)}
