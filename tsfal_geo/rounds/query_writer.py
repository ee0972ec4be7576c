"""The queries of a round: regions kept on disk until they are selected, then outlines and ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tsfal_geo.labels.model import Query
from tsfal_geo.labels.polygonise import region_polygons
from tsfal_geo.queries.budget import askable_pixels
from tsfal_geo.queries.ranking import ChipProposal
from tsfal_geo.queries.regions import Regions, region_pixels
from tsfal_geo.raster.chips import Chip, owned_part
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.pools import RoundLabels
from tsfal_geo.rounds.round_rasters import write_number_raster


@dataclass(frozen=True)
class QuerySelection:
    """The queries that a round selected.

    Attributes:
        queries: by rank.
        strategy: that selected them.
        diagnostics: the worth of masks and votes, where the truth is known.
    """

    queries: list[Query]
    strategy: str
    diagnostics: dict[str, Any] = field(default_factory=dict)


class RegionCache:
    """Proposals with their region outlines on disk, so that memory does not grow with the chips' cells."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.chips: list[Chip] = []
        self.proposals: list[ChipProposal] = []

    def add(self, chip: Chip, proposal: ChipProposal) -> None:
        """Keep a chip's proposal, if it has a region."""
        if not len(proposal.regions):
            return
        np.save(self._folder / f"{len(self.chips)}.npy", proposal.regions.labels)
        empty = np.zeros((0, 0), np.int32)
        self.proposals.append(replace(proposal, regions=replace(proposal.regions, labels=empty)))
        self.chips.append(chip)

    def regions(self, position: int) -> Regions:
        """Read the regions of a proposal back.

        Args:
            position: in ``proposals``.
        """
        labels = np.load(self._folder / f"{position}.npy")
        return replace(self.proposals[position].regions, labels=labels)


def write_queries(
    context: RoundContext,
    number: int,
    labels: RoundLabels,
    reason: str,
    cache: RegionCache,
    ranked: Sequence[tuple[Chip, int, int]],
) -> list[Query]:
    """Trace the outlines of the selected regions, and write ``queries.tif`` of every scene.

    Args:
        context: the workspace.
        number: of the round.
        labels: of the round.
        reason: why the strategy selects these regions, in a word or two.
        cache: holds the regions of the proposals.
        ranked: chip, position of its proposal and number of the region, by rank.

    Returns:
        The queries, by rank.
    """
    folder = context.workspace.round_dir(number)
    inputs = context.inputs
    rank_of = {(position, region): rank for rank, (_, position, region) in enumerate(ranked, start=1)}
    by_scene: dict[int, list[int]] = {}
    for position in sorted({position for _, position, _ in ranked}):
        by_scene.setdefault(cache.chips[position].scene, []).append(position)
    prefix = context.workspace.query_prefix(number)
    queries: list[Query] = []
    for index, scene in enumerate(inputs.scenes):
        parts = []
        for position in by_scene.get(index, ()):
            chip, regions = cache.chips[position], cache.regions(position)
            part = owned_part(chip, scene.height, scene.width)
            valid, labelled = inputs.reader.read(chip.window).valid, labels.every.read(chip.window)
            askable = askable_pixels(valid, labelled, labels.skipped.read(chip.window), part)
            pixels = region_pixels(regions.labels, askable)[part]
            top, left = chip.y + part[0].start, chip.x + part[1].start
            ranks = np.zeros(len(regions) + 1, np.uint32)
            for region in range(1, len(regions) + 1):
                ranks[region] = rank_of.get((position, region), 0)
            selected = np.where(ranks[pixels] > 0, pixels, np.int32(0))
            counts = np.bincount(selected.ravel(), minlength=len(ranks))
            for region, outline in region_polygons(selected, scene.grid, top, left).items():
                rank = int(ranks[region])
                queries.append(
                    Query(
                        qid=f"{prefix}{rank:06d}",
                        round=number,
                        scene=scene.name,
                        chip=f"{chip.row}-{chip.col}",
                        rank=rank,
                        score=float(regions.score[region - 1]),
                        reason=reason,
                        suggested=int(inputs.classes.ids[regions.predicted[region - 1]]),
                        pixels=int(counts[region]),
                        geometry=outline,
                    )
                )
            parts.append((top, left, ranks[pixels]))
        write_number_raster(folder / scene.name / "queries.tif", scene, parts)
    assert len(queries) == len(ranked)
    return sorted(queries, key=lambda query: query.rank)
