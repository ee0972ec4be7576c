"""The workspace folder: its files and folders, state, configuration and label store."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tsfal_geo.atomic import remove_folder, write_text
from tsfal_geo.classes import ClassMap
from tsfal_geo.config import Config
from tsfal_geo.config.reading import validated
from tsfal_geo.errors import WorkspaceError
from tsfal_geo.figures import json_text
from tsfal_geo.labels.opening import open_store
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.raster.scene import Scene
from tsfal_geo.versions import package_versions
from tsfal_geo.workspace.fresh import pending, start_over
from tsfal_geo.workspace.lock import engine_lock
from tsfal_geo.workspace.state import INDEX, State, reading_index, state_from_json, state_to_json

FEATURES = "features"
"""Name of the folder of cached features in a workspace."""
LIVE = "live"
"""Name of the folder of maps that live sessions show, in a workspace."""
_CONFIG = "tsfal.yaml"
_ASKING = "asking"
_OPTIONAL_FIGURES = ("budget", "queries", "query_pixels", "answers", "minutes", "seconds")


class WorkspaceFolder:
    """The folder of one project. The engine alone writes ``workspace.json`` and ``rounds/``.

    Attributes:
        root: path of the folder.
        state: the content of ``workspace.json``.
    """

    def __init__(self, root: Path, state: State) -> None:
        self.root = Path(root)
        self.state = state

    @classmethod
    def create(cls, root: Path, state: State, config: Config) -> WorkspaceFolder:
        """Make the folders and write ``workspace.json`` and ``tsfal.yaml``.

        Args:
            root: path of the folder; made where it does not exist.
            state: the first state.
            config: the resolved configuration.
        """
        workspace = cls(root, state)
        for folder in ("labels", "rounds", "maps", "runs", "reference"):
            (workspace.root / folder).mkdir(parents=True, exist_ok=True)
        workspace.write_config(config)
        workspace.save(state)
        return workspace

    @classmethod
    def renew(
        cls, root: Path, state: State, config: Config, inputs: tuple[str, str], archived: str
    ) -> tuple[WorkspaceFolder, Path]:
        """Start over: the old rounds go to ``archive/``, and annotators' labels stay.

        Args:
            root: path of the folder; its lock is held.
            state: the first state.
            config: the resolved configuration.
            inputs: name and text of the file of the inputs.
            archived: pattern of the label files that go with the old rounds.

        Returns:
            The workspace, and the folder of the old rounds.
        """
        files = {INDEX: _index_text(root, state), _CONFIG: _config_text(config), inputs[0]: inputs[1]}
        return cls(root, state), start_over(root, files, archived)

    @classmethod
    def exists(cls, root: Path) -> bool:
        """Tell whether a folder is a workspace.

        Args:
            root: any path.
        """
        return (Path(root) / INDEX).is_file()

    @classmethod
    def open(cls, root: Path) -> WorkspaceFolder:
        """Read a workspace; a fresh start that was cut off is finished first.

        Args:
            root: path of the folder.

        Raises:
            WorkspaceError: the folder is no workspace, or is damaged, or a newer version wrote it.
        """
        root = Path(root)
        if pending(root):
            with suppress(WorkspaceError), engine_lock(root):  # another engine finishes it itself
                pass
        with reading_index(root) as data:
            return cls(root, state_from_json(root, data))

    @staticmethod
    def read_progress(root: Path) -> tuple[int, str]:
        """Read the last complete round and the status alone, which is faster than `open` with many scenes.

        Args:
            root: path of the folder.

        Raises:
            WorkspaceError: as `open` raises.
        """
        with reading_index(Path(root)) as data:
            return int(data["round"]), str(data["status"])

    def save(self, state: State) -> None:
        """Save a state as the workspace's own, whole or not at all.

        Args:
            state: the new state.
        """
        write_text(self.root / INDEX, _index_text(self.root, state))
        self.state = state

    def update(self, **changes: Any) -> None:
        """Save the state with some fields changed.

        Args:
            **changes: fields of the state.
        """
        self.save(replace(self.state, **changes))

    @property
    def classes(self) -> ClassMap:
        """The class map."""
        return self.state.classes

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """The training scenes, as they were when the workspace was made."""
        return self.state.scenes

    @property
    def raster_dir(self) -> Path:
        """The folder of the training scenes."""
        return self.state.raster_dir

    @property
    def current_round(self) -> int:
        """The last complete round; -1 before the first is complete."""
        return self.state.round

    @property
    def labels(self) -> Path:
        """The folder of the annotators' label files."""
        return self.root / "labels"

    @property
    def maps(self) -> Path:
        """The folder of exported maps."""
        return self.root / "maps"

    @property
    def features(self) -> Path:
        """Folder of the cached features, which may be deleted at any time."""
        return self.root / FEATURES

    @property
    def runs(self) -> Path:
        """The folder of the runs' event logs."""
        return self.root / "runs"

    def round_dir(self, number: int) -> Path:
        """Return the folder of a round.

        Args:
            number: of the round.
        """
        return self.root / "rounds" / f"{number:03d}"

    def query_prefix(self, number: int) -> str:
        """Return how the names of a round's queries begin.

        After a ``--fresh`` start the names differ, so that labels from before answer none of the new queries.

        Args:
            number: of the round.
        """
        begun_anew = len(list((self.root / "archive").glob("*")))
        return f"{begun_anew}.{number:03d}-" if begun_anew else f"{number:03d}-"

    def in_progress(self, number: int) -> bool:
        """Tell whether the training of a round has begun: a round keeps its labels before anything else.

        Args:
            number: of the round.
        """
        folder = self.round_dir(number)
        return (folder / "taken.gpkg").exists() and not (folder / _ASKING).exists()

    def begin_asking(self, number: int) -> None:
        """Note that a round asks without training: where it is cut off, nothing of it is worth going on with.

        Args:
            number: of the round.
        """
        self.round_dir(number).mkdir(parents=True, exist_ok=True)
        (self.round_dir(number) / _ASKING).touch()

    def end_asking(self) -> None:
        """Drop a round that asked and was cut off, and the note in one that is complete."""
        unfinished = self.round_dir(self.current_round + 1)
        if (unfinished / _ASKING).exists():
            remove_folder(unfinished)
        if self.current_round >= 0:
            (self.round_dir(self.current_round) / _ASKING).unlink(missing_ok=True)

    def current_model(self) -> Path:
        """Return the folder of the last complete round, with its ``model.safetensors`` and ``model.json``.

        Raises:
            WorkspaceError: no round is complete yet.
        """
        folder = self.round_dir(self.current_round)
        if self.current_round < 0 or not (folder / "model.json").is_file():
            raise WorkspaceError(
                f"{self.root}: no trained model yet; run `tsfal-geo train --workspace {self.root}`"
            )
        return folder

    @cached_property
    def config(self) -> Config:
        """The configuration of the workspace.

        Raises:
            ConfigError: an unknown key, or a value out of range.
            WorkspaceError: ``tsfal.yaml`` is missing or damaged.
        """
        path = self.root / _CONFIG
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            reason = str(error).splitlines()[0]
            raise WorkspaceError(
                f"{path}: damaged ({reason}); restore it from a copy, or start over with `train --fresh`"
            ) from None
        return validated(values, str(path))

    def write_config(self, config: Config) -> None:
        """Write ``tsfal.yaml``: the resolved configuration and the versions of the packages.

        Args:
            config: the resolved configuration.
        """
        write_text(self.root / _CONFIG, _config_text(config))
        self.__dict__.pop("config", None)

    def metrics(self, number: int) -> dict[str, Any]:
        """Read the ``metrics.json`` of a complete round.

        Args:
            number: of the round.

        Returns:
            The figures by name. Those that this or an earlier version may leave out are None where the file
            lacks them.

        Raises:
            WorkspaceError: the file is missing or damaged.
        """
        path = self.round_dir(number) / "metrics.json"
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise WorkspaceError(f"{path}: not readable ({error}); restore it from a copy") from None
        if not isinstance(values, dict) or not isinstance(values.get("labelled_share"), int | float):
            raise WorkspaceError(
                f"{path}: damaged (found no labelled_share, expected 0 to 1); restore it from a copy"
            )
        return {"round": number, **dict.fromkeys(_OPTIONAL_FIGURES), **values}

    def store(self) -> LabelStore:
        """Open the label store of this workspace.

        Raises:
            WorkspaceError: the database of the label store does not answer.
        """
        return open_store(self.root, self.classes, list(self.scenes), self.state.store)


def _index_text(root: Path, state: State) -> str:
    return json_text(state_to_json(root, state), indent=1)


def _config_text(config: Config) -> str:
    values = {"config": config.model_dump(mode="json"), "versions": package_versions()}
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
