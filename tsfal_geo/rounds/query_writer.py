"""The end of a round: one look at every chip, the rasters of what was seen, and the queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tsfal_geo.labels.model import Query
from tsfal_geo.labels.polygonise import region_polygons
from tsfal_geo.queries.budget import askable_pixels
from tsfal_geo.queries.ranking import ChipQueries
from tsfal_geo.queries.regions import Regions, region_pixels
from tsfal_geo.queries.strategies import Strategy
from tsfal_geo.raster.chips import Chip, owned_part
from tsfal_geo.rounds.context import Context
from tsfal_geo.rounds.pools import RoundLabels
from tsfal_geo.rounds.round_rasters import write_query_raster


@dataclass(frozen=True)
class Asked:
    """What a round asks.

    Attributes:
        queries: by rank.
        strategy: that chose them.
        diagnostics: what the masks and votes are worth, where the truth is known.
    """

    queries: list[Query]
    strategy: str
    diagnostics: dict[str, Any] = field(default_factory=dict)


class _Shelf:
    """Proposals with their region outlines on disk, so that memory does not grow with the chips' cells."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.chips: list[Chip] = []
        self.proposals: list[ChipQueries] = []

    def put(self, chip: Chip, proposal: ChipQueries) -> None:
        if not len(proposal.regions):
            return
        np.save(self._folder / f"{len(self.chips)}.npy", proposal.regions.labels)
        empty = np.zeros((0, 0), np.int32)
        self.proposals.append(replace(proposal, regions=replace(proposal.regions, labels=empty)))
        self.chips.append(chip)

    def regions(self, position: int) -> Regions:
        labels = np.load(self._folder / f"{position}.npy")
        return replace(self.proposals[position].regions, labels=labels)


def _queries(
    context: Context,
    number: int,
    labels: RoundLabels,
    strategy: Strategy,
    shelf: _Shelf,
    ranked: Sequence[tuple[Chip, int, int]],
    folder: Path,
) -> list[Query]:
    """Outlines of the chosen regions, and ``queries.tif`` of every scene."""
    inputs = context.inputs
    rank_of = {(position, region): rank for rank, (_, position, region) in enumerate(ranked, start=1)}
    by_scene: dict[int, list[int]] = {}
    for position in sorted({position for _, position, _ in ranked}):
        by_scene.setdefault(shelf.chips[position].scene, []).append(position)
    prefix = context.query_prefix(number)
    queries: list[Query] = []
    for index, scene in enumerate(inputs.scenes):
        parts = []
        for position in by_scene.get(index, ()):
            chip, regions = shelf.chips[position], shelf.regions(position)
            part = owned_part(chip, scene.height, scene.width)
            valid, said = inputs.reader.read(chip.window).valid, labels.every.read(chip.window)
            askable = askable_pixels(valid, said, labels.aside.read(chip.window), part)
            pixels = region_pixels(regions.labels, askable)[part]
            top, left = chip.y + part[0].start, chip.x + part[1].start
            ranks = np.zeros(len(regions) + 1, np.uint32)
            for region in range(1, len(regions) + 1):
                ranks[region] = rank_of.get((position, region), 0)
            asked = np.where(ranks[pixels] > 0, pixels, np.int32(0))
            counts = np.bincount(asked.ravel(), minlength=len(ranks))
            for region, outline in region_polygons(asked, scene.grid, top, left).items():
                rank = int(ranks[region])
                queries.append(
                    Query(
                        qid=f"{prefix}{rank:06d}",
                        round=number,
                        scene=scene.name,
                        chip=f"{chip.row}-{chip.col}",
                        rank=rank,
                        score=float(regions.score[region - 1]),
                        reason=strategy.reason,
                        suggested=int(inputs.classes.ids[regions.predicted[region - 1]]),
                        pixels=int(counts[region]),
                        geometry=outline,
                    )
                )
            parts.append((top, left, ranks[pixels]))
        write_query_raster(folder / scene.name / "queries.tif", scene, parts)
    assert len(queries) == len(ranked)
    return sorted(queries, key=lambda query: query.rank)
