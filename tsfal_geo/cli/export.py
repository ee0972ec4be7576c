"""``tsfal-geo export``: one georeferenced class map a scene."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tsfal_geo.cli.options import Reporter, json_option, workspace_option
from tsfal_geo.cli.scenes import find_scenes, scene_progress

if TYPE_CHECKING:
    from tsfal_geo.mapping.export import SceneMap
    from tsfal_geo.workspace.layout import Workspace


@click.command("export")
@workspace_option
@click.option(
    "--raster",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the scenes to map; default: the one that the workspace was trained on.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the maps; default: maps/ in the workspace.",
)
@click.option("--confidence", is_flag=True, help="Also <name>_confidence.tif: 0 to 100, nodata 255.")
@json_option
def command(workspace: Path, raster: Path | None, out: Path | None, confidence: bool, as_json: bool) -> None:
    """Map every scene wall-to-wall: a cloud-optimised GeoTIFF with the scene's name and grid."""
    from tsfal_geo.workspace.layout import Workspace

    opened = Workspace.open(workspace)
    reporter = Reporter(as_json)
    try:
        maps = export_maps(opened, raster or opened.raster_dir, out or opened.maps, confidence, reporter)
    finally:
        reporter.finish()
    reporter.result({"maps": [str(files.classes) for files in maps]})


def export_maps(
    workspace: Workspace, raster: Path, out: Path, confidence: bool, reporter: Reporter
) -> list[SceneMap]:
    """Map every scene of a folder with the workspace's model; returns the files of each."""
    from tsfal_geo.mapping.export import check_paths, export_scene
    from tsfal_geo.mapping.network import open_network
    from tsfal_geo.mapping.sources import open_scenes

    scenes = find_scenes(raster, reporter)
    check_paths(out, scenes, confidence)
    network = open_network(workspace.current_model())
    reader = open_scenes(scenes, network.card, workspace.scenes[0].dtype)
    settings = workspace.config.export
    maps = []
    for index, scene in enumerate(scenes):
        files = export_scene(
            reader,
            index,
            network.predict,
            network.classes,
            out,
            window=settings.window or network.card.chip_size,
            overlap=settings.overlap,
            batch=settings.batch,
            confidence=confidence,
            progress=scene_progress(reporter, "map", scene.name, index, len(scenes)),
        )
        maps.append(files)
        reporter.artefact("map", files.classes)
        if files.confidence is not None:
            reporter.artefact("confidence", files.confidence)
    return maps
