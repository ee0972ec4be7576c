"""The inputs of a workspace: scenes, classes, normalisation, the chips labelled at the start."""

from __future__ import annotations

import json
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.atomic import write_text
from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.config import Config, parse_label_values
from tsfal_geo.data.split import class_counts, draw_labelled, listed_scenes
from tsfal_geo.errors import LabelError, RasterError, WorkspaceError
from tsfal_geo.labels.exchange.area import limit_to, read_area
from tsfal_geo.raster.chips import Chip, Window, owned_part, scene_chips
from tsfal_geo.raster.comparison import differences
from tsfal_geo.raster.discovery import RasterWarning, discover
from tsfal_geo.raster.label_judgement import judge_labels
from tsfal_geo.raster.label_reader import FolderLabels, LabelReader
from tsfal_geo.raster.label_tables import classes_are_named, folder_class_map
from tsfal_geo.raster.radiometry import Radiometry
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene
from tsfal_geo.raster.stats import Normalisation, compute_normalisation

INPUTS_NAME = "inputs.json"
_SHOWN = 5


@dataclass(frozen=True)
class Inputs:
    """Everything about the rasters that does not change while a workspace lives.

    Attributes:
        scenes: training scenes.
        classes: the class map.
        reader: reads their pixels.
        normalisation: from the training scenes, or what the weights expect.
        chips: all chips of all scenes, scene by scene, row by row.
        labelled: positions in ``chips`` of the chips whose folder labels are used.
        valid: valid pixels of each scene (no nodata; with an oracle, no void either), each counted once.
    """

    scenes: tuple[Scene, ...]
    classes: ClassMap
    reader: SceneReader
    normalisation: Normalisation
    chips: tuple[Chip, ...]
    labelled: tuple[int, ...]
    valid: tuple[int, ...]

    @cached_property
    def truth(self) -> FolderLabels:
        """All labels of the folder: the oracle's knowledge."""
        return FolderLabels(self.scenes, self.classes)

    @cached_property
    def base(self) -> ChipLabels:
        """The folder's labels inside the labelled chips only."""
        return ChipLabels(self.truth, [self.chips[i] for i in self.labelled])

    @property
    def total(self) -> int:
        """Valid pixels of all scenes: the denominator of the labelled share."""
        return sum(self.valid)


def class_map(config: Config, scenes: Sequence[Scene]) -> ClassMap:
    """Return the class map of the configuration, else of the label files' own tables, else Vaihingen's.

    Args:
        config: may name the classes.
        scenes: with label files that may.
    """
    values = parse_label_values(config.label_values)
    if config.classes:
        return ClassMap.from_specs(config.classes, config.ignore_colours, config.ignore_ids, values)
    return folder_class_map(scenes, values).ignoring(config.ignore_ids)


def open_scenes(
    raster_dir: Path,
    config: Config,
    reference: Radiometry | None = None,
    areas: Mapping[str, bytes] | None = None,
) -> tuple[tuple[Scene, ...], SceneReader]:
    """Discover a folder's scenes and open them as the configuration says (bands, heights).

    Args:
        raster_dir: the folder.
        config: says which bands are read, and whether heights are.
        reference: declarations of the numbers to read in; None: the first scene's.
        areas: parts of the scenes that count, by name, as a workspace keeps them; None: the area of interest
            is read from its file, if the configuration has one.

    Returns:
        The scenes by name, and a reader of them.

    Raises:
        RasterError: no scenes, unusable scenes, bands that some scene lacks, a missing DSM.
    """
    scenes = tuple(discover(raster_dir, crs=config.data.crs))
    if areas:
        scenes = tuple(replace(s, area=areas[s.name]) for s in scenes if s.name in areas)
    elif config.data.aoi is not None:
        scenes = tuple(limit_to(scenes, read_area(config.data.aoi)))
    lacking = [scene for scene in scenes if not scene.dsm]
    use_dsm = config.data.dsm == "use" or (config.data.dsm == "auto" and not lacking)
    if use_dsm and lacking:
        raise RasterError(
            f"{lacking[0].path}: found no DSM for it in {raster_dir / 'dsm'}, expected one for each scene; "
            "add it, or train with --dsm ignore"
        )
    return scenes, SceneReader(scenes, config.data.bands, use_dsm, reference=reference)


