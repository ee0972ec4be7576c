"""The queries of a round in the order in which they are answered, with their statuses. Imports no QGIS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..store.queries import OPEN, SETTLED, STATUSES, Query


class QueryQueue:
    """Queries by rank, one of which may be the current one.

    Args:
        queries: queries of one round.
        statuses: qid → status; a query that is missing is open.
    """

    def __init__(self, queries: Iterable[Query], statuses: Mapping[str, str] | None = None) -> None:
        self.queries = sorted(queries, key=lambda query: (query.rank, query.qid))
        self._indices = {query.qid: index for index, query in enumerate(self.queries)}
        self._statuses: dict[str, str] = {}
        self._settled: frozenset[str] = frozenset()
        self._order: dict[str, int] = {}
        self._current: int | None = None
        self.update(statuses or {})

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def current(self) -> Query | None:
        """The query that is being answered."""
        return None if self._current is None else self.queries[self._current]

    def find(self, qid: str) -> Query | None:
        """Find a query.

        Args:
            qid: its id.

        Returns:
            The query; None if it is not in the queue.
        """
        index = self._indices.get(qid)
        return None if index is None else self.queries[index]

    def status(self, qid: str) -> str:
        """Look up the status of a query.

        Args:
            qid: its id.

        Returns:
            One of ``STATUSES``; open for a query that is not in the queue.
        """
        status = self._statuses.get(qid, OPEN)
        return SETTLED if status == OPEN and qid in self._settled else status

    def settle(self, qids: Iterable[str]) -> list[str]:
        """Withdraw open queries whose class other answers decide, and take back those that are not named.

        Args:
            qids: all that are settled now.

        Returns:
            Ids of the queries whose status changed.
        """
        before, self._settled = self._settled, frozenset(qids)
        return [qid for qid in before ^ self._settled if qid in self._indices]

    def reorder(self, qids: Iterable[str]) -> None:
        """Set the order in which open queries are answered; those that it does not name follow by rank.

        Args:
            qids: best first.
        """
        self._order = {qid: place for place, qid in enumerate(qids)}

    def extend(self, queries: Iterable[Query]) -> list[Query]:
        """Take new queries of the round in; the current one stays.

        Args:
            queries: all queries of the round.

        Returns:
            Those that are new.
        """
        new = [query for query in queries if query.qid not in self._indices]
        current = self.current
        self.queries = sorted([*self.queries, *new], key=lambda query: (query.rank, query.qid))
        self._indices = {query.qid: index for index, query in enumerate(self.queries)}
        self._current = None if current is None else self._indices[current.qid]
        return new

    def update(self, statuses: Mapping[str, str]) -> list[str]:
        """Replace the statuses of all queries.

        Args:
            statuses: qid → status; a query that is missing is open. Ids that are not in the queue are
                ignored.

        Returns:
            Ids of the queries whose status changed.
        """
        new = {qid: status for qid, status in statuses.items() if qid in self._indices and status != OPEN}
        before = {qid: self.status(qid) for qid in self._indices}
        self._statuses = new
        changed = [qid for qid, status in before.items() if status != self.status(qid)]
        return changed

    def select(self, qid: str) -> Query | None:
        """Make a query the current one.

        Args:
            qid: its id.

        Returns:
            The query; None if it is not in the queue.
        """
        if qid in self._indices:
            self._current = self._indices[qid]
        return self.find(qid)

    def next(self) -> Query | None:
        """Go to the next open query by rank, or in the order of `reorder`; the first comes after the last.

        Returns:
            The query; None if no query is open.
        """
        if self._order:
            return self._next_in_order()
        start = -1 if self._current is None else self._current
        count = len(self.queries)
        for step in range(1, count + 1):
            index = (start + step) % count
            if self.status(self.queries[index].qid) == OPEN:
                self._current = index
                return self.queries[index]
        return None

    def _next_in_order(self) -> Query | None:
        last = len(self._order)
        open_ones = [index for index, query in enumerate(self.queries) if self.status(query.qid) == OPEN]
        open_ones.sort(key=lambda index: self._order.get(self.queries[index].qid, last))
        if not open_ones:
            return None
        # Who leaves a query open goes on to the one after it, not to the best one again.
        known = self.current is not None and self.current.qid in self._order
        place = open_ones.index(self._current) + 1 if known and self._current in open_ones else 0
        self._current = open_ones[place % len(open_ones)]
        return self.queries[self._current]

    def previous(self) -> Query | None:
        """Go to the query ranked before the current one, answered or not.

        Returns:
            The query; None if there is none.
        """
        if not self.queries or self._current == 0:
            return None
        self._current = len(self.queries) - 1 if self._current is None else self._current - 1
        return self.queries[self._current]

    def counts(self) -> dict[str, int]:
        """Count the queries by status."""
        counts = dict.fromkeys(STATUSES, 0)
        for query in self.queries:
            counts[self.status(query.qid)] += 1
        return counts


def assigned_queries(
    queries: Iterable[Query], assignments: Mapping[str, tuple[str, ...]], author: str
) -> list[Query]:
    """Select the queries that an annotator answers.

    Args:
        queries: queries of one round.
        assignments: qid → annotators.
        author: the annotator.

    Returns:
        The queries that are assigned to the annotator; if there are none, those that are assigned to nobody.
    """
    queries = list(queries)
    own = [query for query in queries if author in assignments.get(query.qid, ())]
    return own or [query for query in queries if not assignments.get(query.qid)]
