"""The state of a workspace and its file, ``workspace.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from affine import Affine
from odc.geo.geobox import GeoBox

from tsfal_geo.classes import ClassMap
from tsfal_geo.config import parse_label_values
from tsfal_geo.errors import WorkspaceError
from tsfal_geo.raster.radiometry import Radiometry
from tsfal_geo.raster.scene import Scene

SCHEMA = 1
INDEX = "workspace.json"


@dataclass(frozen=True)
class State:
    """The content of ``workspace.json``: classes, scenes, and the progress of the rounds.

    Attributes:
        raster_dir: folder of the training scenes.
        val_dir: folder of the validation scenes; None without validation.
        classes: the class map.
        scenes: the training scenes with their grids.
        round: last complete round; -1 before the first is complete.
        status: ``new``, ``training``, ``waiting`` (queries wait for labels) or ``done`` (no query is left).
        store: URL of a PostGIS label store; None for GeoPackages in the workspace.
        progress: figures of the last complete round for the panel (budget, labelled share, queries, mIoU).
    """

    raster_dir: Path
    val_dir: Path | None
    classes: ClassMap
    scenes: tuple[Scene, ...]
    round: int = -1
    status: str = "new"
    store: str | None = None
    progress: dict[str, Any] = field(default_factory=dict)


@contextmanager
def reading_index(root: Path) -> Iterator[dict[str, Any]]:
    """Read ``workspace.json``; errors within the block, where its values are used, name the file, too.

    Args:
        root: the workspace's folder.

    Yields:
        The values.

    Raises:
        WorkspaceError: the folder is no workspace; the file is damaged or of a newer schema.
    """
    path = root / INDEX
    if not path.is_file():
        raise WorkspaceError(
            f"{root}: found no {INDEX}, expected a workspace; make one with "
            "`tsfal-geo train --raster DIR --workspace WS`"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        schema = int(data["schema"])
    except (ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"{path}: damaged ({error}); restore it from a copy of the workspace") from None
    if schema > SCHEMA:
        raise WorkspaceError(
            f"{path}: schema {schema} is newer than this tsfal-geo supports ({SCHEMA}); upgrade tsfal-geo"
        )
    try:
        yield data
    except (KeyError, TypeError, ValueError) as error:
        raise WorkspaceError(
            f"{path}: damaged ({error!r}); restore it from a copy of the workspace"
        ) from None


def state_to_json(root: Path, state: State) -> dict[str, Any]:
    """Return a state as ``workspace.json`` holds it, with paths relative to the workspace.

    Args:
        root: the workspace's folder.
        state: the state.
    """
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
        "label_values": {value.key: value.meaning for value in state.classes.label_values},
        "scenes": [_scene_to_json(root, scene) for scene in state.scenes],
        "progress": state.progress,
    }


def state_from_json(root: Path, data: dict[str, Any]) -> State:
    """Return the state that the values of a ``workspace.json`` describe.

    Args:
        root: the workspace's folder.
        data: the values.

    Raises:
        KeyError: a value is missing.
        TypeError: a value has another type.
        ValueError: a value is out of range.
    """
    return State(
        raster_dir=_absolute(root, data["raster_dir"]),
        val_dir=_absolute(root, data["val_dir"]) if data.get("val_dir") else None,
        classes=replace(
            ClassMap.from_json(data["classes"]),
            ignore_colours=tuple((int(r), int(g), int(b)) for r, g, b in data["ignore_colours"]),
            ignore_ids=tuple(int(value) for value in data.get("ignore_ids", ())),
            label_values=parse_label_values(data.get("label_values", {})),
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
        "radiometry": scene.radiometry.to_json() if scene.radiometry else None,
        "dsm": _relative(root, scene.dsm) if scene.dsm else None,
        "labels": _relative(root, scene.labels) if scene.labels else None,
        "area": scene.area.hex() if scene.area else None,
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
        radiometry=Radiometry.from_json(item["radiometry"]) if item.get("radiometry") else None,
        dsm=_absolute(root, item["dsm"]) if item["dsm"] else None,
        labels=_absolute(root, item["labels"]) if item["labels"] else None,
        area=bytes.fromhex(item["area"]) if item.get("area") else None,
    )


def _relative(root: Path, path: Path) -> str:
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:  # another drive on Windows
        return Path(path).absolute().as_posix()


def _absolute(root: Path, text: str) -> Path:
    return Path(os.path.normpath(root / text))
