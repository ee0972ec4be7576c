"""Queries that may be answered together: of one suggested class, alike in the picture. Imports no QGIS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from ..store.queries import OPEN, Query
from .query_queue import QueryQueue

Look = tuple[float, ...]
"""Numbers that are near each other for pictures that look alike."""


def suggested_classes(queue: QueryQueue) -> dict[int, int]:
    """Count the open queries by suggested class.

    Args:
        queue: the queries and their statuses.

    Returns:
        Id of the class → number of queries, most of them first.
    """
    counts = Counter(
        query.suggested
        for query in queue.queries
        if query.suggested is not None and queue.status(query.qid) == OPEN
    )
    return dict(counts.most_common())


def candidates(queue: QueryQueue, class_id: int, without: Collection[str], count: int) -> list[Query]:
    """Select open queries of one suggested class: the current one, then by rank.

    Args:
        queue: the queries and their statuses.
        class_id: the class.
        without: qids to leave out.
        count: most queries.

    Returns:
        The queries.
    """
    current = queue.current
    found = [
        query
        for query in queue.queries
        if query.suggested == class_id and query.qid not in without and queue.status(query.qid) == OPEN
    ]
    return sorted(found, key=lambda query: query is not current)[:count]


def most_alike(looks: Sequence[Look], count: int) -> list[int]:
    """Find the looks that are nearest to the first one.

    Args:
        looks: of the same length.
        count: most of them.

    Returns:
        Their positions, nearest first, beginning with the first look itself.
    """

    def distance(position: int) -> float:
        return sum((a - b) ** 2 for a, b in zip(looks[position], looks[0], strict=True))

    return sorted(range(len(looks)), key=distance)[:count]
