"""The accuracy of a workspace's model on scenes with label rasters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tsfal_geo.config import parse_label_values
from tsfal_geo.errors import LabelError
from tsfal_geo.reporting import Reporter, find_scenes, scene_progress

if TYPE_CHECKING:
    from tsfal_geo.assess.metrics import Scores
    from tsfal_geo.classes import ClassMap
    from tsfal_geo.raster.scene import Scene
    from tsfal_geo.workspace.folder import WorkspaceFolder


def evaluate_folder(
    workspace: WorkspaceFolder,
    folder: Path,
    label_values: Mapping[str, str] | None,
    reporter: Reporter,
    crs: str | None = None,
) -> Scores:
    """Compare the model's prediction of a folder of scenes with their label rasters.

    Args:
        workspace: with a model.
        folder: of the scenes.
        label_values: class by value of the label files; None or empty: as in training.
        reporter: takes warnings and progress.
        crs: CRS of orthophotos that have a place but declare no CRS; None: as in training.

    Returns:
        The scores.

    Raises:
        LabelError: no scene has labels, or some do not fit the workspace's classes.
        ConfigError: ``label_values`` names a class that the workspace does not have.
    """
    classes = workspace.classes
    if label_values:
        classes = classes.with_label_values(parse_label_values(label_values))
    crs = crs or workspace.config.data.crs
    return score(workspace, labelled_scenes(folder, classes, reporter, crs), classes, reporter)


def labelled_scenes(
    folder: Path, classes: ClassMap, reporter: Reporter, crs: str | None = None
) -> list[Scene]:
    """Return the scenes of a folder whose labels fit the workspace's classes.

    Args:
        folder: of the scenes.
        classes: the workspace's, with the values of these label files.
        reporter: takes warnings.
        crs: CRS of orthophotos that have a place but declare no CRS.

    Raises:
        LabelError: no scene has labels, or some do not fit.
    """
    from tsfal_geo.raster.label_judgement import judge_labels

    scenes = find_scenes(folder, reporter, crs)
    labelled = [scene for scene in scenes if scene.labels is not None]
    if not labelled:
        raise LabelError(
            f"{folder}: found {len(scenes)} scenes and no labels, expected a label raster for at least one "
            f"of them; put one with the same name into {folder / 'labels'}"
        )
    bare = [scene.name for scene in scenes if scene.labels is None]
    if bare:
        reporter.warning(f"{len(bare)} of {len(scenes)} scenes have no labels: {', '.join(bare[:5])}")
    for line in judge_labels(folder, labelled, classes, declared=True):
        reporter.warning(line)
    return labelled


def score(workspace: WorkspaceFolder, scenes: list[Scene], classes: ClassMap, reporter: Reporter) -> Scores:
    """Predict scenes wall-to-wall and compare with their labels, each pixel once.

    Args:
        workspace: with a model.
        scenes: with labels.
        classes: the workspace's, with the values of these label files.
        reporter: takes the progress.
    """
    from tsfal_geo.assess.metrics import Confusion
    from tsfal_geo.assess.prediction import compare_scene
    from tsfal_geo.inference.backends import choose_backend
    from tsfal_geo.inference.compute import choose_compute
    from tsfal_geo.inference.network import open_network
    from tsfal_geo.mapping.compatibility import open_scenes
    from tsfal_geo.mapping.scene import settings_for
    from tsfal_geo.raster.comparison import differences
    from tsfal_geo.raster.label_reader import FolderLabels

    export = workspace.config.export
    backend = choose_backend(export, choose_compute(), sum(scene.height * scene.width for scene in scenes))
    network = open_network(workspace.current_model(), backend=backend, window=export.side)
    first = workspace.scenes[0]
    reader = open_scenes(scenes, network.card, first.dtype, first.radiometry)
    for line in differences(scenes, first, network.card.bands):
        reporter.warning(line)
    labels = FolderLabels(scenes, classes)
    settings = settings_for(network, export, workspace.config.plar.confidence)
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
