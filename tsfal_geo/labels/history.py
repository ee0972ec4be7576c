"""Earlier states of the labels: what each round trained on, and going back to it.

Nobody's file is touched by going back. A restoration is a file of the engine's own that says which rows no
longer hold and holds those that since were deleted; the last one counts, and labels made after it count too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tsfal_geo.errors import WorkspaceError
from tsfal_geo.labels.gpkg_file import read_table, reading, writing
from tsfal_geo.labels.gpkg_new import new_file
from tsfal_geo.labels.label_file import append, create_label_file, read_label_file
from tsfal_geo.labels.resolve import Context, Findings, decisions_in_order, in_order
from tsfal_geo.labels.store import Label, LabelSnapshot, label_keys

if TYPE_CHECKING:
    from tsfal_geo.labels.store import LabelStore

_RESTORATION = re.compile(r"restore-(\d+)\.gpkg")
_WITHDRAWN = "CREATE TABLE withdrawn (key TEXT PRIMARY KEY NOT NULL)"


@dataclass(frozen=True)
class Difference:
    """Labels that one state has and the other has not.

    Attributes:
        added: only in the later.
        removed: only in the earlier.
        kept: number of those in both.
    """

    added: tuple[Label, ...]
    removed: tuple[Label, ...]
    kept: int


def difference(earlier: LabelSnapshot, later: LabelSnapshot) -> Difference:
    """What changed between two states of the labels."""
    before = dict(zip(label_keys(earlier.labels), earlier.labels, strict=True))
    after = dict(zip(label_keys(later.labels), later.labels, strict=True))
    return Difference(
        added=tuple(label for key, label in after.items() if key not in before),
        removed=tuple(label for key, label in before.items() if key not in after),
        kept=len(before.keys() & after.keys()),
    )


def taken_path(store: LabelStore, number: int) -> Path:
    """The file of what a round trained on."""
    return store.round_dir(number) / "taken.gpkg"


def write_taken(store: LabelStore, number: int, snapshot: LabelSnapshot) -> Path:
    """Keep what a round trains on, whole or not at all."""
    path = taken_path(store, number)
    with new_file(path) as temporary:
        create_label_file(temporary, store.scenes, store.classes, "", "taken")
        with writing(temporary) as connection:
            append(connection, store.scenes, snapshot.labels, snapshot.decisions, origin=True)
    return path


def read_taken(store: LabelStore, number: int) -> LabelSnapshot:
    """What a round trained on.

    Raises:
        WorkspaceError: the round took no labels in, or its file is damaged.
    """
    path = taken_path(store, number)
    if not path.is_file():
        raise WorkspaceError(f"{path}: not there; round {number} has not taken labels in")
    findings = Findings(path.name)
    labels, decisions = read_label_file(path, Context(store.scenes, store.classes, lambda _: None), findings)
    if findings.rejected:
        raise WorkspaceError(
            f"{path}: damaged ({findings.rejected[0]}); restore it from a copy of the workspace"
        )
    return LabelSnapshot(in_order(labels), decisions_in_order(decisions))


def restore(store: LabelStore, number: int) -> Difference:
    """Make what round ``number`` trained on what holds; returns what that changed.

    Raises:
        WorkspaceError: the round took no labels in.
    """
    target, present = read_taken(store, number), store.snapshot()
    everything = store.read_all()
    wanted = {*label_keys(target.labels), *(item.key for item in target.decisions)}
    there = {*label_keys(everything.labels), *(item.key for item in everything.decisions)}
    labels = _missing(target.labels, label_keys(target.labels), there)
    decisions = [item for item in target.decisions if item.key not in there]
    path = _next_restoration(store.folder)
    with new_file(path) as temporary:
        create_label_file(temporary, store.scenes, store.classes, "", "restored", [_WITHDRAWN])
        with writing(temporary) as connection:
            append(connection, store.scenes, labels, decisions, origin=True)
            connection.executemany(
                "INSERT INTO withdrawn VALUES (?)", [(key,) for key in sorted(there - wanted)]
            )
    return difference(present, store.snapshot())


def apply_restoration(store: LabelStore, snapshot: LabelSnapshot) -> LabelSnapshot:
    """Without what the last restoration withdrew, with what it brought back, without copies, in order."""
    labels, decisions = list(snapshot.labels), list(snapshot.decisions)
    path = _last_restoration(store.folder)
    if path is not None:
        with reading(path) as connection:
            withdrawn = {str(row["key"]) for row in read_table(connection, "withdrawn")}
        findings = Findings(path.name)
        context = Context(store.scenes, store.classes, lambda _: None)
        back, decided = read_label_file(path, context, findings)
        labels = _missing(labels, label_keys(labels), withdrawn) + back
        decisions = [item for item in decisions if item.key not in withdrawn] + decided
    return LabelSnapshot(
        in_order(_without_copies(labels)),
        decisions_in_order(list({item.key: item for item in decisions}.values())),
        snapshot.rejected,
        snapshot.notes,
    )


def is_restoration(path: Path) -> bool:
    """Whether a file of the labels' folder is a restoration."""
    return _RESTORATION.fullmatch(path.name) is not None


def _missing(labels: Iterable[Label], keys: Iterable[str], known: set[str]) -> list[Label]:
    return [label for label, key in zip(labels, keys, strict=True) if key not in known]


def _without_copies(labels: list[Label]) -> list[Label]:
    # The same row in two files: somebody put a copy of a label file into the folder.
    files: dict[tuple[object, ...], set[str]] = {}
    for label in labels:
        files.setdefault((label.author, label.created, label.scene, label.class_id), set()).add(label.file)
    doubtful = {signature for signature, names in files.items() if len(names) > 1}
    if not doubtful:
        return labels
    seen: set[str] = set()
    kept = []
    for label in sorted(labels, key=lambda item: item.file):
        if (label.author, label.created, label.scene, label.class_id) in doubtful:
            if label.key in seen:
                continue
            seen.add(label.key)
        kept.append(label)
    return kept


def _restorations(folder: Path) -> dict[int, Path]:
    found = ((_RESTORATION.fullmatch(path.name), path) for path in folder.glob("restore-*.gpkg"))
    return {int(match[1]): path for match, path in found if match}


def _last_restoration(folder: Path) -> Path | None:
    found = _restorations(folder)
    return found[max(found)] if found else None


def _next_restoration(folder: Path) -> Path:
    return folder / f"restore-{max(_restorations(folder), default=0) + 1}.gpkg"
