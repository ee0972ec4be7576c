"""Overlays of the training scenes' maps: labels, and those of PLAR's votes that labels support."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio import windows

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.config import PlarConfig
from tsfal_geo.labels.history import read_snapshot
from tsfal_geo.labels.model import Label, LabelSnapshot
from tsfal_geo.labels.rasterise import PolygonLabels, StackedLabels
from tsfal_geo.mapping.overlay import LABEL, NETWORK, VOTE, LabelOverlay
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.files import FileHandles
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.scene import Scene
from tsfal_geo.refinement.support import label_cells, supported_by_labels
from tsfal_geo.rounds import inputs as inputs_file
from tsfal_geo.rounds.inputs import INPUTS_NAME, Inputs
from tsfal_geo.workspace.folder import WorkspaceFolder


class Votes:
    """The votes of a round in one scene, in chips that people had labelled enough of.

    Args:
        path: ``refined.tif`` of the scene.
        classes: the class map.
        chip: pixels a side of a chip.
        supported: (rows, columns) bool, chips whose votes labels support.
    """

    def __init__(self, path: Path, classes: ClassMap, chip: int, supported: NDArray[np.bool_]) -> None:
        self._path, self._chip, self._supported = path, chip, supported
        self._handles = FileHandles()
        self._index = np.full(256, IGNORE, np.uint8)
        self._index[np.asarray(classes.ids)] = np.arange(len(classes), dtype=np.uint8)

    def read(self, y: int, x: int, height: int, width: int) -> NDArray[np.uint8]:
        """Read a window inside the scene.

        Args:
            y: first row.
            x: first column.
            height: rows.
            width: columns.

        Returns:
            Class indices (height, width) uint8; 255 without a vote.
        """
        rows, columns = (np.arange(at, at + n) // self._chip for at, n in ((y, height), (x, width)))
        supported = self._supported[np.ix_(rows, columns)]
        if not supported.any():
            return np.full((height, width), IGNORE, np.uint8)
        ids = self._handles.get(self._path).read(1, window=windows.Window(x, y, width, height))
        return np.where(supported, self._index[ids], np.uint8(IGNORE))


class SceneOverlay:
    """Labels of a scene over votes: a `tsfal_geo.mapping.overlay.LabelOverlay`.

    Args:
        labels: people's labels over the folder's.
        scene: the scene's position there.
        votes: None where PLAR has not voted.
    """

    def __init__(self, labels: LabelReader, scene: int, votes: Votes | None) -> None:
        self._labels, self._scene, self._votes = labels, scene, votes

    def read(self, y: int, x: int, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Read a window, as `LabelOverlay` says."""
        values = self._labels.read(Window(self._scene, y, x, height, width))
        source = np.where(values != IGNORE, np.uint8(LABEL), np.uint8(NETWORK))
        if self._votes is not None and (values == IGNORE).any():
            votes = self._votes.read(y, x, height, width)
            at = (values == IGNORE) & (votes != IGNORE)
            values, source = np.where(at, votes, values), np.where(at, np.uint8(VOTE), source)
        return values, source


def same_grid_other_file(workspace: WorkspaceFolder, scenes: Sequence[Scene]) -> list[Scene]:
    """Return scenes with the name and grid of a training scene, but another file.

    Their labels are unknown: they may be the same pictures in another place, or another year's.

    Args:
        workspace: with training scenes.
        scenes: any scenes.
    """
    trained = {scene.name: scene for scene in workspace.scenes}
    return [
        scene
        for scene in scenes
        if scene.name in trained
        and trained[scene.name].grid == scene.grid
        and trained[scene.name].path.resolve() != scene.path.resolve()
    ]


def scene_overlays(
    workspace: WorkspaceFolder, scenes: Sequence[Scene], snapshot: LabelSnapshot
) -> dict[str, LabelOverlay]:
    """Return the overlays of those scenes that the workspace trains on, by name.

    Labels are today's, whether or not a round has trained on them; votes are the last round's. The file makes
    a scene a training scene: another picture of the same name and grid may show another year.

    Args:
        workspace: with a complete round.
        scenes: any scenes.
        snapshot: people's labels.

    Raises:
        WorkspaceError: what the workspace kept is damaged.
    """
    position = {scene.path.resolve(): i for i, scene in enumerate(workspace.scenes)}
    own = [scene for scene in scenes if scene.path.resolve() in position]
    if not own:
        return {}
    inputs = inputs_file.load(
        workspace.root / INPUTS_NAME, workspace.scenes, workspace.classes, workspace.config
    )
    labels = _stacked(inputs, snapshot.labels)
    number = workspace.current_round
    paths = {scene.name: workspace.round_dir(number) / scene.name / "refined.tif" for scene in own}
    voted = any(path.is_file() for path in paths.values())
    earlier = _stacked(inputs, read_snapshot(workspace.store(), number).labels) if voted else None
    found: dict[str, LabelOverlay] = {}
    for scene in own:
        index, path = position[scene.path.resolve()], paths[scene.name]
        votes = None
        if earlier is not None and path.is_file():
            supported = _supported_chips(inputs, earlier, index, workspace.config.plar)
            votes = Votes(path, inputs.classes, workspace.config.data.chip_size, supported)
        found[scene.name] = SceneOverlay(labels, index, votes)
    return found


def supported_votes(
    votes: NDArray[np.uint8], labels: NDArray[np.uint8], config: PlarConfig
) -> NDArray[np.uint8]:
    """Return the votes of a chip if its labels support them; else 255 everywhere.

    Args:
        votes: (H, W) uint8 class indices, 255 without a vote.
        labels: (H, W) uint8 class indices, 255 without a label.
        config: says how many labelled cells are enough.
    """
    return votes if _supports_votes(labels, config) else np.full_like(votes, IGNORE)


def _supports_votes(labels: NDArray[np.uint8], config: PlarConfig) -> bool:
    cells = label_cells(torch.from_numpy(np.ascontiguousarray(labels))[None], config.purity)
    return bool(supported_by_labels(cells, config))


def _stacked(inputs: Inputs, labels: Iterable[Label]) -> StackedLabels:
    return StackedLabels(PolygonLabels(tuple(labels), inputs.scenes, inputs.classes), inputs.base)


def _supported_chips(
    inputs: Inputs, labels: LabelReader, index: int, config: PlarConfig
) -> NDArray[np.bool_]:
    chips = [chip for chip in inputs.chips if chip.scene == index]
    supported = np.zeros((chips[-1].row + 1, chips[-1].col + 1), bool)
    for chip in chips:
        values = labels.read(chip.window)
        supported[chip.row, chip.col] = (values != IGNORE).any() and _supports_votes(values, config)
    return supported
