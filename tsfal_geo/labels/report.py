"""The state of the labels, for people: how much, by whom, and where they differ."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from tsfal_geo.labels.agreement import Conflict, agreement, conflicts
from tsfal_geo.labels.model import Label, LabelSnapshot
from tsfal_geo.labels.rasterise import PolygonLabels, ValidReader
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene

_SHOWN = 10
_ROWS = 512


def collect(store: LabelStore) -> dict[str, Any]:
    """Everything that `labels status` shows, as JSON values.

    Pixels count once, for the label that holds; a person's pixels are those that he or she labelled, whoever
    labelled them later. ``share`` is of all pixels of the scenes that hold data.
    """
    snapshot = store.snapshot()
    scenes = list(store.scenes.values())
    reader = SceneReader(scenes, None, use_dsm=False)

    def valid(window: Window) -> np.ndarray:
        return reader.read(window).valid

    total = sum(
        int(np.count_nonzero(valid(Window(index, y, 0, min(_ROWS, scene.height - y), scene.width))))
        for index, scene in enumerate(scenes)
        for y in range(0, scene.height, _ROWS)
    )
    pixels = PolygonLabels(snapshot.labels, scenes, store.classes).pixels(valid)
    people = _people(snapshot, scenes, store, valid)
    reader.close()
    alike = agreement(snapshot.labels, scenes, store.classes)
    return {
        "labels": len(snapshot.labels),
        "pixels": int(pixels.sum()),
        "valid_pixels": total,
        "share": int(pixels.sum()) / total if total else 0.0,
        "classes": dict(zip(store.classes.names, pixels.tolist(), strict=True)),
        "people": people,
        "answered": len(snapshot.answered),
        "open": len(store.open_queries()),
        "conflicts": [_conflict(item) for item in conflicts(snapshot.labels, scenes, store.classes)],
        "agreement": {
            "queries": alike.queries,
            "pixels": alike.pixels,
            "share": None if math.isnan(alike.share) else alike.share,
            "kappa": None if math.isnan(alike.kappa) else alike.kappa,
        },
        "rejected": [str(issue) for issue in snapshot.rejected],
        "notes": [str(issue) for issue in snapshot.notes],
    }


def lines(report: dict[str, Any]) -> list[str]:
    """The same for a terminal."""
    told = [
        f"{report['labels']} labels on {report['pixels']} pixels, {report['share']:.2%} of "
        f"{report['valid_pixels']}; queries: {report['answered']} answered, {report['open']} open"
    ]
    told += [f"  {name}: {pixels} pixels" for name, pixels in report["classes"].items() if pixels]
    for author, own in report["people"].items():
        decided = ", ".join(f"{count} {status}" for status, count in own["decisions"].items())
        told.append(
            f"{author}: {own['labels']} labels, {own['pixels']} pixels"
            + (f"; queries: {decided}" if decided else "")
        )
    alike = report["agreement"]
    if alike["queries"]:
        kappa = "" if alike["kappa"] is None else f", kappa {alike['kappa']:.2f}"
        share = "no pixel in common" if alike["share"] is None else f"{alike['share']:.1%} agree"
        told.append(f"{alike['queries']} queries answered by several people: {share}{kappa}")
    told += _conflict_lines(report["conflicts"])
    told += [f"not used: {issue}" for issue in report["rejected"]]
    told += [f"note: {issue}" for issue in report["notes"]]
    return told


def _people(
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
    told = []
    for item in found[:_SHOWN]:
        (earlier, first), (later, second) = item["rows"]
        told.append(
            f"conflict on {item['scene']}: {item['pixels']} pixels, {earlier} row {first} "
            f"and {later} row {second}; the later holds"
        )
    if len(found) > _SHOWN:
        told.append(f"… and {len(found) - _SHOWN} conflicts more")
    return told
