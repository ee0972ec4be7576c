"""The workspace folder: where everything is, and the one file that says so."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from affine import Affine
from odc.geo.geobox import GeoBox

from tsfal_geo.classes import ClassMap
from tsfal_geo.config import Config
from tsfal_geo.config.reading import validated
from tsfal_geo.errors import WorkspaceError
from tsfal_geo.raster.scene import Scene
from tsfal_geo.workspace.atomic import write_text

if TYPE_CHECKING:
    from tsfal_geo.labels.store import LabelStore

SCHEMA = 1
_INDEX = "workspace.json"


@dataclass(frozen=True)
class State:
    """What ``workspace.json`` says: classes, scenes, and how far the rounds have come.

    Attributes:
        raster_dir: folder of the training scenes.
        val_dir: folder of the validation scenes, if any.
        classes: the class map.
        scenes: the training scenes with their grids.
        round: last complete round, or -1 before the first one is done.
        status: ``new``, ``training``, ``waiting`` (for a person's labels) or ``done`` (nothing left to ask).
        store: URL of a PostGIS label store; None for GeoPackages in the workspace.
        progress: figures of the last complete round that a panel shows (budget, spent, open queries, mIoU).
    """

    raster_dir: Path
    val_dir: Path | None
    classes: ClassMap
    scenes: tuple[Scene, ...]
    round: int = -1
    status: str = "new"
    store: str | None = None
    progress: dict[str, Any] = field(default_factory=dict)


class Workspace:
    """One project's folder. The engine is the only writer of ``workspace.json`` and ``rounds/``."""

    def __init__(self, root: Path, state: State) -> None:
        self.root = Path(root)
        self.state = state

    @classmethod
    def create(cls, root: Path, state: State, config: Config) -> Workspace:
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
        return (Path(root) / _INDEX).is_file()

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """Read a workspace.

        Raises:
            WorkspaceError: not a workspace, damaged, or written by a newer version.
        """
        root = Path(root)
        with _reading(root) as data:
            return cls(root, _state_from_json(root, data))

    @staticmethod
    def standing(root: Path) -> tuple[int, str]:
        """Last complete round and status, without the scenes, which take long where there are thousands.

        Raises:
            WorkspaceError: as ``open`` raises.
        """
        with _reading(Path(root)) as data:
            return int(data["round"]), str(data["status"])

    def save(self, state: State) -> None:
        """Make ``state`` the workspace's state, on disk whole or not at all."""
        write_text(
            self.root / _INDEX, json.dumps(_state_to_json(self.root, state), indent=1, ensure_ascii=False)
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
        from tsfal_geo.workspace.versions import package_versions

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
        from tsfal_geo.labels.store import open_store

        return open_store(self.root, self.classes, list(self.scenes), self.state.store)


@contextmanager
def _reading(root: Path) -> Iterator[dict[str, Any]]:
    path = root / _INDEX
    if not path.is_file():
        raise WorkspaceError(
            f"{root}: found no {_INDEX}, expected a workspace; make one with "
            "`tsfal-geo train --raster DIR --workspace WS`"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        schema = int(data["schema"])
    except (ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"{path}: damaged ({error}); restore it from a copy of the workspace") from None
    if schema > SCHEMA:
        raise WorkspaceError(
            f"{path}: schema {schema} is newer than this tsfal-geo knows ({SCHEMA}); upgrade tsfal-geo"
        )
    try:
        yield data
    except (KeyError, TypeError, ValueError) as error:
        raise WorkspaceError(
            f"{path}: damaged ({error!r}); restore it from a copy of the workspace"
        ) from None


def _state_to_json(root: Path, state: State) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "raster_dir": _relative(root, state.raster_dir),
        "val_dir": _relative(root, state.val_dir) if state.val_dir else None,
        "round": state.round,
        "status": state.status,
        "store": state.store,
        "classes": state.classes.to_json(),
        "ignore_colours": [list(colour) for colour in state.classes.ignore_colours],
        "ignore_ids": list(state.classes.ignore_ids),
        "scenes": [_scene_to_json(root, scene) for scene in state.scenes],
        "progress": state.progress,
    }


def _state_from_json(root: Path, data: dict[str, Any]) -> State:
    return State(
        raster_dir=_absolute(root, data["raster_dir"]),
        val_dir=_absolute(root, data["val_dir"]) if data.get("val_dir") else None,
        classes=replace(
            ClassMap.from_json(data["classes"]),
            ignore_colours=tuple((int(r), int(g), int(b)) for r, g, b in data["ignore_colours"]),
            ignore_ids=tuple(int(value) for value in data.get("ignore_ids", ())),
        ),
        scenes=tuple(_scene_from_json(root, item) for item in data["scenes"]),
        round=int(data["round"]),
        status=str(data["status"]),
        store=data.get("store"),
        progress=dict(data.get("progress") or {}),
    )


def _scene_to_json(root: Path, scene: Scene) -> dict[str, Any]:
    crs = scene.grid.crs
    return {
        "name": scene.name,
        "path": _relative(root, scene.path),
        "height": scene.height,
        "width": scene.width,
        "transform": list(scene.grid.affine)[:6],
        "crs": (f"EPSG:{crs.epsg}" if crs.epsg else crs.to_wkt()) if crs is not None else None,
        "bands": scene.bands,
        "dtype": scene.dtype,
        "nodata": None if scene.nodata is None else repr(float(scene.nodata)),
        "alpha": scene.alpha,
        "masked": scene.masked,
        "dsm": _relative(root, scene.dsm) if scene.dsm else None,
        "labels": _relative(root, scene.labels) if scene.labels else None,
    }


def _scene_from_json(root: Path, item: dict[str, Any]) -> Scene:
    return Scene(
        name=item["name"],
        path=_absolute(root, item["path"]),
        grid=GeoBox((item["height"], item["width"]), Affine(*item["transform"]), item["crs"]),
        bands=int(item["bands"]),
        dtype=item["dtype"],
        nodata=None if item["nodata"] is None else float(item["nodata"]),
        alpha=item["alpha"],
        masked=bool(item["masked"]),
        dsm=_absolute(root, item["dsm"]) if item["dsm"] else None,
        labels=_absolute(root, item["labels"]) if item["labels"] else None,
    )


def _relative(root: Path, path: Path) -> str:
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:  # another drive on Windows
        return Path(path).absolute().as_posix()


def _absolute(root: Path, text: str) -> Path:
    return Path(os.path.normpath(root / text))


def scenes_changed(known: Sequence[Scene], found: Sequence[Scene]) -> list[str]:
    """Names of scenes whose grid differs, or that are gone or new, between two lists."""
    before = {scene.name: scene.grid for scene in known}
    after = {scene.name: scene.grid for scene in found}
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
