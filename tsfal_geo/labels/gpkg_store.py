"""The label store as GeoPackages in the workspace: a file for each annotator, nothing to install."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import override

from tsfal_geo.atomic import write_text
from tsfal_geo.errors import WorkspaceError
from tsfal_geo.geopackage.connection import writing
from tsfal_geo.geopackage.create import new_file
from tsfal_geo.labels import schema
from tsfal_geo.labels.issues import Issue, Issues
from tsfal_geo.labels.label_layers import append, create_label_file, read_label_file
from tsfal_geo.labels.model import Decision, Label, LabelSnapshot, Query
from tsfal_geo.labels.query_layers import append_query_rows, query_scenes, read_query_file, write_query_file
from tsfal_geo.labels.restorations import is_restoration
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.labels.validation import ValidationContext, check_labels

_OTHER_FORMATS = (".shp", ".geojson", ".fgb", ".parquet", ".gdb", ".kml")


class GeoPackageStore(LabelStore):
    """The store of ``labels/*.gpkg`` and ``rounds/NNN/queries.gpkg``; see `LabelStore` for its methods."""

    @override
    def write_queries(self, number: int, queries: Sequence[Query]) -> Path:
        path = self.round_dir(number) / "queries.gpkg"
        write_query_file(path, queries, self.scenes, self.classes)
        return path

    @override
    def append_queries(self, number: int, queries: Sequence[Query]) -> None:
        append_query_rows(self.round_dir(number) / "queries.gpkg", queries, self.scenes)

    @override
    def read_queries(self, number: int | None = None) -> list[Query]:
        if number is None:
            number = max(self._rounds_with_queries(), default=0)
        path = self.round_dir(number) / "queries.gpkg"
        return read_query_file(path, self.scenes) if path.is_file() else []

    @override
    def query_scenes(self) -> dict[str, str]:
        scenes: dict[str, str] = {}
        for number in self._rounds_with_queries():
            scenes |= query_scenes(self.round_dir(number) / "queries.gpkg")
        return scenes

    @override
    def author_store(self, author: str) -> Path:
        path = self.folder / f"{schema.author_slug(author)}.gpkg"
        if not path.exists():
            with contextlib.suppress(FileExistsError), new_file(path) as temporary:
                create_label_file(temporary, self.scenes, self.classes, author, "labels")
        return path

    @override
    def add(self, author: str, labels: Iterable[Label], decisions: Iterable[Decision] = ()) -> None:
        labels = [replace(label, author=author) for label in labels]
        decisions = [replace(decision, author=author) for decision in decisions]
        check_labels(labels, self.scenes, self.classes)
        with writing(self.author_store(author)) as connection:
            append(connection, self.scenes, labels, decisions)

    @override
    def add_import(self, author: str, labels: Sequence[Label]) -> str:
        check_labels(labels, self.scenes, self.classes)
        while True:
            path = self._next_import()
            with contextlib.suppress(FileExistsError):
                with new_file(path) as temporary:
                    create_label_file(temporary, self.scenes, self.classes, author, "labels")
                    with writing(temporary) as connection:
                        append(connection, self.scenes, labels, [])
                return str(path)

    @override
    def assignments(self, number: int) -> dict[str, tuple[str, ...]]:
        path = self.round_dir(number) / "assignments.json"
        if not path.is_file():
            return {}
        try:
            return {qid: tuple(authors) for qid, authors in json.loads(path.read_text("utf-8")).items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise WorkspaceError(
                f"{path}: damaged ({error}); delete it and assign the queries again"
            ) from None

    @override
    def save_assignments(self, number: int, assigned: dict[str, tuple[str, ...]]) -> None:
        earlier = self.assignments(number)
        merged = {
            qid: sorted({*earlier.get(qid, ()), *assigned.get(qid, ())})
            for qid in earlier.keys() | assigned.keys()
        }
        path = self.round_dir(number) / "assignments.json"
        write_text(path, json.dumps(dict(sorted(merged.items())), ensure_ascii=False, indent=0))

    @override
    def read_all(self) -> LabelSnapshot:
        context = ValidationContext(self.scenes, self.classes, self.scene_of_query())
        labels: list[Label] = []
        decisions: list[Decision] = []
        rejected: list[Issue] = []
        notes: list[Issue] = []
        for path in sorted(self.folder.glob("*")):
            issues = Issues(path.name)
            if path.name.startswith(".") or is_restoration(path):
                continue
            if path.suffix.lower() in _OTHER_FORMATS:
                issues.reject("no GeoPackage; bring it in with `tsfal-geo labels import`")
                rejected += issues.rejected
            if path.suffix.lower() != ".gpkg":
                continue
            file_labels, file_decisions = read_label_file(path, context, issues)
            labels += file_labels
            decisions += file_decisions
            rejected += issues.rejected
            notes += issues.notes
        return LabelSnapshot(tuple(labels), tuple(decisions), tuple(rejected), tuple(notes))

    @override
    def version(self) -> object:
        found = []
        for path in sorted(self.folder.glob("*")):
            # Readers make and remove the index of a write-ahead log; commits change the log, or the file.
            if not path.name.endswith("-shm"):
                with contextlib.suppress(FileNotFoundError):
                    stat = path.stat()
                    found.append((path.name, stat.st_size, stat.st_mtime_ns))
        return found

    def _next_import(self) -> Path:
        names = [re.fullmatch(r"import-(\d+)", path.stem) for path in self.folder.glob("import-*.gpkg")]
        last = max((int(name[1]) for name in names if name), default=0)
        return self.folder / f"import-{last + 1}.gpkg"

    def _rounds_with_queries(self) -> list[int]:
        paths = (self.root / "rounds").glob("*/queries.gpkg")
        return sorted(int(path.parent.name) for path in paths if path.parent.name.isdigit())
