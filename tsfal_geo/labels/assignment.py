"""Handing queries out to several people: nobody gets the same one, unless agreement is to be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tsfal_geo.errors import LabelError
from tsfal_geo.labels.model import Query


def assign_queries(
    queries: Sequence[Query],
    authors: Sequence[str],
    given: Mapping[str, tuple[str, ...]],
    overlap: float = 0.0,
    count: int | None = None,
) -> dict[str, tuple[str, ...]]:
    """Who gets which of the open queries.

    The best queries go out first, in turns; those that somebody has are not given again. Queries asked twice
    are spread evenly over the ranks, each to one person more.

    Args:
        queries: open queries by rank.
        authors: the people, each once.
        given: earlier hand-outs, by qid.
        overlap: share of the queries that a second person gets too, 0 to 1.
        count: queries for each person, those asked twice included; None: all.

    Returns:
        The new hand-outs, by qid.

    Raises:
        LabelError: nobody named, somebody twice, or an overlap out of range or with one person.
    """
    if not authors or len(set(authors)) != len(authors):
        raise LabelError(f"found the people {', '.join(authors) or '(none)'}; name each once with --to")
    if not 0 <= overlap <= 1:
        raise LabelError(f"--overlap {overlap}: expected a share from 0 to 1")
    if overlap and len(authors) < 2:
        raise LabelError("--overlap needs two people or more to agree; name them with --to")
    held = dict.fromkeys(authors, 0)
    limit = len(queries) if count is None else count
    new: dict[str, tuple[str, ...]] = {}
    fresh = [query for query in queries if not given.get(query.qid)]
    # Query n is asked twice where the running total of the overlap passes a whole number.
    totals = np.floor(np.arange(len(fresh) + 1) * overlap + 0.5)
    for query, twice in zip(fresh, np.diff(totals) > 0, strict=True):
        able = sorted((name for name in authors if held[name] < limit), key=lambda name: held[name])
        if not able:
            break
        chosen = tuple(able[: 2 if twice else 1])
        for name in chosen:
            held[name] += 1
        new[query.qid] = chosen
    return new