def prepare(raster_dir: Path, config: Config) -> Inputs:
    """Read a folder once: check the labels, count the pixels, draw the labelled chips.

    Args:
        raster_dir: folder of the training scenes.
        config: the whole configuration.

    Raises:
        RasterError, LabelError: what the folder holds cannot be trained on.
        ConfigError, WeightsError: the weights' own normalisation does not suit it.
    """
    scenes, reader = open_scenes(raster_dir, config)
    if config.data.dsm == "auto":
        _warn_of_missing_heights(raster_dir, scenes)
    classes = class_map(config, scenes)
    truth = FolderLabels(scenes, classes)
    for line in differences(scenes, scenes[0], config.data.bands):
        warnings.warn(line, RasterWarning, stacklevel=2)
    labelled_scenes = [scene for scene in scenes if scene.labels]
    declared = bool(config.classes or config.label_values) or classes_are_named(labelled_scenes)
    for line in judge_labels(raster_dir, labelled_scenes, classes, declared=declared):
        warnings.warn(line, RasterWarning, stacklevel=2)
    chips = tuple(scene_chips(scenes, config.data.chip_size, config.data.edge))
    counts = class_counts(reader, chips, truth, len(classes))
    labelled = _labelled_chips(scenes, chips, counts, config)
    return Inputs(
        scenes=scenes,
        classes=classes,
        reader=reader,
        normalisation=_normalisation(reader, chips, config),
        chips=chips,
        labelled=labelled,
        valid=_count_valid(reader, chips, truth if config.active.oracle else None),
    )


def _warn_of_missing_heights(raster_dir: Path, scenes: Sequence[Scene]) -> None:
    lacking = [scene.name for scene in scenes if not scene.dsm]
    if not 0 < len(lacking) < len(scenes):
        return
    names = ", ".join(lacking[:_SHOWN]) + (" …" if lacking[_SHOWN:] else "")
    warnings.warn(
        f"{raster_dir / 'dsm'}: found no DSM for {len(lacking)} of {len(scenes)} scenes ({names}), expected "
        "one for each: heights are left out; add the missing ones and start over with --fresh, or say "
        "--dsm ignore",
        RasterWarning,
        stacklevel=2,
    )


def _normalisation(reader: SceneReader, chips: Sequence[Chip], config: Config) -> Normalisation:
    statistics = compute_normalisation(reader, chips)
    if config.model.normalisation == "scenes":
        return statistics
    from tsfal_geo.models.normalisation import own_normalisation

    return own_normalisation(config.model, statistics, reader.bands, reader.scenes[0].dtype)


def _labelled_chips(
    scenes: Sequence[Scene], chips: Sequence[Chip], counts: NDArray[np.int64], config: Config
) -> tuple[int, ...]:
    share, path = config.data.labelled, config.data.labelled_list
    if path is not None:
        listed = listed_scenes(path, scenes)
        return tuple(i for i, chip in enumerate(chips) if chip.scene in listed and counts[i].any())
    if share is None:
        return tuple(int(i) for i in np.flatnonzero(counts.sum(1)))
    if share == 0:
        return ()
    if not counts.any():
        raise LabelError(
            f"--labelled {share}: found no labels in the folder, expected label rasters in labels/; "
            "add them, or leave --labelled out to start from queries"
        )
    return tuple(draw_labelled(counts, share, config.train.seed))


