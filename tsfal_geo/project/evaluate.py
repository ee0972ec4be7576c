"""The accuracy of a workspace's model on scenes with label rasters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tsfal_geo.errors import LabelError
from tsfal_geo.reporting import Reporter, find_scenes, scene_progress

if TYPE_CHECKING:
    from tsfal_geo.assess.metrics import Scores
    from tsfal_geo.raster.scene import Scene
    from tsfal_geo.workspace.folder import WorkspaceFolder


def labelled_scenes(folder: Path, workspace: WorkspaceFolder, reporter: Reporter) -> list[Scene]:
    """Return the scenes of a folder whose labels fit the workspace's classes.

    Args:
        folder: of the scenes.
        workspace: gives the classes.
        reporter: takes warnings.

    Raises:
        LabelError: no scene has labels, or some do not fit.
    """
    from tsfal_geo.raster.label_reader import check_labels

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


def score(workspace: WorkspaceFolder, scenes: list[Scene], reporter: Reporter) -> Scores:
    """Predict scenes wall-to-wall and compare with their labels, each pixel once.

    Args:
        workspace: with a model.
        scenes: with labels.
        reporter: takes the progress.
    """
    from tsfal_geo.assess.metrics import Confusion
    from tsfal_geo.assess.prediction import compare_scene
    from tsfal_geo.inference.network import open_network
    from tsfal_geo.mapping.compatibility import open_scenes
    from tsfal_geo.mapping.scene import settings_for
    from tsfal_geo.raster.label_reader import FolderLabels

    network = open_network(workspace.current_model())
    reader = open_scenes(scenes, network.card, workspace.scenes[0].dtype)
    labels = FolderLabels(scenes, workspace.classes)
    settings = settings_for(network, workspace.config.export, workspace.config.plar.confidence)
    confusion = Confusion(len(network.classes))
    for index, scene in enumerate(scenes):
        compare_scene(
            reader,
            index,
            network,
            settings,
            labels,
            confusion,
            scene_progress(reporter, "evaluate", scene.name, index, len(scenes)),
        )
    return replace(confusion.scores(network.classes.names), scenes=tuple(scene.name for scene in scenes))
