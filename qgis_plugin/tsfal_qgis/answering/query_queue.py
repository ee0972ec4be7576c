"""The queries of a round in the order in which they are answered, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

OPEN, DONE, SKIPPED, UNSURE = "open", "done", "skipped", "unsure"
STATUSES = (OPEN, DONE, SKIPPED, UNSURE)


@dataclass(frozen=True)
class Query:
    """A region that a person is asked to label.

    Attributes:
        qid: its name, unique in the workspace.
        round: the round that asked it.
        scene: name of the scene.
        chip: name of the chip.
        rank: 1 is the most worth asking.
        score: what it was ranked by.
        reason: why it is asked.
        suggested: class id that the refinement proposes.
        pixels: number of pixels in it.
        layer: number of the layer of queries that holds it.
        fid: its row there.
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


class QueryQueue:
    """Queries by rank, with a current one.

    Args:
        queries: of one round.
        statuses: one of ``STATUSES`` by qid; open where there is none.
    """

    def __init__(self, queries: Iterable[Query], statuses: Mapping[str, str] | None = None) -> None:
        self.queries = sorted(queries, key=lambda query: (query.rank, query.qid))
        self._place = {query.qid: place for place, query in enumerate(self.queries)}
        self._statuses: dict[str, str] = {}
        self._current: int | None = None
        self.update(statuses or {})

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def current(self) -> Query | None:
        """The query that is being answered."""
        return None if self._current is None else self.queries[self._current]

    def find(self, qid: str) -> Query | None:
        """A query of this round by its name."""
        place = self._place.get(qid)
        return None if place is None else self.queries[place]

    def status(self, qid: str) -> str:
        """What became of a query."""
        return self._statuses.get(qid, OPEN)

    def update(self, statuses: Mapping[str, str]) -> list[str]:
        """Take in what is known of all queries; returns the names of those that changed."""
        fresh = {qid: status for qid, status in statuses.items() if qid in self._place and status != OPEN}
        changed = [qid for qid in self._place if fresh.get(qid, OPEN) != self.status(qid)]
        self._statuses = fresh
        return changed

    def select(self, qid: str) -> Query | None:
        """Make a query the current one, if it is of this round."""
        if qid in self._place:
            self._current = self._place[qid]
        return self.find(qid)

    def next(self) -> Query | None:
        """Go to the next open query by rank, from the last back to the first; None: all are answered."""
        start = -1 if self._current is None else self._current
        count = len(self.queries)
        for step in range(1, count + 1):
            place = (start + step) % count
            if self.status(self.queries[place].qid) == OPEN:
                self._current = place
                return self.queries[place]
        return None

    def previous(self) -> Query | None:
        """Go to the query ranked before the current one, answered or not; None: there is none."""
        if not self.queries or self._current == 0:
            return None
        self._current = len(self.queries) - 1 if self._current is None else self._current - 1
        return self.queries[self._current]

    def counts(self) -> dict[str, int]:
        """Number of queries by status."""
        counts = dict.fromkeys(STATUSES, 0)
        for query in self.queries:
            counts[self.status(query.qid)] += 1
        return counts


def mine(queries: Iterable[Query], assigned: Mapping[str, tuple[str, ...]], author: str) -> list[Query]:
    """The queries that a person answers: those handed out to them; if none were, all that nobody else has."""
    queries = list(queries)
    own = [query for query in queries if author in assigned.get(query.qid, ())]
    return own or [query for query in queries if not assigned.get(query.qid)]
