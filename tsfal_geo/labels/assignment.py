"""Assigning queries to several annotators: each query to one, unless agreement is to be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tsfal_geo.errors import LabelError
from tsfal_geo.labels.model import Query


def assign_queries(
    queries: Sequence[Query],
    authors: Sequence[str],
    assigned: Mapping[str, tuple[str, ...]],
    overlap: float = 0.0,
    count: int | None = None,
) -> dict[str, tuple[str, ...]]:
    """Assign open queries to annotators, the best first, in turns.

    Queries that are assigned already stay as they are. Queries for two annotators are spread evenly over the
    ranks.

    Args:
        queries: open queries by rank.
        authors: the annotators, each once.
        assigned: earlier assignments, by qid.
        overlap: share of the queries that a second annotator gets too, 0 to 1.
        count: queries for each annotator, those for two included; None: all.

    Returns:
        The new assignments, by qid.

    Raises:
        LabelError: no annotator, the same one twice, or an overlap out of range or with one annotator.
    """
    if not authors or len(set(authors)) != len(authors):
        raise LabelError(
            f"found the annotators {', '.join(authors) or '(none)'}, expected each once; name them with --to"
        )
    if not 0 <= overlap <= 1:
        raise LabelError(f"--overlap {overlap}: expected a share from 0 to 1")
    if overlap and len(authors) < 2:
        raise LabelError("--overlap needs two annotators or more; name them with --to")
    counts = dict.fromkeys(authors, 0)
    limit = len(queries) if count is None else count
    new: dict[str, tuple[str, ...]] = {}
    unassigned = [query for query in queries if not assigned.get(query.qid)]
    # A second annotator gets query n where the running total of the overlap passes an integer.
    totals = np.floor(np.arange(len(unassigned) + 1) * overlap + 0.5)
    for query, twice in zip(unassigned, np.diff(totals) > 0, strict=True):
        available = sorted((name for name in authors if counts[name] < limit), key=lambda name: counts[name])
        if not available:
            break
        chosen = tuple(available[: 2 if twice else 1])
        for name in chosen:
            counts[name] += 1
        new[query.qid] = chosen
    return new
