"""``tsfal-geo workspace``: operations on the folder as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tsfal_geo.cli.command import ReportedGroup
from tsfal_geo.cli.options import workspace_option
from tsfal_geo.cli.reporter import CommandReporter


@click.group("workspace", cls=ReportedGroup)
def command() -> None:
    """Copy a workspace while annotators work in it."""


@command.command("copy")
@workspace_option
@click.argument("destination", type=click.Path(path_type=Path))
def copy(workspace: Path, destination: Path, reporter: CommandReporter) -> dict[str, Any]:
    """Copy a workspace to DESTINATION, also while label files are being edited."""
    from tsfal_geo.workspace.copy import copy_workspace

    files = copy_workspace(workspace, destination)
    reporter.output(f"{destination}: {files} files")
    return {"workspace": str(destination), "files": files}
