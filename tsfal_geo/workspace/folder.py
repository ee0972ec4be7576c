"""The workspace folder: where everything is, and the one file that says so."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tsfal_geo.atomic import write_text
from tsfal_geo.classes import ClassMap
from tsfal_geo.config import Config
from tsfal_geo.config.reading import validated
from tsfal_geo.errors import WorkspaceError
from tsfal_geo.labels.opening import open_store
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.raster.scene import Scene
from tsfal_geo.versions import package_versions
from tsfal_geo.workspace.state import INDEX, State, reading_index, state_from_json, state_to_json


class WorkspaceFolder:
    """One project's folder. The engine is the only writer of ``workspace.json`` and ``rounds/``."""

    def __init__(self, root: Path, state: State) -> None:
        self.root = Path(root)
        self.state = state

    @classmethod
    def create(cls, root: Path, state: State, config: Config) -> WorkspaceFolder:
        """Make the folders and write ``workspace.json`` and ``tsfal.yaml``."""
        workspace = cls(root, state)
        for folder in ("labels", "rounds", "maps", "runs", "reference"):
            (workspace.root / folder).mkdir(parents=True, exist_ok=True)
        workspace.write_config(config)
        workspace.save(state)
        return workspace

    @classmethod
    def exists(cls, root: Path) -> bool:
        """Whether ``root`` holds a workspace."""
        return (Path(root) / INDEX).is_file()

    @classmethod
    def open(cls, root: Path) -> WorkspaceFolder:
        """Read a workspace.

        Raises:
            WorkspaceError: not a workspace, damaged, or written by a newer version.
        """
        root = Path(root)
        with reading_index(root) as data:
            return cls(root, state_from_json(root, data))

    @staticmethod
    def standing(root: Path) -> tuple[int, str]:
        """Last complete round and status, without the scenes, which take long where there are thousands.

        Raises:
            WorkspaceError: as ``open`` raises.
        """
        with reading_index(Path(root)) as data:
            return int(data["round"]), str(data["status"])

    def save(self, state: State) -> None:
        """Make ``state`` the workspace's state, on disk whole or not at all."""
        write_text(
            self.root / INDEX, json.dumps(state_to_json(self.root, state), indent=1, ensure_ascii=False)
        )
        self.state = state

    def update(self, **changes: Any) -> None:
        """Save the state with some fields changed."""
        self.save(replace(self.state, **changes))

    @property
    def classes(self) -> ClassMap:
        """The class map."""
        return self.state.classes

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """Training scenes, as they were when the workspace was made."""
        return self.state.scenes

    @property
    def raster_dir(self) -> Path:
        """Folder of the training scenes."""
        return self.state.raster_dir

    @property
    def current_round(self) -> int:
        """Last complete round; -1 before the first is done."""
        return self.state.round

    @property
    def labels(self) -> Path:
        """Folder of people's label files."""
        return self.root / "labels"

    @property
    def maps(self) -> Path:
        """Folder of exported maps."""
        return self.root / "maps"

    @property
    def runs(self) -> Path:
        """Folder of the runs' event logs."""
        return self.root / "runs"

    def round_dir(self, number: int) -> Path:
        """Folder of a round."""
        return self.root / "rounds" / f"{number:03d}"

    def current_model(self) -> Path:
        """Folder that holds ``model.safetensors`` and ``model.json`` of the last complete round.

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
            ConfigError: a key that there is not, or a value out of range.
            WorkspaceError: ``tsfal.yaml`` is missing or damaged.
        """
        path = self.root / "tsfal.yaml"
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            reason = str(error).splitlines()[0]
            raise WorkspaceError(f"{path}: damaged ({reason}); restore it, or `train --fresh`") from None
        return validated(values, str(path))

    def write_config(self, config: Config) -> None:
        """Write ``tsfal.yaml``: the resolved configuration and the versions it ran with."""
        text = yaml.safe_dump(
            {"config": config.model_dump(mode="json"), "versions": package_versions()},
            sort_keys=False,
            allow_unicode=True,
        )
        write_text(self.root / "tsfal.yaml", text)
        self.__dict__.pop("config", None)

    def metrics(self, number: int) -> dict[str, Any]:
        """What a complete round noted in its ``metrics.json``.

        Raises:
            WorkspaceError: the file is missing or damaged.
        """
        path = self.round_dir(number) / "metrics.json"
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise WorkspaceError(f"{path}: not readable ({error}); restore it from a copy") from None
        return values

    def store(self) -> LabelStore:
        """The label store of this workspace."""
        return open_store(self.root, self.classes, list(self.scenes), self.state.store)
