"""The snapshot of labels that each round trained on, and the way back to an earlier one.

A round keeps its snapshot as ``rounds/NNN/taken.gpkg``, which does not change afterwards. Restoring one
changes no annotator's file: the engine writes a restoration; see `labels.restorations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsfal_geo.errors import LabelError, WorkspaceError
from tsfal_geo.geopackage.connection import writing
from tsfal_geo.geopackage.create import new_file
from tsfal_geo.labels.agreement import Agreement, Conflict, agreement, conflicts
from tsfal_geo.labels.issues import Issue, Issues
from tsfal_geo.labels.label_layers import append, create_label_file, read_label_file
from tsfal_geo.labels.model import Label, LabelSnapshot, label_keys
from tsfal_geo.labels.restorations import WITHDRAWN, next_restoration, not_in
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.labels.validation import ValidationContext, decisions_in_order, in_order


@dataclass(frozen=True)
class Difference:
    """Labels by which two snapshots differ.

    Attributes:
        added: labels of the later snapshot alone.
        removed: labels of the earlier snapshot alone.
        kept: number of labels in both.
    """

    added: tuple[Label, ...]
    removed: tuple[Label, ...]
    kept: int

    def to_json(self) -> dict[str, Any]:
        """Return the values that ``tsfal-geo labels diff --json`` prints."""
        return {
            "added": [_origin(label) for label in self.added],
            "removed": [_origin(label) for label in self.removed],
            "kept": self.kept,
        }


def _origin(label: Label) -> dict[str, Any]:
    return {
        "file": label.file,
        "fid": label.fid,
        "scene": label.scene,
        "class_id": label.class_id,
        "author": label.author,
        "created": label.created.isoformat(),
    }


def difference(earlier: LabelSnapshot, later: LabelSnapshot) -> Difference:
    """Compare two snapshots by the fingerprints of their labels.

    Args:
        earlier: one snapshot.
        later: the other.
    """
    before = dict(zip(label_keys(earlier.labels), earlier.labels, strict=True))
    after = dict(zip(label_keys(later.labels), later.labels, strict=True))
    return Difference(
        added=tuple(label for key, label in after.items() if key not in before),
        removed=tuple(label for key, label in before.items() if key not in after),
        kept=len(before.keys() & after.keys()),
    )


def snapshot_path(store: LabelStore, number: int) -> Path:
    """Return the file of a round's snapshot, which is there once the round has begun.

    Args:
        store: the label store.
        number: of the round.
    """
    return store.round_dir(number) / "taken.gpkg"


def write_snapshot(store: LabelStore, number: int, snapshot: LabelSnapshot) -> Path:
    """Write a round's snapshot, whole or not at all.

    Args:
        store: the label store.
        number: of the round.
        snapshot: the labels and decisions that the round trains on.

    Returns:
        The file.

    Raises:
        FileExistsError: the round has a snapshot already.
    """
    path = snapshot_path(store, number)
    with new_file(path) as temporary:
        create_label_file(temporary, store.scenes, store.classes, "", "taken")
        with writing(temporary) as connection:
            append(connection, store.scenes, snapshot.labels, snapshot.decisions, origin=True)
    return path


def read_snapshot(store: LabelStore, number: int) -> LabelSnapshot:
    """Read a round's snapshot.

    Args:
        store: the label store.
        number: of the round.

    Raises:
        WorkspaceError: the round has no snapshot, or its file is damaged.
    """
    path = snapshot_path(store, number)
    if not path.is_file():
        raise WorkspaceError(f"{path}: not there; round {number} has not begun, expected a round that has")
    issues = Issues(path.name)
    context = ValidationContext(store.scenes, store.classes, lambda _: None)
    labels, decisions = read_label_file(path, context, issues)
    if issues.rejected:
        raise WorkspaceError(
            f"{path}: damaged ({issues.rejected[0]}); restore it from a copy of the workspace"
        )
    return LabelSnapshot(in_order(labels), decisions_in_order(decisions))


def read_state(store: LabelStore, state: str) -> LabelSnapshot:
    """Read a state of the labels by its name.

    Args:
        store: the label store.
        state: a round's number, or ``now`` for the labels that hold.

    Raises:
        LabelError: neither a number nor ``now``.
        WorkspaceError: the round has no snapshot, or its file is damaged.
    """
    if state == "now":
        return store.snapshot()
    if not state.isdigit():
        raise LabelError(f"{state}: expected a round's number or `now`")
    return read_snapshot(store, int(state))


def previous_snapshot(store: LabelStore, number: int) -> LabelSnapshot:
    """Read the snapshot of the last round before ``number`` that has one; empty where none has.

    Args:
        store: the label store.
        number: of the round.

    Raises:
        WorkspaceError: the snapshot is damaged.
    """
    for earlier in range(number - 1, -1, -1):
        if snapshot_path(store, earlier).is_file():
            return read_snapshot(store, earlier)
    return LabelSnapshot((), ())


def restore(store: LabelStore, number: int) -> Difference:
    """Make the snapshot of a round the labels that hold from now on.

    The restoration withdraws every committed label and decision that the snapshot lacks, and brings back
    those that were deleted since. Labels made after the restoration hold as usual.

    Args:
        store: the label store.
        number: of the round.

    Returns:
        The change to the labels that hold.

    Raises:
        WorkspaceError: the round has no snapshot, or a file is damaged.
    """
    target, committed = read_snapshot(store, number), store.read_all()
    wanted = {*label_keys(target.labels), *(item.key for item in target.decisions)}
    present = {*label_keys(committed.labels), *(item.key for item in committed.decisions)}
    labels = not_in(target.labels, label_keys(target.labels), present)
    decisions = [item for item in target.decisions if item.key not in present]
    before = store.without_withdrawn(committed)
    path = next_restoration(store.folder)
    with new_file(path) as temporary:
        create_label_file(temporary, store.scenes, store.classes, "", "restored", [WITHDRAWN])
        with writing(temporary) as connection:
            append(connection, store.scenes, labels, decisions, origin=True)
            connection.executemany(
                "INSERT INTO withdrawn VALUES (?)", [(key,) for key in sorted(present - wanted)]
            )
    return difference(before, store.without_withdrawn(committed))


@dataclass(frozen=True)
class RoundSnapshot:
    """The labels that a round trains on, and its report.

    Attributes:
        snapshot: the labels and decisions.
        changes: the difference from the snapshot of the last round before that has one.
        conflicts: pixels to which annotators gave several classes; the later label trains.
        agreement: agreement on queries that several annotators answered.
        repeated: whether an earlier, interrupted run of the round took the snapshot.
    """

    snapshot: LabelSnapshot
    changes: Difference
    conflicts: tuple[Conflict, ...]
    agreement: Agreement
    repeated: bool

    @property
    def rejected(self) -> tuple[Issue, ...]:
        """Rows that cannot be used, with the reason."""
        return self.snapshot.rejected

    def lines(self) -> list[str]:
        """Return the report, line by line."""
        lines = [
            f"{len(self.snapshot.labels)} labels: {len(self.changes.added)} new, "
            f"{len(self.changes.removed)} removed, {self.changes.kept} unchanged"
        ]
        lines += [f"not used: {issue}" for issue in self.snapshot.rejected]
        lines += [f"note: {issue}" for issue in self.snapshot.notes]
        if self.conflicts:
            pixels = sum(conflict.pixels for conflict in self.conflicts)
            lines.append(
                f"{len(self.conflicts)} conflicts between annotators over {pixels} pixels; "
                "the later label holds"
            )
        if self.agreement.queries:
            lines.append(
                f"{self.agreement.queries} queries answered by several annotators: "
                f"{self.agreement.share:.1%} of {self.agreement.pixels} pixels agree, "
                f"kappa {self.agreement.kappa:.2f}"
            )
        return lines


def take_snapshot(
    store: LabelStore,
    number: int,
    snapshot: LabelSnapshot | None = None,
    previous: LabelSnapshot | None = None,
) -> RoundSnapshot:
    """Keep the labels that hold now as ``rounds/NNN/taken.gpkg``.

    A round takes one snapshot: an interrupted round that goes on reads the snapshot that it took.

    Args:
        store: the label store.
        number: of the round that trains on the labels.
        snapshot: the labels that hold now; None: they are read.
        previous: the snapshot of the last round before that has one; None: it is read.

    Raises:
        WorkspaceError: a file is locked for too long or of a newer schema, or an earlier snapshot is damaged.
    """
    scenes = list(store.scenes.values())
    repeated = snapshot_path(store, number).is_file()
    if repeated:
        snapshot = read_snapshot(store, number)
    else:
        snapshot = store.snapshot() if snapshot is None else snapshot
        write_snapshot(store, number, snapshot)
    previous = previous_snapshot(store, number) if previous is None else previous
    return RoundSnapshot(
        snapshot=snapshot,
        changes=difference(previous, snapshot),
        conflicts=tuple(conflicts(snapshot.labels, scenes, store.classes)),
        agreement=agreement(snapshot.labels, scenes, store.classes),
        repeated=repeated,
    )
