"""``tsfal-geo plugin``: the QGIS plugin as a zip, or installed into a QGIS profile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from tsfal_geo.cli.command import ReportedGroup
from tsfal_geo.cli.options import FOLDER
from tsfal_geo.cli.reporter import CommandReporter


@click.group("plugin", cls=ReportedGroup)
def command() -> None:
    """Package or install the QGIS plugin."""


@command.command("package")
@click.option("--out", type=FOLDER, default=Path(), help="Folder for the zip; default: the current one.")
def package_command(out: Path, reporter: CommandReporter) -> dict[str, Any]:
    """Write the zip for QGIS's "Install from ZIP" and check it by the rules of plugins.qgis.org."""
    from tsfal_geo import plugin

    folder = plugin.source()
    path = plugin.package(folder, out)
    if unset := plugin.placeholders(folder):
        reporter.warning(f"{folder / 'metadata.txt'}: {', '.join(unset)}: links lead nowhere yet")
    reporter.output(str(path))
    return {"path": str(path)}


@command.command("install")
@click.option("--profile", help="Name of the QGIS profile; default: default.")
@click.option("--profiles-path", type=FOLDER, help="Folder that holds profiles/, as QGIS's own option.")
def install_command(
    profile: str | None, profiles_path: Path | None, reporter: CommandReporter
) -> dict[str, Any]:
    """Install the plugin into a QGIS profile, or replace an older one there."""
    from tsfal_geo import plugin

    source = plugin.source()
    installed = [
        plugin.install(source, folder)
        for folder in plugin.profiles(profile, profiles_path, os.environ, Path.home())
    ]
    reporter.output(*map(str, installed))
    reporter.say("Restart QGIS, then tick TSFAL under Plugins ▸ Manage and Install Plugins ▸ Installed.")
    return {"folders": [str(folder) for folder in installed]}
