"""The queries of a workspace and their answers, in the public API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shapely import MultiPolygon, Polygon

from tsfal_geo.labels.answer import answer
from tsfal_geo.labels.model import Decision, Query
from tsfal_geo.project.queries import Queries
from tsfal_geo.reporting import Reporter
from tsfal_geo.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    from tsfal_geo.live.session import LiveSession


class Answering:
    """The part of `Workspace` that annotators use.

    Attributes:
        folder: the folder on disk.
    """

    folder: WorkspaceFolder

    def queries(self, number: int | None = None, *, unanswered: bool = True) -> Queries:
        """Read the queries of a round.

        Args:
            number: of the round; None: the last one.
            unanswered: leave out queries that somebody answered or skipped.

        Returns:
            The queries, by rank.

        Example:
            >>> frame = workspace.queries().to_geodataframe()
            >>> list(frame.columns[:3])
            ['qid', 'round', 'scene']
        """
        store = self.folder.store()
        number = self.folder.current_round if number is None else number
        found = store.open_queries(number) if unanswered else store.read_queries(number)
        return Queries(found, store.scenes)

    def label(
        self,
        author: str,
        query: Query,
        class_: str | int,
        geometry: Polygon | MultiPolygon | None = None,
    ) -> None:
        """Answer a query.

        Args:
            author: who answers; any text.
            query: the query.
            class_: name or id of the class.
            geometry: polygon with this class, in the scene's CRS (in columns and rows where it has none);
                None: the query's own.

        Raises:
            LabelError: a class that the workspace does not have, or not a valid polygon.

        Example:
            >>> query = workspace.queries()[0]
            >>> workspace.label("anna", query, "building")
        """
        label = answer(query, author, self.folder.classes.id_of(class_), geometry)
        self.folder.store().add(author, [label], [Decision(query.qid, query.round, "done", author)])

    def skip(self, author: str, query: Query, *, unsure: bool = False) -> None:
        """Leave a query without a label.

        Args:
            author: who skips it.
            query: the query.
            unsure: the author looked and cannot tell.

        Example:
            >>> workspace.skip("anna", workspace.queries()[0])
        """
        decision = Decision(query.qid, query.round, "unsure" if unsure else "skipped", author)
        self.folder.store().add(author, [], [decision])

    def live(self, reporter: Reporter | None = None, *, every: int = 10) -> LiveSession:
        """Open a session in which map, queries and accuracy follow each answer.

        Args:
            reporter: takes the progress of reading features, where some are missing; None: nobody does.
            every: answers after which the head is fitted from scratch; in between it only goes on.

        Returns:
            The session, a context manager.

        Raises:
            UserError: no round is complete, or the rounds are not of the architecture ``instant``.

        Example:
            >>> with workspace.live() as session:  # doctest: +SKIP
            ...     query = session.next()[0]
            ...     session.answer("anna", query, "building")
            ...     view = session.map(query.scene)
        """
        from tsfal_geo.live.session import LiveSession

        return LiveSession(self.folder.root, reporter, every=every)
