"""Taking labels in for a round: what is committed now becomes the round's own, unchanging copy."""

from __future__ import annotations

from dataclasses import dataclass

from tsfal_geo.labels.agreement import Agreement, Conflict, agreement, conflicts
from tsfal_geo.labels.history import Difference, difference, read_taken, taken_path, write_taken
from tsfal_geo.labels.store import Finding, LabelSnapshot, LabelStore


@dataclass(frozen=True)
class Intake:
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
    def rejected(self) -> tuple[Finding, ...]:
        """Rows that cannot be used, and why."""
        return self.snapshot.rejected

    def lines(self) -> list[str]:
        """The report, for people."""
        told = [
            f"{len(self.snapshot.labels)} labels taken in: {len(self.changed.added)} new, "
            f"{len(self.changed.removed)} gone, {self.changed.kept} as before"
        ]
        told += [f"not used: {finding}" for finding in self.snapshot.rejected]
        told += [f"note: {finding}" for finding in self.snapshot.notes]
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


def take(store: LabelStore, number: int) -> Intake:
    """Take in what is committed now and keep it as ``rounds/NNN/taken.gpkg``.

    A round takes labels in once: called again (a resumed run), it gives back what it took.

    Args:
        store: the label store.
        number: the round that is going to train on them.

    Raises:
        WorkspaceError: a file is locked for too long or of a newer schema, or an earlier copy is damaged.
    """
    scenes = list(store.scenes.values())
    repeated = taken_path(store, number).is_file()
    if repeated:
        snapshot = read_taken(store, number)
    else:
        snapshot = store.snapshot()
        write_taken(store, number, snapshot)
    return Intake(
        snapshot=snapshot,
        changed=difference(previous_taken(store, number), snapshot),
        conflicts=tuple(conflicts(snapshot.labels, scenes, store.classes)),
        agreement=agreement(snapshot.labels, scenes, store.classes),
        repeated=repeated,
    )


def previous_taken(store: LabelStore, number: int) -> LabelSnapshot:
    """What the last round before ``number`` trained on; empty if none took labels in."""
    for earlier in range(number - 1, -1, -1):
        if taken_path(store, earlier).is_file():
            return read_taken(store, earlier)
    return LabelSnapshot((), ())
