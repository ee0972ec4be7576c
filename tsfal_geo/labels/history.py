"""Earlier states of the labels: what each round trained on, and going back to it.

Nobody's file is touched by going back. A restoration is a file of the engine's own that says which rows no
longer hold and holds those that since were deleted; the last one counts, and labels made after it count too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tsfal_geo.errors import WorkspaceError
from tsfal_geo.geopackage.connection import writing
from tsfal_geo.geopackage.create import new_file
from tsfal_geo.labels.agreement import Agreement, Conflict, agreement, conflicts
from tsfal_geo.labels.label_layers import append, create_label_file, read_label_file
from tsfal_geo.labels.model import Issue, Label, LabelSnapshot, label_keys
from tsfal_geo.labels.restorations import WITHDRAWN, next_restoration, not_in
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.labels.validation import Issues, ValidationContext, decisions_in_order, in_order


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


def snapshot_path(store: LabelStore, number: int) -> Path:
    """The file of what a round trained on."""
    return store.round_dir(number) / "taken.gpkg"


def write_snapshot(store: LabelStore, number: int, snapshot: LabelSnapshot) -> Path:
    """Keep what a round trains on, whole or not at all."""
    path = snapshot_path(store, number)
    with new_file(path) as temporary:
        create_label_file(temporary, store.scenes, store.classes, "", "taken")
        with writing(temporary) as connection:
            append(connection, store.scenes, snapshot.labels, snapshot.decisions, origin=True)
    return path


def read_snapshot(store: LabelStore, number: int) -> LabelSnapshot:
    """What a round trained on.

    Raises:
        WorkspaceError: the round took no labels in, or its file is damaged.
    """
    path = snapshot_path(store, number)
    if not path.is_file():
        raise WorkspaceError(f"{path}: not there; round {number} has not taken labels in")
    issues = Issues(path.name)
    labels, decisions = read_label_file(
        path, ValidationContext(store.scenes, store.classes, lambda _: None), issues
    )
    if issues.rejected:
        raise WorkspaceError(
            f"{path}: damaged ({issues.rejected[0]}); restore it from a copy of the workspace"
        )
    return LabelSnapshot(in_order(labels), decisions_in_order(decisions))


def restore(store: LabelStore, number: int) -> Difference:
    """Make what round ``number`` trained on what holds; returns what that changed.

    Raises:
        WorkspaceError: the round took no labels in.
    """
    target, present = read_snapshot(store, number), store.snapshot()
    everything = store.read_all()
    wanted = {*label_keys(target.labels), *(item.key for item in target.decisions)}
    there = {*label_keys(everything.labels), *(item.key for item in everything.decisions)}
    labels = not_in(target.labels, label_keys(target.labels), there)
    decisions = [item for item in target.decisions if item.key not in there]
    path = next_restoration(store.folder)
    with new_file(path) as temporary:
        create_label_file(temporary, store.scenes, store.classes, "", "restored", [WITHDRAWN])
        with writing(temporary) as connection:
            append(connection, store.scenes, labels, decisions, origin=True)
            connection.executemany(
                "INSERT INTO withdrawn VALUES (?)", [(key,) for key in sorted(there - wanted)]
            )
    return difference(present, store.snapshot())


@dataclass(frozen=True)
class RoundSnapshot:
    """What a round trains on, and what is to be told about it.

    Attributes:
        snapshot: the labels and decisions.
        changed: against the previous round that took labels in.
        conflicts: where people differ; the later label trains.
        agreement: where several people answered the same query.
        repeated: whether the round had taken labels in before (a resumed run) and this is that copy.
    """

    snapshot: LabelSnapshot
    changed: Difference
    conflicts: tuple[Conflict, ...]
    agreement: Agreement
    repeated: bool

    @property
    def rejected(self) -> tuple[Issue, ...]:
        """Rows that cannot be used, and why."""
        return self.snapshot.rejected

    def lines(self) -> list[str]:
        """The report, for people."""
        told = [
            f"{len(self.snapshot.labels)} labels taken in: {len(self.changed.added)} new, "
            f"{len(self.changed.removed)} gone, {self.changed.kept} as before"
        ]
        told += [f"not used: {issue}" for issue in self.snapshot.rejected]
        told += [f"note: {issue}" for issue in self.snapshot.notes]
        if self.conflicts:
            pixels = sum(conflict.pixels for conflict in self.conflicts)
            told.append(
                f"{len(self.conflicts)} conflicts between people over {pixels} pixels; the later label holds"
            )
        if self.agreement.queries:
            told.append(
                f"{self.agreement.queries} queries answered by several people: "
                f"{self.agreement.share:.1%} of {self.agreement.pixels} pixels agree, "
                f"kappa {self.agreement.kappa:.2f}"
            )
        return told


def take_snapshot(store: LabelStore, number: int, snapshot: LabelSnapshot | None = None) -> RoundSnapshot:
    """Take in what is committed now and keep it as ``rounds/NNN/taken.gpkg``.

    A round takes labels in once: called again (a resumed run), it gives back what it took.

    Args:
        store: the label store.
        number: the round that is going to train on them.
        snapshot: the labels that are committed now; None: they are read.

    Raises:
        WorkspaceError: a file is locked for too long or of a newer schema, or an earlier copy is damaged.
    """
    scenes = list(store.scenes.values())
    repeated = snapshot_path(store, number).is_file()
    if repeated:
        snapshot = read_snapshot(store, number)
    else:
        snapshot = store.snapshot() if snapshot is None else snapshot
        write_snapshot(store, number, snapshot)
    return RoundSnapshot(
        snapshot=snapshot,
        changed=difference(previous_snapshot(store, number), snapshot),
        conflicts=tuple(conflicts(snapshot.labels, scenes, store.classes)),
        agreement=agreement(snapshot.labels, scenes, store.classes),
        repeated=repeated,
    )


def previous_snapshot(store: LabelStore, number: int) -> LabelSnapshot:
    """What the last round before ``number`` trained on; empty if none took labels in."""
    for earlier in range(number - 1, -1, -1):
        if snapshot_path(store, earlier).is_file():
            return read_snapshot(store, earlier)
    return LabelSnapshot((), ())
