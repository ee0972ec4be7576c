"""The reference sample on disk: ``reference/design.gpkg`` and the annotators' answers beside it.

Training never reads this folder. Answers follow the conventions of label files: one GeoPackage an annotator,
with layer ``labels`` and table ``decisions``. The map's class at a sample is kept in a table of its own, so
that the annotator does not see it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from tsfal_geo.assess.design import Design, SamplePoint
from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.errors import LabelError, WorkspaceError
from tsfal_geo.geopackage.connection import reading, writing
from tsfal_geo.geopackage.create import LayerSpec, TableSpec, create, new_file
from tsfal_geo.geopackage.layers import insert, layer_names, read_layer, read_meta, read_table
from tsfal_geo.geopackage.styles import outline_style
from tsfal_geo.labels import schema
from tsfal_geo.labels.agreement import Agreement, agreement
from tsfal_geo.labels.issues import Issue, Issues
from tsfal_geo.labels.label_layers import create_label_file, read_label_file
from tsfal_geo.labels.model import Label, by_layer, stored_geometries
from tsfal_geo.labels.polygonise import region_polygon
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.labels.validation import ValidationContext, in_order
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.layer_crs import layer_crs
from tsfal_geo.raster.scene import Scene

_COLUMNS = ("qid", "rank", "scene", "row", "col")
_LAYER = (
    "qid TEXT NOT NULL, rank INTEGER NOT NULL, scene TEXT NOT NULL, row INTEGER NOT NULL, "
    "col INTEGER NOT NULL"
)
_STRATA = (
    "CREATE TABLE strata (class_id INTEGER PRIMARY KEY NOT NULL, pixels INTEGER NOT NULL, "
    "expected REAL NOT NULL)"
)
_DRAWN = "CREATE TABLE drawn (qid TEXT PRIMARY KEY NOT NULL, class_id INTEGER NOT NULL)"


@dataclass(frozen=True)
class Answers:
    """The annotators' answers to a reference sample.

    Attributes:
        classes: (n,) uint8 class index of each point, in the design's order; 255 without an answer.
        issues: rows that are rejected, or used with a change.
        unsure: number of points without an answer that an annotator skipped, or was unsure about.
        agreement: of several annotators on the same points.
    """

    classes: NDArray[np.uint8]
    issues: tuple[Issue, ...]
    unsure: int
    agreement: Agreement


@dataclass(frozen=True)
class _Square:
    """A point's pixel as a polygon."""

    scene: str
    geometry: Polygon
    point: SamplePoint


