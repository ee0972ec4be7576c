"""The live session: it reads the stores, keeps model and queue up to date, and maps what is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

from shapely import MultiPolygon, Polygon

from tsfal_geo.errors import UserError
from tsfal_geo.labels.answer import answer
from tsfal_geo.labels.model import Decision, Label, Query
from tsfal_geo.live.candidates import Candidates
from tsfal_geo.live.engine import Fit, LiveModel
from tsfal_geo.live.live_round import LiveRound, move_job, open_round
from tsfal_geo.live.queue import Ranking
from tsfal_geo.live.store_watch import RoundWatch, StoreWatch
from tsfal_geo.live.updates import Progress, Update
from tsfal_geo.live.view import LiveMap
from tsfal_geo.live.view_folder import ViewFolder
from tsfal_geo.live.worker import Worker
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.scene import Scene
from tsfal_geo.reporting import Reporter, SilentReporter
from tsfal_geo.workspace.folder import LIVE

_FIT, _SEGMENT, _MOVE = "fit", "segment", "move"
_STABLE = 0.02


class LiveSession:
    """A workspace whose map and queries follow each answer; a context manager.

    The session only reads the stores of annotators: whatever it is told, a label counts once it is committed.
    It holds no lock while people answer; a training may run beside it.

    Args:
        root: the workspace's folder; its rounds are of the architecture ``instant``.
        reporter: takes lines and the progress of reading features; None: nobody does.
        background: fits run in a thread of their own, and `poll` takes them over; False: within `sync`.
        every: answers after which `sync` fits from scratch where nothing runs in the background.

    Raises:
        WorkspaceError: not a workspace, or no round is complete.
        ConfigError: its rounds have no features to go on from.

    Example:
        >>> with LiveSession("ws") as session:  # doctest: +SKIP
        ...     query = session.next(1)[0]
        ...     session.answer("anna", query, "building")
        ...     view = session.map(query.scene)
    """

    def __init__(
        self,
        root: Path | str,
        reporter: Reporter | None = None,
        *,
        background: bool = False,
        every: int = 10,
    ) -> None:
        self.root = Path(root)
        self._reporter = reporter or SilentReporter()
        self._every, self._background = every, background
        self._since_fit = 0
        self._rounds = RoundWatch(self.root)
        self._open()
        self._worker = Worker(background=background)
        self._views = ViewFolder(self.root / LIVE)
        self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the background, and remove the session's files."""
        self._worker.stop()
        self._round.close()
        self._views.remove()

    @property
    def round(self) -> int:
        """Number of the round whose queries are answered."""
        return self._round.number

    @property
    def ranking(self) -> Ranking:
        """The order of the open queries, and those that the labels settled."""
        return self._round.ranking

    @property
    def model(self) -> LiveModel:
        """Head, class means and judgement."""
        return self._round.model

    def answer(
        self,
        author: str,
        query: Query,
        class_: str | int,
        geometry: Polygon | MultiPolygon | None = None,
    ) -> Update:
        """Answer a query: commit the label, then let everything follow.

        Args:
            author: who answers; any text.
            query: the query.
            class_: name or id of the class.
            geometry: polygon with this class, in the scene's CRS; None: the query's own.

        Raises:
            LabelError: a class that the workspace does not have, or not a valid polygon.
        """
        label = answer(query, author, self._round.context.inputs.classes.id_of(class_), geometry)
        return self.add(author, [label], [Decision(query.qid, query.round, "done", author)])

    def skip(self, author: str, query: Query, *, unsure: bool = False) -> Update:
        """Leave a query without a label; ``unsure``: the author looked and cannot tell."""
        status = "unsure" if unsure else "skipped"
        return self.add(author, [], [Decision(query.qid, query.round, status, author)])

    def add(self, author: str, labels: Sequence[Label], decisions: Sequence[Decision] = ()) -> Update:
        """Commit labels anywhere and decisions to the author's store, then let everything follow.

        Args:
            author: the annotator; any text.
            labels: the new labels.
            decisions: the new decisions.
        """
        self._round.context.store.add(author, labels, decisions)
        return self.sync()

    def sync(self) -> Update:
        """Read the stores where they changed, and let model and queue follow."""
        if (number := self._rounds.number()) != self.round:
            return self._follow_round(number)
        snapshot = self._watch.changed()
        if snapshot is None:
            return Update()
        self._snapshot = snapshot
        labels = self._round.take(snapshot)
        fitted = False
        if labels:
            self._since_fit += 1
            if self._background or self._since_fit >= self._every or self.model.last is None:
                self._begin_fit()
            fitted = not self._background and self._collect()
        return Update(labels=labels, fitted=fitted, answered=True).joined(self._rank())

    def poll(self) -> Update:
        """Take over what the background has finished, and read the stores where they changed."""
        update = self.sync()
        fitted = self._collect()
        self._round.queue.read_some()
        return update.joined(Update(fitted=True)).joined(self._rank()) if fitted else update

    def refit(self) -> Update:
        """Fit the head from scratch now, as the next round would."""
        if (job := self._round.fit_job(lambda: False)) is None:
            return Update()
        self._since_fit = 0
        self._round.take_fit(job())
        return Update(fitted=True).joined(self._rank())

    def first(self) -> AbstractContextManager[None]:
        """Return a context in which the background waits."""
        return self._worker.paused()

    def refit_later(self) -> None:
        """Fit the head from scratch in the background; `poll` takes it over."""
        self._begin_fit()

    def next(self, count: int = 1, near: tuple[str, Window] | None = None) -> list[Query]:
        """Return the queries that are worth most now; new ones are made where the round's do not reach.

        Args:
            count: number of queries.
            near: name of a scene and a window of it, whose queries alone are wanted; None: anywhere.

        Returns:
            The queries, best first; fewer where nothing is left to ask.
        """
        queue = self._round.queue
        found = [queue.queries[qid] for qid in self.ranking.order]
        if near is not None:
            found = [query for query in found if self._round.inside(query, *near)]
        if len(found) < count:
            found += self.ask(count - len(found), near)
        return found[:count]

    def ask(self, count: int, near: tuple[str, Window] | None = None) -> list[Query]:
        """Make new queries for the present model, and add them to the round's; arguments as `next`.

        Returns:
            The queries, best first; none as long as the background makes the segments of the scenes.
        """
        self._segment()
        queries = self._round.ask(count, near)
        self._rank()
        return queries

    def map(self, scene: str, window: Window | None = None) -> LiveMap:
        """Map a window of a scene with the present model and labels.

        Args:
            scene: name of the scene.
            window: of it; None: the whole scene. Large ones are computed by every nth cell.

        Raises:
            WorkspaceError: there is no label yet, or no such scene.
        """
        return self._round.map(scene, window)

    def write(self, view: LiveMap) -> Path:
        """Write a map of `map` for a program that shows it; it goes when twelve more were written."""
        path = self._views.next()
        view.write(path, self.scene(view.scene))
        return path

    def scene(self, name: str) -> Scene:
        """Return a training scene by its name."""
        return self._round.scene(name)

    def progress(self) -> Progress:
        """Return the estimated accuracy, and how much the map still changes."""
        changed = self.model.changed_lately()
        enough = changed is not None and changed < _STABLE
        return Progress(self.model.score(), changed, self._watch.answers, enough)

    def state(self) -> dict[str, Any]:
        """Return where the session stands, as the event ``state`` has it."""
        return {
            "round": self.round,
            "open": len(self.ranking.order),
            "settled": len(self.ranking.settled),
            "cells": int(self.model.statistics.counts.sum()),
            "rule": self.model.judgement.rule,
            "fitting": self._worker.busy(_FIT),
        }

    def _open(self) -> None:
        self._round = open_round(self.root, self._reporter)
        self._watch = StoreWatch(self._round.context.store)
        snapshot = self._watch.changed()
        assert snapshot is not None
        self._snapshot = snapshot
        # The first step of an optimiser takes seconds, which the background has.
        self._round.take(snapshot, follow=False)

    def _begin(self) -> bool:
        """Fit, and move to the features of the round's own network; return whether there was a fit."""
        self._begin_fit()
        own, snapshot, stopping = self._round, self._snapshot, self._worker.stopping
        self._worker.give(_MOVE, own, lambda: move_job(own, snapshot, stopping))
        fitted = self._collect()
        self._rank()
        if self._background:
            self._segment()
        return fitted

    def _follow_round(self, number: int) -> Update:
        """Open the workspace anew: a training has completed a round meanwhile."""
        self._round.close()
        self._open()
        fitted = self._begin()
        return Update(labels=True, fitted=fitted, answered=True, round=number).joined(self._rank())

    def _begin_fit(self) -> None:
        if (job := self._round.fit_job(self._worker.stopping)) is not None:
            self._since_fit = 0
            self._worker.give(_FIT, self._round, job)

    def _segment(self) -> None:
        if self._worker.busy(_SEGMENT):
            return
        job = self._round.segment_job(self._watch.answers, self._worker.stopping)
        if job is not None:
            self._worker.give(_SEGMENT, self._round, job)
            if not self._background:
                self._collect()

    def _collect(self) -> bool:
        """Take over the results of the worker; return whether there was a fit."""
        fitted = False
        while (done := self._worker.take()) is not None:
            if isinstance(done.error, UserError):
                # Such as a full disk: the session goes on with what it has.
                self._reporter.warning(str(done.error))
            elif done.error is not None:
                raise done.error
            elif done.owner is not self._round:
                # Made for the features or the labels of before: a head of those would map nonsense.
                if isinstance(done.result, Candidates):
                    done.result.close()
            elif isinstance(done.result, Fit):
                self._round.take_fit(done.result)
                fitted = True
            elif isinstance(done.result, Candidates):
                self._round.take_candidates(done.result)
            elif isinstance(done.result, LiveRound):
                # Queries and labels are the same; only the features are those of the trained encoder.
                self._round.close()
                self._round = done.result
                self._round.take(self._snapshot)
                self._begin_fit()
                fitted = True
        return fitted

    def _rank(self) -> Update:
        while not self._background and self._round.queue.read_some():
            pass
        return self._round.rank(self._watch.answered)
