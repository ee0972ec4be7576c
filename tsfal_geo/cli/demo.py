"""``tsfal-geo demo``: label the sample town and map it."""

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
    from tsfal_geo.rounds.result import RoundResult
    from tsfal_geo.workspace.folder import WorkspaceFolder

_HOME = Path(__file__).parents[2]
_TOWN = "town_5"
_ASKED = "town_1"


@click.command("demo", cls=ReportedCommand)
@click.option(
    "--out",
    type=FOLDER,
    default=Path("demo-out"),
    show_default=True,
    help="Folder for the workspace, the maps and the picture; an earlier demo there continues.",
)
def command(out: Path, reporter: CommandReporter) -> dict[str, Any]:
    """Answer 200 questions on the unlabelled sample town, map its validation tiles, draw before and after."""
    tiles = _HOME / "sample_tiles"
    if not (tiles / "images").is_dir():
        raise UserError(f"{tiles}: found no sample tiles there; run the demo from a clone of the repository")
    config = load_config(_HOME / "configs" / "instant_demo.yaml")

    from tsfal_geo.project.open_workspace import create_workspace, open_workspace
    from tsfal_geo.workspace.folder import WorkspaceFolder

    root, validation = out / "workspace", tiles / "val"
    if WorkspaceFolder.exists(root):
        workspace = open_workspace(root, config=config, rasters=tiles, validation=validation)
    else:
        workspace = create_workspace(root, tiles, validation, config, reporter=reporter)
    last = workspace.train(reporter)
    maps = workspace.export(validation, out=out / "maps", reporter=reporter)
    scores = workspace.evaluate(validation, reporter)
    town = next(files for files in maps if files.scene == _TOWN)
    picture = _draw(workspace.folder, validation, _TOWN, town.classes, out / f"{_TOWN}.png")
    rounds = [workspace.round(number) for number in range(1, last.number + 1)]
    asked = [
        _draw(workspace.folder, tiles, _ASKED, _prediction(root, result), out / f"{_ASKED}_{name}.png")
        for name, result in (("before", rounds[0]), ("after", rounds[-1]))
    ]
    reporter.output(
        *(
            f"after {result.answers} answers ({result.minutes:.1f} minutes of a person): "
            f"mIoU {result.miou:.4f}"
            for result in rounds
        ),
        f"GeoTIFF: {town.classes}",
        f"picture: {picture}",
        f"pictures of a tile that was asked: {asked[0]}, {asked[1]}",
        f"mIoU on the {len(maps)} validation tiles: {scores.miou:.4f}",
    )
    return {
        "maps": [str(files.classes) for files in maps],
        "picture": str(picture),
        "asked": [str(path) for path in asked],
        "answers": last.answers,
        "minutes": last.minutes,
        "miou": scores.miou,
    }


def _prediction(root: Path, result: RoundResult) -> Path:
    return root / "rounds" / f"{result.number:03d}" / _ASKED / "prediction.tif"


def _draw(folder: WorkspaceFolder, rasters: Path, name: str, class_map: Path, picture: Path) -> Path:
    """Draw orthophoto, labels and map of one tile side by side."""
    from tsfal_geo.mapping.outputs.pictures import save_preview
    from tsfal_geo.raster.discovery import discover
    from tsfal_geo.raster.label_reader import FolderLabels

    scenes = discover(rasters)
    index = next(i for i, scene in enumerate(scenes) if scene.name == name)
    labels = FolderLabels(scenes, folder.classes)
    save_preview(picture, scenes, index, class_map, folder.classes, labels=labels)
    return picture
