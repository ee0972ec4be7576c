"""The validation scenes of a workspace."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from tsfal_geo.config import Config, load_config
from tsfal_geo.errors import LabelError, RasterError
from tsfal_geo.raster.chips import Chip, scene_chips
from tsfal_geo.raster.discovery import RasterWarning
from tsfal_geo.raster.label_judgement import judge_labels
from tsfal_geo.raster.label_reader import FolderLabels
from tsfal_geo.raster.reader import SceneReader
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
    scenes, reader = open_scenes(folder, load_config(None, {"data.dsm": heights}, config))
    if (reader.channels, reader.band_dtype) != (inputs.reader.channels, inputs.reader.band_dtype):
        raise RasterError(
            f"{scenes[0].path}: found {reader.channels} channels of {reader.band_dtype}, expected "
            f"{inputs.reader.channels} of {inputs.reader.band_dtype} as in training; choose with --bands"
        )
    labelled = tuple(scene for scene in scenes if scene.labels)
    if not labelled:
        raise LabelError(f"{folder}: found no labels for validation, expected rasters in {folder / 'labels'}")
    for line in judge_labels(folder, labelled, inputs.classes, declared=True):
        warnings.warn(line, RasterWarning, stacklevel=2)
    if len(labelled) < len(scenes):
        reader = SceneReader(labelled, config.data.bands, reader.channels > reader.bands)
    chips = scene_chips(labelled, config.data.chip_size, config.data.edge)
    return ValidationSet(reader, FolderLabels(labelled, inputs.classes), tuple(chips))
