"""Queries, and the five statuses that a query can have. Imports no QGIS."""

from __future__ import annotations

from dataclasses import dataclass

OPEN, DONE, SKIPPED, UNSURE = "open", "done", "skipped", "unsure"
SETTLED = "settled"
"""The status of an open query whose class other answers decide; the live session says so."""
STATUSES = (OPEN, DONE, SKIPPED, UNSURE, SETTLED)


@dataclass(frozen=True)
class Query:
    """A region that the model asks an annotator to label.

    Attributes:
        qid: its id, unique in the workspace.
        round: number of the round that selected it.
        scene: name of the scene.
        chip: name of the chip.
        rank: position in the round, from 1; the query of rank 1 is the most useful.
        score: the strategy's score, by which the queries were ranked.
        reason: reason of the selection, in a few words.
        suggested: class id that the refinement suggests.
        pixels: number of pixels in the region.
        layer: index of the query layer that contains it.
        fid: id of its feature in that layer.
    """

    qid: str
    round: int
    scene: str
    chip: str
    rank: int
    score: float
    reason: str
    suggested: int | None
    pixels: int
    layer: int
    fid: int