class Reference:
    """The folder ``reference/`` of a workspace.

    Attributes:
        folder: the folder.
        classes: the workspace's class map.
        maps: the class maps that are assessed, by name.
    """

    def __init__(self, folder: Path, classes: ClassMap, maps: Sequence[Scene]) -> None:
        """Take the folder, which need not exist.

        Args:
            folder: the folder.
            classes: the workspace's class map.
            maps: the class maps that are assessed.
        """
        self.folder, self.classes = folder, classes
        self.maps = {item.name: item for item in maps}

    @property
    def design_path(self) -> Path:
        """The file of the sample."""
        return self.folder / "design.gpkg"

    def write(self, design: Design) -> Path:
        """Write a sample; once drawn, it is never changed.

        Args:
            design: the sample.

        Returns:
            Its file.

        Raises:
            WorkspaceError: a sample exists already.
        """
        crs = layer_crs(self.maps.values(), "samples")
        layers = [LayerSpec(name, value, _LAYER, outline_style()) for name, value in crs.items()]
        meta = {
            "kind": "reference",
            "pixel_area": repr(design.pixel_area),
            "standard_error": repr(design.standard_error),
            "seed": str(design.seed),
            "classes": json.dumps(self.classes.to_json()),
        }
        ids = self.classes.ids.tolist()
        strata = zip(ids, design.pixels.tolist(), design.expected.tolist(), strict=True)
        squares = [_Square(point.scene, self._square(point), point) for point in design.points]
        try:
            with new_file(self.design_path) as temporary:
                create(temporary, layers, [TableSpec("strata", _STRATA), TableSpec("drawn", _DRAWN)], meta)
                with writing(temporary) as connection:
                    for layer, group in by_layer(squares, self.maps, "samples"):
                        rows = [
                            (s.point.qid, s.point.rank, s.scene, s.point.row, s.point.column) for s in group
                        ]
                        insert(connection, layer, stored_geometries(group, self.maps), _COLUMNS, rows)
                    connection.executemany("INSERT INTO strata VALUES (?, ?, ?)", strata)
                    drawn = [(point.qid, ids[point.stratum]) for point in design.points]
                    connection.executemany("INSERT INTO drawn VALUES (?, ?)", drawn)
        except FileExistsError:
            raise WorkspaceError(
                f"{self.design_path}: a sample was drawn already, and answers belong to it; "
                f"rename the folder {self.folder} to draw another"
            ) from None
        return self.design_path

    def read(self) -> Design:
        """The sample.

        Raises:
            WorkspaceError: there is none yet, or it is of other classes.
        """
        if not self.design_path.is_file():
            raise WorkspaceError(f"{self.folder}: no sample drawn yet; run `tsfal-geo assess design` first")
        index_of = {int(value): index for index, value in enumerate(self.classes.ids)}
        with reading(self.design_path) as connection:
            meta = read_meta(connection, str(self.design_path))
            strata = read_table(connection, "strata")
            drawn = {str(row["qid"]): int(str(row["class_id"])) for row in read_table(connection, "drawn")}
            rows = []
            for layer in layer_names(connection, "samples"):
                read = read_layer(connection, layer, meta)
                rows += list(zip(*(read.column(name) for name in _COLUMNS), strict=True))
        if {int(str(row["class_id"])) for row in strata} != set(index_of):
            raise WorkspaceError(
                f"{self.design_path}: drawn for other classes; rename the folder and draw anew"
            )
        points = [
            SamplePoint(str(qid), int(rank), str(scene), int(row), int(col), index_of[drawn[str(qid)]])
            for qid, rank, scene, row, col in rows
        ]
        strata.sort(key=lambda row: index_of[int(str(row["class_id"]))])
        return Design(
            points=tuple(sorted(points, key=lambda point: point.rank)),
            pixels=np.array([int(str(row["pixels"])) for row in strata], np.int64),
            pixel_area=float(meta["pixel_area"]),
            expected=np.array([float(str(row["expected"])) for row in strata]),
            standard_error=float(meta["standard_error"]),
            seed=int(meta["seed"]),
        )

    def author_file(self, author: str) -> Path:
        """Give the file of an annotator's answers; a missing one is created without answers.

        Args:
            author: the annotator's name.

        Raises:
            LabelError: an empty name, or ``design``, which is the sample's own.
        """
        path = self.folder / f"{schema.author_slug(author)}.gpkg"
        if path == self.design_path:
            raise LabelError("'design' is the sample's own file; answer under another name")
        if not path.exists():
            with contextlib.suppress(FileExistsError), new_file(path) as temporary:
                create_label_file(temporary, self.maps, self.classes, author, "labels")
        return path

    def answers(self, design: Design) -> Answers:
        """Read the annotators' answers so far; a pixel takes the class of the latest polygon over its centre.

        Args:
            design: the sample.

        Returns:
            The answers, and the issues of the files.

        Raises:
            LabelError: a file cannot be read.
        """
        scene_of = {point.qid: point.scene for point in design.points}
        context = ValidationContext(self.maps, self.classes, scene_of.get)
        labels: list[Label] = []
        issues: list[Issue] = []
        decided: set[str] = set()
        for path in sorted(self.folder.glob("*.gpkg")):
            if path.name.startswith(".") or path == self.design_path:
                continue
            found = Issues(path.name)
            more, decisions = read_label_file(path, context, found)
            labels += more
            issues += [*found.rejected, *found.notes]
            decided |= {item.qid for item in decisions if item.status != "done"}
        classes = self._at_points(design, in_order(labels))
        answered = {point.qid for point, value in zip(design.points, classes, strict=True) if value != IGNORE}
        issues += self._labels_off_their_point(design, labels)
        return Answers(
            classes,
            tuple(issues),
            len(decided - answered),
            agreement(labels, list(self.maps.values()), self.classes),
        )

    def _at_points(self, design: Design, labels: Sequence[Label]) -> NDArray[np.uint8]:
        scenes = list(self.maps.values())
        position = {scene.name: index for index, scene in enumerate(scenes)}
        reader = PolygonLabels(labels, scenes, self.classes)
        return np.array(
            [reader.read(Window(position[p.scene], p.row, p.column, 1, 1))[0, 0] for p in design.points],
            np.uint8,
        )

    def _labels_off_their_point(self, design: Design, labels: Sequence[Label]) -> list[Issue]:
        """Find labels that name a point whose centre they do not cover."""
        centres = {p.qid: (p.scene, shapely.centroid(self._square(p))) for p in design.points}
        missed: dict[str, list[int]] = {}
        for label in labels:
            if label.qid in centres:
                scene, centre = centres[label.qid]
                if scene != label.scene or not label.geometry.covers(centre):
                    missed.setdefault(label.file, []).append(label.fid)
        return [
            Issue(file, "does not cover the sample that it names", tuple(fids))
            for file, fids in missed.items()
        ]

    def _square(self, point: SamplePoint) -> Polygon:
        scene = self.maps.get(point.scene)
        if scene is None:
            raise WorkspaceError(
                f"{self.design_path}: a sample lies on map '{point.scene}', which is not there; "
                "export it again, or name it with --map"
            )
        square = region_polygon(np.ones((1, 1), bool), scene.grid, point.row, point.column)
        assert isinstance(square, Polygon)
        return square
