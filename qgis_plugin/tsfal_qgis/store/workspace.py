"""The reader of a workspace folder as ``docs/workspace.md`` describes it; writes nothing, imports no QGIS."""

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
_RESERVED_NAME = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|(import|restore)-\d+)$")


class WorkspaceProblem(Exception):
    """A fault of a workspace; the text names the file, the fault and the remedy."""


@dataclass(frozen=True)
class ClassInfo:
    """A class of the class map.

    Attributes:
        id: value in label files and maps.
        name: name for people.
        colour: red, green and blue, 0 to 255 each.
    """

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
        transform: (a, b, c, d, e, f) of x = a·column + b·row + c and y = d·column + e·row + f, as QGIS shows
            the scene.
        crs: ``EPSG:…`` or WKT; None for a scene without CRS.
    """

    name: str
    path: Path
    height: int
    width: int
    transform: tuple[float, float, float, float, float, float]
    crs: str | None

    @property
    def unplaced(self) -> bool:
        """True for a scene without any georeference, which QGIS shows from (0, 0) downwards."""
        return self.crs is None and self.transform == (1, 0, 0, 0, -1, 0)

    def corner(self, column: float, row: float) -> tuple[float, float]:
        """Convert a point of the grid to map coordinates.

        Args:
            column: columns from the left edge.
            row: rows from the upper edge.

        Returns:
            x and y, float64.
        """
        a, b, c, d, e, f = self.transform
        return a * column + b * row + c, d * column + e * row + f

    def cell(self, x: float, y: float) -> tuple[int, int]:
        """Find the pixel that contains a point.

        Args:
            x: map coordinate.
            y: map coordinate.

        Returns:
            Column and row, which lie outside the grid for a point outside the scene.
        """
        a, b, c, d, e, f = self.transform
        determinant = a * e - b * d
        x, y = x - c, y - f
        return int((e * x - b * y) / determinant // 1), int((a * y - d * x) / determinant // 1)

    def outline(self) -> list[tuple[float, float]]:
        """Return the map coordinates of the four corners, in order around the scene."""
        return [
            self.corner(*at) for at in ((0, 0), (self.width, 0), (self.width, self.height), (0, self.height))
        ]


@dataclass(frozen=True)
class Workspace:
    """The contents of ``workspace.json`` and the metrics of the rounds.

    Attributes:
        root: the folder.
        classes: in the order of the class map.
        scenes: the training scenes.
        round: last complete round; -1 before the first.
        status: ``new``, ``training``, ``waiting`` or ``done``.
        store: URL of a PostGIS label store, or None.
        metrics: contents of ``metrics.json`` of every complete round, oldest first.
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

        Args:
            root: the folder.

        Returns:
            The workspace as it is now.

        Raises:
            WorkspaceProblem: the folder is no workspace, is damaged, or was written by a newer tsfal-geo.
        """
        root = Path(root).resolve()
        path = root / _INDEX
        if not path.is_file():
            raise WorkspaceProblem(
                f"{root} is not a workspace: there is no {_INDEX} in it. Choose another folder."
            )
        data = _read_json(path)
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
                    _read_json(root / "rounds" / f"{n:03d}" / "metrics.json") for n in range(current + 1)
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WorkspaceProblem(
                f"{path} is damaged ({error!r}). Restore it from a copy of the workspace."
            ) from None

    def round_dir(self, number: int) -> Path:
        """Return the folder of a round.

        Args:
            number: number of the round.

        Returns:
            The folder, which need not exist.
        """
        return self.root / "rounds" / f"{number:03d}"

    def raster(self, number: int, scene: str, kind: str) -> Path:
        """Return the path of a raster of a round.

        Args:
            number: number of the round.
            scene: name of the scene.
            kind: one of ``KINDS``.

        Returns:
            The path; the file need not exist.
        """
        return self.round_dir(number) / scene / f"{kind}.tif"

    def queries(self, number: int) -> Path:
        """Return the GeoPackage of a round's queries.

        Args:
            number: number of the round.

        Returns:
            The path; with PostGIS the file does not exist.
        """
        return self.round_dir(number) / "queries.gpkg"

    def label_files(self) -> list[Path]:
        """Return the label files of all authors, sorted by name."""
        found = (self.root / "labels").glob("*.gpkg")
        return sorted(path for path in found if not path.name.startswith((".", "restore-")))

    def plain_label_file(self, author: str) -> Path | None:
        """Find the label file of an author whose name is a valid file name.

        Args:
            author: name of the annotator.

        Returns:
            The file; None if it does not exist, or if only the engine can derive its name from the author's.
        """
        plain = _PLAIN_NAME.match(author) and not _RESERVED_NAME.match(author)
        path = self.root / "labels" / f"{author}.gpkg"
        return path if plain and path.is_file() else None

    def chip_size(self) -> int | None:
        """Return the side of a chip in pixels from ``tsfal.yaml``; None if it is not there."""
        try:
            text = (self.root / "tsfal.yaml").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        found = re.search(r"^\s+chip_size:\s*(\d+)\s*$", text, re.MULTILINE)
        return int(found.group(1)) if found else None

    def assignments(self, number: int) -> dict[str, tuple[str, ...]]:
        """Read the assignment of a round's queries to annotators.

        Args:
            number: number of the round.

        Returns:
            qid → annotators; empty if no query was assigned.

        Raises:
            WorkspaceProblem: the file is damaged.
        """
        path = self.round_dir(number) / "assignments.json"
        if not path.is_file():
            return {}
        return {qid: tuple(map(str, authors)) for qid, authors in _read_json(path).items()}

    def running_engine(self) -> str | None:
        """Describe the engine that holds the workspace's lock; None if none is known to run."""
        path = self.root / ".lock.json"
        if not path.is_file():
            return None
        try:
            holder = _read_json(path)
            pid, host = int(holder["pid"]), str(holder["host"])
        except (WorkspaceProblem, KeyError, TypeError, ValueError):
            return "another tsfal-geo"
        if host == socket.gethostname() and os.name == "posix" and not _alive(pid):
            return None
        return f"process {pid} of {holder.get('user')} on {host} since {holder.get('since')}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _read_json(path: Path) -> dict[str, Any]:
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
        e = -1.0  # QGIS shows a raster without georeference with y = -row, and labels are stored that way
    return Scene(
        name=str(item["name"]),
        path=Path(os.path.normpath(root / item["path"])),
        height=int(item["height"]),
        width=int(item["width"]),
        transform=(a, b, c, d, e, f),
        crs=None if crs is None else str(crs),
    )
