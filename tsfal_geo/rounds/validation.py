"""The validation scenes of a workspace."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tsfal_geo.config import Config, load_config
from tsfal_geo.errors import LabelError, RasterError
from tsfal_geo.raster.chips import Chip, scene_chips
from tsfal_geo.raster.comparison import differences, overlapping
from tsfal_geo.raster.discovery import RasterWarning
from tsfal_geo.raster.label_judgement import judge_labels
from tsfal_geo.raster.label_reader import FolderLabels
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene
from tsfal_geo.rounds.inputs import Inputs, open_scenes


@dataclass(frozen=True)
class ValidationSet:
    """Scenes with labels that nothing trains on.

    Attributes:
        reader: reads their pixels.
        labels: reads their label files.
        chips: all chips of all scenes.
    """

    reader: SceneReader
    labels: FolderLabels
    chips: tuple[Chip, ...]


def validation_set(folder: Path, inputs: Inputs, config: Config) -> ValidationSet:
    """Open a folder as validation set of a workspace.

    Args:
        folder: of the validation scenes.
        inputs: the workspace's training scenes.
        config: the whole configuration.

    Raises:
        RasterError: other bands or types than the training scenes.
        LabelError: no labels, or labels that do not fit.
    """
    heights = "use" if inputs.reader.channels > inputs.reader.bands else "ignore"
    first = inputs.scenes[0]
    # The area of interest limits what is trained on; validation scenes may lie anywhere.
    own = load_config(None, {"data.dsm": heights, "data.aoi": None}, config)
    scenes, reader = open_scenes(folder, own, first.radiometry)
    if (reader.channels, scenes[0].dtype) != (inputs.reader.channels, first.dtype):
        raise RasterError(
            f"{scenes[0].path}: found {reader.channels} channels of {scenes[0].dtype}, expected "
            f"{inputs.reader.channels} of {first.dtype} as in training; choose with --bands"
        )
    for line in differences(scenes, first, config.data.bands):
        warnings.warn(line, RasterWarning, stacklevel=2)
    labelled = tuple(scene for scene in scenes if scene.labels)
    if not labelled:
        raise LabelError(f"{folder}: found no labels for validation, expected rasters in {folder / 'labels'}")
    _warn_of_overlap(folder, labelled, inputs.scenes)
    for line in judge_labels(folder, labelled, inputs.classes, declared=True):
        warnings.warn(line, RasterWarning, stacklevel=2)
    if len(labelled) < len(scenes):
        use_dsm = reader.channels > reader.bands
        reader = SceneReader(labelled, config.data.bands, use_dsm, reference=first.radiometry)
    chips = scene_chips(labelled, config.data.chip_size, config.data.edge)
    return ValidationSet(reader, FolderLabels(labelled, inputs.classes), tuple(chips))


def _warn_of_overlap(folder: Path, scenes: Sequence[Scene], trained: Sequence[Scene]) -> None:
    found = overlapping(scenes, trained)
    if found:
        first, other = found[0]
        warnings.warn(
            f"{folder}: {len(found)} of {len(scenes)} validation scenes show ground that is trained on, "
            "such as "
            f"{first.path.name} and {other.path}; the validation then measures memory, expected other "
            "ground: give "
            "--val a folder of its own",
            RasterWarning,
            stacklevel=2,
        )
