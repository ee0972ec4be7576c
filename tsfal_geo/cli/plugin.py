"""``tsfal-geo plugin``: the QGIS plugin as a zip, or put into a QGIS profile."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.group("plugin")
def command() -> None:
    """Package the QGIS plugin, or install it."""


@command.command("package")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder of the zip; default: the current one.",
)
def package_command(out: Path) -> None:
    """Write the zip for QGIS's "Install from ZIP" and plugins.qgis.org, whose rules are checked."""
    from tsfal_geo import plugin

    folder = plugin.source()
    path = plugin.package(folder, out)
    unset = plugin.placeholders(folder)
    if unset:
        click.echo(
            f"Warning: {folder / 'metadata.txt'}: {', '.join(unset)}: links lead nowhere yet", err=True
        )
    click.echo(path)


@command.command("install")
@click.option("--profile", help="Name of the QGIS profile; default: default.")
@click.option(
    "--profiles-path",
    type=click.Path(path_type=Path, file_okay=False),
    help="As QGIS's own option: the folder that holds profiles/.",
)
def install_command(profile: str | None, profiles_path: Path | None) -> None:
    """Put the plugin into a QGIS profile, in place of an older one."""
    from tsfal_geo import plugin

    for folder in plugin.profiles(profile, profiles_path, os.environ, Path.home()):
        click.echo(plugin.install(plugin.source(), folder))
    click.echo(
        "Restart QGIS, then tick TSFAL under Plugins ▸ Manage and Install Plugins ▸ Installed.", err=True
    )
