"""Restorations: files of the engine that make an earlier snapshot hold again.

A restoration, ``labels/restore-N.gpkg``, lists the fingerprints of the rows that it withdraws and holds the
rows that were deleted since the snapshot. Only the last restoration counts; labels made after it hold as
usual. No annotator's file changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tsfal_geo.classes import ClassMap
from tsfal_geo.geopackage.connection import reading
from tsfal_geo.geopackage.layers import read_table
from tsfal_geo.labels.issues import Issues
from tsfal_geo.labels.label_layers import read_label_file
from tsfal_geo.labels.model import Label, LabelSnapshot, Scenes, label_keys
from tsfal_geo.labels.validation import ValidationContext, decisions_in_order, in_order

_RESTORATION = re.compile(r"restore-(\d+)\.gpkg")
WITHDRAWN = "CREATE TABLE withdrawn (key TEXT PRIMARY KEY NOT NULL)"


def apply_restoration(
    folder: Path, scenes: Scenes, classes: ClassMap, snapshot: LabelSnapshot
) -> LabelSnapshot:
    """Apply the last restoration of a folder: leave out withdrawn rows, add those that it holds.

    Args:
        folder: the folder of label files, which holds the restorations.
        scenes: the training scenes, by name.
        classes: the class map.
        snapshot: everything that is committed.

    Returns:
        The labels and decisions that hold, without copies, oldest first.

    Raises:
        LabelError: the restoration is damaged.
    """
    labels, decisions = list(snapshot.labels), list(snapshot.decisions)
    path = _last_restoration(folder)
    if path is not None:
        with reading(path) as connection:
            withdrawn = {str(row["key"]) for row in read_table(connection, "withdrawn")}
        context = ValidationContext(scenes, classes, lambda _: None)
        restored, restored_decisions = read_label_file(path, context, Issues(path.name))
        labels = not_in(labels, label_keys(labels), withdrawn) + restored
        decisions = [item for item in decisions if item.key not in withdrawn] + restored_decisions
    return LabelSnapshot(
        in_order(_without_copies(labels)),
        decisions_in_order(list({item.key: item for item in decisions}.values())),
        snapshot.rejected,
        snapshot.notes,
    )


def is_restoration(path: Path) -> bool:
    """Tell restorations from the files of annotators.

    Args:
        path: a file of the folder of labels.
    """
    return _RESTORATION.fullmatch(path.name) is not None


def not_in(labels: Iterable[Label], keys: Iterable[str], excluded: set[str]) -> list[Label]:
    """Return the labels whose fingerprints are not excluded.

    Args:
        labels: any labels.
        keys: their fingerprints.
        excluded: fingerprints.
    """
    return [label for label, key in zip(labels, keys, strict=True) if key not in excluded]


def next_restoration(folder: Path) -> Path:
    """Name the file of a folder's next restoration.

    Args:
        folder: the folder of label files.
    """
    return folder / f"restore-{max(_restorations(folder), default=0) + 1}.gpkg"


def _without_copies(labels: list[Label]) -> list[Label]:
    # The same row is in two files where somebody copied a label file within the folder. A fingerprint
    # serialises the geometry, so that only rows that may be such copies get one.
    files: dict[tuple[object, ...], set[str]] = {}
    for label in labels:
        files.setdefault((label.author, label.created, label.scene, label.class_id), set()).add(label.file)
    doubtful = {signature for signature, names in files.items() if len(names) > 1}
    if not doubtful:
        return labels
    keys: set[str] = set()
    kept = []
    for label in sorted(labels, key=lambda item: item.file):
        if (label.author, label.created, label.scene, label.class_id) in doubtful:
            if label.key in keys:
                continue
            keys.add(label.key)
        kept.append(label)
    return kept


def _restorations(folder: Path) -> dict[int, Path]:
    found = ((_RESTORATION.fullmatch(path.name), path) for path in folder.glob("restore-*.gpkg"))
    return {int(match[1]): path for match, path in found if match}


def _last_restoration(folder: Path) -> Path | None:
    found = _restorations(folder)
    return found[max(found)] if found else None
