"""``tsfal-geo demo``: train on the sample town and map it."""

from __future__ import annotations

from pathlib import Path

import click

import tsfal_geo
from tsfal_geo.cli.options import Reporter
from tsfal_geo.config import load_config
from tsfal_geo.errors import UserError

_HOME = Path(tsfal_geo.__file__).parents[1]
_TOWN = "town_5"


@click.command("demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-out"),
    show_default=True,
    help="Folder of the workspace, the maps and the picture; an earlier demo there goes on.",
)
def command(out: Path) -> None:
    """Train TSF on the sample town with 15 % of its chips labelled, map the validation tiles, show one."""
    tiles = _HOME / "sample_tiles"
    if not (tiles / "images").is_dir():
        raise UserError(f"{tiles}: found no sample tiles there; run the demo from a clone of the repository")
    config = load_config(_HOME / "configs" / "cpu_demo.yaml")

    from tsfal_geo.mapping.outputs.pictures import save_preview
    from tsfal_geo.project.evaluate import labelled_scenes, score
    from tsfal_geo.project.export import Wanted, export_maps
    from tsfal_geo.raster.label_reader import FolderLabels
    from tsfal_geo.rounds.context import Request
    from tsfal_geo.rounds.loop import train
    from tsfal_geo.workspace.folder import WorkspaceFolder

    reporter = Reporter(False)
    try:
        train(Request(out / "workspace", tiles, tiles / "val", config), reporter)
        workspace = WorkspaceFolder.open(out / "workspace")
        maps = export_maps(workspace, tiles / "val", out / "maps", Wanted(), reporter)
        scenes = labelled_scenes(tiles / "val", workspace, reporter)
        scores = score(workspace, scenes, reporter)
        shown = next(i for i, scene in enumerate(scenes) if scene.name == _TOWN)
        picture = out / f"{_TOWN}.png"
        labels = FolderLabels(scenes, workspace.classes)
        save_preview(picture, scenes, shown, maps[shown].classes, workspace.classes, labels=labels)
    finally:
        reporter.finish()
    click.echo(f"GeoTIFF: {maps[shown].classes}")
    click.echo(f"picture: {picture}")
    click.echo(f"mIoU on the {len(scenes)} validation tiles: {scores.miou:.4f}")
