"""``tsfal-geo workspace``: what concerns the folder as a whole."""

from __future__ import annotations

from pathlib import Path

import click

from tsfal_geo.cli.options import workspace_option


@click.group("workspace")
def command() -> None:
    """Copy a workspace safely."""


@command.command("copy")
@workspace_option
@click.argument("destination", type=click.Path(path_type=Path))
def copy(workspace: Path, destination: Path) -> None:
    """Copy a workspace to DESTINATION, label files being edited included."""
    from tsfal_geo.workspace.copy import copy_workspace

    files = copy_workspace(workspace, destination)
    click.echo(f"{destination}: {files} files")
