"""Reads a workspace folder as ``docs/workspace.md`` describes it; writes nothing, needs no QGIS."""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCHEMA = 1
KINDS = ("prediction", "confidence", "error_mask", "refined")
_INDEX = "workspace.json"
_PLAIN_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,38}[a-z0-9_])?$")
_NOT_PLAIN = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|(import|restore)-\d+)$")


class WorkspaceProblem(Exception):
    """What is wrong with a workspace, in a sentence that says what mends it."""


@dataclass(frozen=True)
class ClassInfo:
    """A class: the id in files, its name, its colour (8-bit RGB)."""

    id: int
    name: str
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Scene:
    """An orthophoto: its file and its grid.

    Attributes:
        name: unique in the workspace.
        path: the raster.
        height: rows.
        width: columns.
        transform: a … f, as QGIS shows the scene: x = a·column + b·row + c, y = d·column + e·row + f.
        crs: ``EPSG:…`` or WKT; None where it has none.
    """

    name: str
    path: Path
    height: int
    width: int
    transform: tuple[float, float, float, float, float, float]
    crs: str | None

    @property
    def unplaced(self) -> bool:
        """Whether nothing says where it lies: QGIS shows it from (0, 0) downwards."""
        return self.crs is None and self.transform == (1, 0, 0, 0, -1, 0)

    def corner(self, column: float, row: float) -> tuple[float, float]:
        """Map coordinates of a point of the grid, float64."""
        a, b, c, d, e, f = self.transform
        return a * column + b * row + c, d * column + e * row + f

    def cell(self, x: float, y: float) -> tuple[int, int]:
        """Column and row of the pixel that holds a point; also beyond the scene."""
        a, b, c, d, e, f = self.transform
        over = a * e - b * d
        x, y = x - c, y - f
        return int((e * x - b * y) / over // 1), int((a * y - d * x) / over // 1)

    def outline(self) -> list[tuple[float, float]]:
        """The four corners, in order around the scene."""
        return [
            self.corner(*at) for at in ((0, 0), (self.width, 0), (self.width, self.height), (0, self.height))
        ]


@dataclass(frozen=True)
class Workspace:
    """What ``workspace.json`` and the rounds' figures say.

    Attributes:
        root: the folder.
        classes: in the order of the class map.
        scenes: the training scenes.
        round: last complete round; -1 before the first.
        status: ``new``, ``training``, ``waiting`` or ``done``.
        store: URL of a PostGIS label store, or None.
        metrics: figures of every complete round, oldest first.
    """

    root: Path
    classes: tuple[ClassInfo, ...]
    scenes: tuple[Scene, ...]
    round: int
    status: str
    store: str | None
    metrics: tuple[dict[str, Any], ...] = field(default_factory=tuple)

    @classmethod
    def read(cls, root: str | Path) -> Workspace:
        """Read and check a workspace.

        Raises:
            WorkspaceProblem: not a workspace, damaged, or written by a newer tsfal-geo.
        """
        root = Path(root).resolve()
        path = root / _INDEX
        if not path.is_file():
            raise WorkspaceProblem(
                f"{root} is not a workspace: there is no {_INDEX} in it. Choose another folder."
            )
        data = _json(path)
        schema = data.get("schema")
        if not isinstance(schema, int):
            raise WorkspaceProblem(
                f"{path} is damaged: no schema version. Restore it from a copy of the workspace."
            )
        if schema > SCHEMA:
            raise WorkspaceProblem(
                f"{path} is of schema {schema}, newer than this plugin knows ({SCHEMA}). Upgrade the plugin."
            )
        try:
            current = int(data["round"])
            return cls(
                root=root,
                classes=tuple(_class(item) for item in data["classes"]),
                scenes=tuple(_scene(root, item) for item in data["scenes"]),
                round=current,
                status=str(data["status"]),
                store=str(data["store"]) if data.get("store") else None,
                metrics=tuple(
                    _json(root / "rounds" / f"{n:03d}" / "metrics.json") for n in range(current + 1)
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WorkspaceProblem(
                f"{path} is damaged ({error!r}). Restore it from a copy of the workspace."
            ) from None

    def round_dir(self, number: int) -> Path:
        """Folder of a round."""
        return self.root / "rounds" / f"{number:03d}"

    def raster(self, number: int, scene: str, kind: str) -> Path:
        """A raster of a round: one of ``KINDS``; it need not be there."""
        return self.round_dir(number) / scene / f"{kind}.tif"

    def queries(self, number: int) -> Path:
        """File of a round's queries; with PostGIS they are in the database instead."""
        return self.round_dir(number) / "queries.gpkg"

    def label_files(self) -> list[Path]:
        """Everybody's label files."""
        found = (self.root / "labels").glob("*.gpkg")
        return sorted(path for path in found if not path.name.startswith((".", "restore-")))

    def plain_label_file(self, author: str) -> Path | None:
        """The author's file where its name is the author's own; None where only the engine knows it."""
        plain = _PLAIN_NAME.match(author) and not _NOT_PLAIN.match(author)
        path = self.root / "labels" / f"{author}.gpkg"
        return path if plain and path.is_file() else None

    def chip_size(self) -> int | None:
        """Pixels a side of a chip, as ``tsfal.yaml`` says."""
        try:
            text = (self.root / "tsfal.yaml").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        found = re.search(r"^\s+chip_size:\s*(\d+)\s*$", text, re.MULTILINE)
        return int(found.group(1)) if found else None

    def assigned(self, number: int) -> dict[str, tuple[str, ...]]:
        """To whom each query of a round was handed out, by qid; empty where nothing was.

        Raises:
            WorkspaceProblem: the file is damaged.
        """
        path = self.round_dir(number) / "assignments.json"
        return {qid: tuple(map(str, people)) for qid, people in _json(path).items()} if path.is_file() else {}

    def at_work(self) -> str | None:
        """Which engine is at work in the workspace, in a few words; None if none is known to be."""
        path = self.root / ".lock.json"
        if not path.is_file():
            return None
        try:
            who = _json(path)
            pid, host = int(who["pid"]), str(who["host"])
        except (WorkspaceProblem, KeyError, TypeError, ValueError):
            return "another tsfal-geo"
        if host == socket.gethostname() and os.name == "posix" and not _alive(pid):
            return None
        return f"process {pid} of {who.get('user')} on {host} since {who.get('since')}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WorkspaceProblem(
            f"{path} cannot be read ({error}). Restore it from a copy of the workspace."
        ) from None
    if not isinstance(values, dict):
        raise WorkspaceProblem(f"{path} is damaged. Restore it from a copy of the workspace.")
    return values


def _class(item: dict[str, Any]) -> ClassInfo:
    red, green, blue = item["colour"]
    return ClassInfo(int(item["id"]), str(item["name"]), (int(red), int(green), int(blue)))


def _scene(root: Path, item: dict[str, Any]) -> Scene:
    a, b, c, d, e, f = (float(value) for value in item["transform"])
    crs = item["crs"]
    if crs is None and (a, b, c, d, e, f) == (1, 0, 0, 0, 1, 0):
        e = -1.0  # QGIS shows a raster without georeference with y = -row, and labels are stored so
    return Scene(
        name=str(item["name"]),
        path=Path(os.path.normpath(root / item["path"])),
        height=int(item["height"]),
        width=int(item["width"]),
        transform=(a, b, c, d, e, f),
        crs=None if crs is None else str(crs),
    )
