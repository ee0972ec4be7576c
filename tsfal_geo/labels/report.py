"""Reports on labels and queries for `labels status` and `queries list`."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.labels.agreement import Conflict, agreement, conflicts
from tsfal_geo.labels.model import Label, LabelSnapshot
from tsfal_geo.labels.rasterise import PolygonLabels, ValidReader
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene

_SHOWN_CONFLICTS = 10
_ROWS = 512  # of a scene that are read at once


def collect(store: LabelStore) -> dict[str, Any]:
    """Collect the report as JSON values.

    A pixel counts once, for the label that holds. An annotator's pixels are all that he or she labelled, also
    those that somebody labelled again later. ``share`` is a share of all valid pixels of the scenes.

    Args:
        store: the label store.

    Returns:
        Figures by name.

    Raises:
        RasterError: a scene cannot be read.
        WorkspaceError: a label file is locked for too long, or of a newer schema.
    """
    snapshot = store.snapshot()
    scenes = list(store.scenes.values())
    reader = SceneReader(scenes, None, use_dsm=False)

    def valid(window: Window) -> NDArray[np.bool_]:
        return reader.read(window).valid

    total = sum(
        int(np.count_nonzero(valid(Window(index, y, 0, min(_ROWS, scene.height - y), scene.width))))
        for index, scene in enumerate(scenes)
        for y in range(0, scene.height, _ROWS)
    )
    pixels = PolygonLabels(snapshot.labels, scenes, store.classes).pixels(valid)
    people = _by_annotator(snapshot, scenes, store, valid)
    reader.close()
    agreed = agreement(snapshot.labels, scenes, store.classes)
    return {
        "labels": len(snapshot.labels),
        "pixels": int(pixels.sum()),
        "valid_pixels": total,
        "share": int(pixels.sum()) / total if total else 0.0,
        "classes": dict(zip(store.classes.names, pixels.tolist(), strict=True)),
        "people": people,
        "answered": len(snapshot.answered),
        "open": len(store.open_queries(snapshot=snapshot)),
        "conflicts": [_conflict(item) for item in conflicts(snapshot.labels, scenes, store.classes)],
        "agreement": {
            "queries": agreed.queries,
            "pixels": agreed.pixels,
            "share": None if math.isnan(agreed.share) else agreed.share,
            "kappa": None if math.isnan(agreed.kappa) else agreed.kappa,
        },
        "rejected": [str(issue) for issue in snapshot.rejected],
        "notes": [str(issue) for issue in snapshot.notes],
    }


def lines(report: dict[str, Any]) -> list[str]:
    """Format the report for a terminal.

    Args:
        report: the figures that `collect` returns.
    """
    text = [
        f"{report['labels']} labels on {report['pixels']} pixels, {report['share']:.2%} of "
        f"{report['valid_pixels']}; queries: {report['answered']} answered, {report['open']} open"
    ]
    text += [f"  {name}: {pixels} pixels" for name, pixels in report["classes"].items() if pixels]
    for author, own in report["people"].items():
        decisions = ", ".join(f"{count} {status}" for status, count in own["decisions"].items())
        text.append(
            f"{author}: {own['labels']} labels, {own['pixels']} pixels"
            + (f"; queries: {decisions}" if decisions else "")
        )
    agreed = report["agreement"]
    if agreed["queries"]:
        kappa = "" if agreed["kappa"] is None else f", kappa {agreed['kappa']:.2f}"
        share = "no pixel in common" if agreed["share"] is None else f"{agreed['share']:.1%} agree"
        text.append(f"{agreed['queries']} queries answered by several annotators: {share}{kappa}")
    text += _conflict_lines(report["conflicts"])
    text += [f"not used: {issue}" for issue in report["rejected"]]
    text += [f"note: {issue}" for issue in report["notes"]]
    return text


def _by_annotator(
    snapshot: LabelSnapshot, scenes: list[Scene], store: LabelStore, valid: ValidReader
) -> dict[str, dict[str, Any]]:
    by_author: dict[str, list[Label]] = {item.author: [] for item in snapshot.decisions}
    for label in snapshot.labels:
        by_author.setdefault(label.author, []).append(label)
    return {
        author: {
            "labels": len(own),
            "pixels": int(PolygonLabels(own, scenes, store.classes).pixels(valid).sum()),
            "decisions": dict(Counter(item.status for item in snapshot.decisions if item.author == author)),
        }
        for author, own in sorted(by_author.items())
    }


def _conflict(item: Conflict) -> dict[str, Any]:
    return {
        "scene": item.scene,
        "pixels": item.pixels,
        "authors": list(item.authors),
        "class_ids": list(item.class_ids),
        "rows": [list(row) for row in item.rows],
    }


def _conflict_lines(found: list[dict[str, Any]]) -> list[str]:
    text = []
    for item in found[:_SHOWN_CONFLICTS]:
        (earlier, first), (later, second) = item["rows"]
        text.append(
            f"conflict on {item['scene']}: {item['pixels']} pixels, {earlier} row {first} "
            f"and {later} row {second}; the later holds"
        )
    if len(found) > _SHOWN_CONFLICTS:
        text.append(f"… and {len(found) - _SHOWN_CONFLICTS} more conflicts")
    return text


def query_rows(
    store: LabelStore, number: int, *, author: str | None = None, answered: bool = False
) -> list[dict[str, Any]]:
    """List the queries of a round with their state, as JSON values.

    Args:
        store: the label store.
        number: of the round.
        author: list only the queries that are assigned to this annotator; None: all.
        answered: list answered and skipped queries, too.

    Returns:
        The queries by rank. ``status`` is ``open``, ``done``, or the annotator's last decision; ``to`` holds
        the annotators to whom the query is assigned.

    Raises:
        WorkspaceError: a label file is locked for too long, or of a newer schema.
    """
    snapshot, assigned = store.snapshot(), store.assignments(number)
    names = {info.id: info.name for info in store.classes.classes}
    decided = {item.qid: item.status for item in snapshot.decisions}
    rows = []
    for query in store.read_queries(number):
        status = decided.get(query.qid, "done" if query.qid in snapshot.answered else "open")
        authors = assigned.get(query.qid, ())
        if (status != "open" and not answered) or (author is not None and author not in authors):
            continue
        rows.append(
            {
                "qid": query.qid,
                "rank": query.rank,
                "scene": query.scene,
                "chip": query.chip,
                "pixels": query.pixels,
                "score": query.score,
                "reason": query.reason,
                "suggested": None
                if query.suggested is None
                else names.get(query.suggested, str(query.suggested)),
                "status": status,
                "to": list(authors),
            }
        )
    return rows
