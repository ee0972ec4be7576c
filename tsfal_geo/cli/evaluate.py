"""``tsfal-geo evaluate``: a workspace's model against label rasters."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tsfal_geo.cli.options import Reporter, json_option, workspace_option
from tsfal_geo.cli.remote import remote_option
from tsfal_geo.cli.scenes import find_scenes, scene_progress
from tsfal_geo.errors import LabelError

if TYPE_CHECKING:
    from tsfal_geo.assess.metrics import Scores
    from tsfal_geo.raster.scene import Scene
    from tsfal_geo.workspace.layout import Workspace


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
    from tsfal_geo.workspace.layout import Workspace

    opened = Workspace.open(workspace)
    reporter = Reporter(as_json)
    try:
        scenes = labelled_scenes(raster, opened, reporter)
        scores = score(opened, scenes, reporter)
    finally:
        reporter.finish()
    if not as_json:
        from rich.console import Console

        # In a pipe or a file rich assumes 80 columns and would cut the figures of many classes.
        console = Console(width=None if sys.stdout.isatty() else 1000)
        console.print(scores.table())
        console.print(scores.confusion_table())
    reporter.result({**scores.to_json(), "scenes": [scene.name for scene in scenes]})


def labelled_scenes(folder: Path, workspace: Workspace, reporter: Reporter) -> list[Scene]:
    """The scenes of a folder that have labels which fit the workspace's classes.

    Raises:
        LabelError: no scene has labels, or some do not fit.
    """
    from tsfal_geo.raster.labels import check_labels

    scenes = find_scenes(folder, reporter)
    labelled = [scene for scene in scenes if scene.labels is not None]
    if not labelled:
        raise LabelError(
            f"{folder}: found {len(scenes)} scenes and no labels, expected a label raster for at least one "
            f"of them; put one with the same name into {folder / 'labels'}"
        )
    bare = [scene.name for scene in scenes if scene.labels is None]
    if bare:
        reporter.warning(f"{len(bare)} of {len(scenes)} scenes have no labels: {', '.join(bare[:5])}")
    for scene in labelled:
        check_labels(scene, workspace.classes)
    return labelled


def score(workspace: Workspace, scenes: list[Scene], reporter: Reporter) -> Scores:
    """Predict scenes wall-to-wall and compare with their labels, each pixel once."""
    from tsfal_geo.assess.metrics import Confusion
    from tsfal_geo.assess.stitched import confuse_scene
    from tsfal_geo.mapping.network import open_network
    from tsfal_geo.mapping.scene import settings_of
    from tsfal_geo.mapping.sources import open_scenes
    from tsfal_geo.raster.labels import FolderLabels

    network = open_network(workspace.current_model())
    reader = open_scenes(scenes, network.card, workspace.scenes[0].dtype)
    labels = FolderLabels(scenes, workspace.classes)
    settings = settings_of(workspace.config, network)
    confusion = Confusion(len(network.classes))
    for index, scene in enumerate(scenes):
        confuse_scene(
            reader,
            index,
            network,
            settings,
            labels,
            confusion,
            scene_progress(reporter, "evaluate", scene.name, index, len(scenes)),
        )
    return confusion.scores(network.classes.names)
