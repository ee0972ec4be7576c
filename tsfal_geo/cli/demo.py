"""``tsfal-geo demo``: train on the sample town and map it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.command import ReportedCommand
from tsfal_geo.cli.options import FOLDER
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.config import load_config
from tsfal_geo.errors import UserError

if TYPE_CHECKING:
    from tsfal_geo.mapping.outputs.rasters import SceneMap
    from tsfal_geo.workspace.folder import WorkspaceFolder

_HOME = Path(__file__).parents[2]
_TOWN = "town_5"


@click.command("demo", cls=ReportedCommand)
@click.option(
    "--out",
    type=FOLDER,
    default=Path("demo-out"),
    show_default=True,
    help="Folder for the workspace, the maps and the picture; an earlier demo there continues.",
)
def command(out: Path, reporter: CommandReporter) -> dict[str, Any]:
    """Train TSF on the sample town with 15 % of its chips labelled, map the validation tiles, draw one."""
    tiles = _HOME / "sample_tiles"
    if not (tiles / "images").is_dir():
        raise UserError(f"{tiles}: found no sample tiles there; run the demo from a clone of the repository")
    config = load_config(_HOME / "configs" / "cpu_demo.yaml")

    from tsfal_geo.project.open_workspace import create_workspace, open_workspace
    from tsfal_geo.workspace.folder import WorkspaceFolder

    root, validation = out / "workspace", tiles / "val"
    if WorkspaceFolder.exists(root):
        workspace = open_workspace(root, config=config, rasters=tiles, validation=validation)
    else:
        workspace = create_workspace(root, tiles, validation, config, reporter=reporter)
    workspace.train(reporter)
    maps = workspace.export(validation, out=out / "maps", reporter=reporter)
    scores = workspace.evaluate(validation, reporter)
    picture = _draw(workspace.folder, maps, validation, out)
    town = next(files for files in maps if files.scene == _TOWN)
    reporter.output(
        f"GeoTIFF: {town.classes}",
        f"picture: {picture}",
        f"mIoU on the {len(maps)} validation tiles: {scores.miou:.4f}",
    )
    return {
        "maps": [str(files.classes) for files in maps],
        "picture": str(picture),
        "miou": scores.miou,
    }


def _draw(folder: WorkspaceFolder, maps: list[SceneMap], validation: Path, out: Path) -> Path:
    """Draw orthophoto, labels and map of one validation tile side by side."""
    from tsfal_geo.mapping.outputs.pictures import save_preview
    from tsfal_geo.raster.discovery import discover
    from tsfal_geo.raster.label_reader import FolderLabels

    scenes = discover(validation)
    index = next(i for i, scene in enumerate(scenes) if scene.name == _TOWN)
    files = next(files for files in maps if files.scene == _TOWN)
    picture = out / f"{_TOWN}.png"
    labels = FolderLabels(scenes, folder.classes)
    save_preview(picture, scenes, index, files.classes, folder.classes, labels=labels)
    return picture
