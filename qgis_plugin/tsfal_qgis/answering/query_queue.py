"""The queries of a round in the order in which they are answered, with their statuses. Imports no QGIS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..store.queries import OPEN, STATUSES, Query


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
        return self._statuses.get(qid, OPEN)

    def update(self, statuses: Mapping[str, str]) -> list[str]:
        """Replace the statuses of all queries.

        Args:
            statuses: qid → status; a query that is missing is open. Ids that are not in the queue are
                ignored.

        Returns:
            Ids of the queries whose status changed.
        """
        new = {qid: status for qid, status in statuses.items() if qid in self._indices and status != OPEN}
        changed = [qid for qid in self._indices if new.get(qid, OPEN) != self.status(qid)]
        self._statuses = new
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
        """Go to the next open query by rank; after the last one comes the first.

        Returns:
            The query; None if no query is open.
        """
        start = -1 if self._current is None else self._current
        count = len(self.queries)
        for step in range(1, count + 1):
            index = (start + step) % count
            if self.status(self.queries[index].qid) == OPEN:
                self._current = index
                return self.queries[index]
        return None

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