def _count_valid(reader: SceneReader, chips: Sequence[Chip], truth: FolderLabels | None) -> tuple[int, ...]:
    totals = [0] * len(reader.scenes)
    for chip in chips:
        scene = reader.scenes[chip.scene]
        valid = reader.read(chip.window).valid
        if truth is not None:
            valid = valid & (truth.read(chip.window) != IGNORE)
        totals[chip.scene] += int(np.count_nonzero(valid[owned_part(chip, scene.height, scene.width)]))
    for scene, total in zip(reader.scenes, totals, strict=True):
        if not total:
            raise RasterError(
                f"{scene.path}: found no valid pixel, expected some; take the scene out of the folder"
                + (" or give it labels (void only)" if truth is not None else "")
            )
    return tuple(totals)


def save(inputs: Inputs, path: Path, config: Config) -> None:
    """Write what `prepare` found to ``inputs.json``, so that later runs do not read the folder again.

    Args:
        inputs: of a new workspace.
        path: the file.
        config: as for `to_text`.
    """
    write_text(path, to_text(inputs, config))


def to_text(inputs: Inputs, config: Config) -> str:
    """Return the content of ``inputs.json``.

    Args:
        inputs: of a workspace.
        config: says whether an oracle answers, which decides which pixels are valid.
    """
    labelled = [[inputs.chips[i].scene, inputs.chips[i].row, inputs.chips[i].col] for i in inputs.labelled]
    data = {
        "normalisation": inputs.normalisation.to_dict(),
        "labelled_chips": labelled,
        "valid_pixels": list(inputs.valid),
        "oracle": config.active.oracle,
        "dsm": inputs.reader.channels > inputs.reader.bands,
    }
    return json.dumps(data)


def load(
    path: Path,
    scenes: tuple[Scene, ...],
    classes: ClassMap,
    config: Config,
    opened: SceneReader | None = None,
) -> Inputs:
    """Read ``inputs.json`` back; valid pixels are counted anew if an oracle has come or gone since.

    Args:
        path: the file.
        scenes: the training scenes.
        classes: the class map.
        config: the whole configuration.
        opened: a reader of these scenes, where one is open.

    Raises:
        WorkspaceError: missing or damaged.
    """
    chips = tuple(scene_chips(scenes, config.data.chip_size, config.data.edge))
    position = {(chip.scene, chip.row, chip.col): i for i, chip in enumerate(chips)}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        heights = bool(data["dsm"])
        if opened is None or opened.scenes != scenes or (opened.channels > opened.bands) != heights:
            opened = SceneReader(scenes, config.data.bands, heights)
        inputs = Inputs(
            scenes=scenes,
            classes=classes,
            reader=opened,
            normalisation=Normalisation.from_dict(data["normalisation"]),
            chips=chips,
            labelled=tuple(position[tuple(item)] for item in data["labelled_chips"]),
            valid=tuple(int(n) for n in data["valid_pixels"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(
            f"{path}: missing or damaged ({error!r}); restore it from a copy of the workspace, or start over "
            "with `train --fresh`"
        ) from None
    oracle = config.active.oracle
    if data.get("oracle", oracle) != oracle:
        inputs = replace(inputs, valid=_count_valid(inputs.reader, chips, inputs.truth if oracle else None))
        save(inputs, path, config)
    return inputs


class ChipLabels:
    """Labels of another reader inside given chips; 255 elsewhere.

    Args:
        labels: of all scenes.
        chips: inside which the labels count.
    """

    def __init__(self, labels: LabelReader, chips: Sequence[Chip]) -> None:
        self._labels = labels
        self._chips: dict[int, list[Chip]] = defaultdict(list)
        for chip in chips:
            self._chips[chip.scene].append(chip)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the class indices of a window, (height, width) uint8."""
        covered = np.zeros(window.shape, bool)
        for chip in self._chips.get(window.scene, ()):
            part = replace(chip.window, y=chip.y - window.y, x=chip.x - window.x).inside(*window.shape)
            if part is not None:
                top, bottom, left, right = part
                covered[top:bottom, left:right] = True
        if not covered.any():
            return np.full(window.shape, IGNORE, np.uint8)
        return np.where(covered, self._labels.read(window), np.uint8(IGNORE))
