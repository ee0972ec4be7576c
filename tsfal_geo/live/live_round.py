"""A complete round while its queries are answered: model, queue, new queries and maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from tsfal_geo.errors import ConfigError, WorkspaceError
from tsfal_geo.instant.answerable import Answerable, Asked
from tsfal_geo.labels.model import LabelSnapshot, Query
from tsfal_geo.live.candidates import Candidates
from tsfal_geo.live.engine import Fit, FitJob, LiveModel
from tsfal_geo.live.queue import QueryQueue, Ranking
from tsfal_geo.live.updates import Update
from tsfal_geo.live.view import LiveMap, map_window
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.layer_crs import to_pixels
from tsfal_geo.raster.scene import Scene
from tsfal_geo.reporting import Reporter
from tsfal_geo.rounds.context import RoundContext, open_context
from tsfal_geo.rounds.instant.cells import CachedCells, open_cells, tuned_cells
from tsfal_geo.rounds.instant.past_questions import keep_traits, read_asked
from tsfal_geo.workspace.folder import WorkspaceFolder

_GROWTH, _FEW = 1.5, 20
_LOCK_SECONDS = 10


class LiveRound:
    """A complete round, and what the labels since then make of it.

    Args:
        context: the workspace.
        number: of the round.
        cells: of its scenes; None: those of the frozen encoder.

    Attributes:
        number: of the round.
        context: the workspace.
        model: head, class means and judgement.
        queue: the round's queries.
        ranking: of the open ones.
        candidates: segments of new queries; None until they are made.
    """

    def __init__(self, context: RoundContext, number: int, cells: CachedCells | None = None) -> None:
        self.number, self.context = number, context
        # Sample and seed are the next round's, so that a fit from scratch is the one that it would make.
        self._cells = cells or open_cells(context, number + 1)
        self.model = LiveModel(context, self._cells, context.config.train.seed + number + 1)
        self.queue = QueryQueue(context.inputs.scenes, self._cells.cache)
        self.queue.add(context.store.read_queries(number))
        self.ranking = Ranking()
        self._answerable = Answerable.unlearnt()
        self._asked = Asked.nothing()
        self.candidates: Candidates | None = None
        self._built = 0

    def close(self) -> None:
        """Remove the files of the segments."""
        if self.candidates is not None:
            self.candidates.close()

    def take(self, snapshot: LabelSnapshot, *, follow: bool = True) -> bool:
        """Let the model follow the labels that hold now.

        Args:
            snapshot: of the store.
            follow: False: the head waits for a fit from scratch.

        Returns:
            Whether a label changed.
        """
        self._asked = read_asked(self.context.workspace, self.number + 1, snapshot)
        skipped = self.context.store.skipped_queries(snapshot)
        return self.model.update(snapshot, skipped, follow=follow)

    def fit_job(self, stopped: Callable[[], bool]) -> FitJob | None:
        """Return a fit from scratch as a job, None without a labelled cell.

        Args:
            stopped: tells that the session has ended.
        """
        return self.model.begin_fit(self._asked, stopped)

    def take_fit(self, fit: Fit) -> None:
        """Use a fit from now on.

        Args:
            fit: what a job made.
        """
        self._answerable = fit.answerable
        self.model.take_fit(fit)

    def rank(self, answered: frozenset[str]) -> Update:
        """Rank the open queries anew.

        Args:
            answered: qids with an answer.

        Returns:
            The queries that are settled now, and those that no longer are.
        """
        before = self.ranking
        self.ranking = self.queue.rank(self.model.model, self.model.judgement, answered, self._answerable)
        return Update(
            settled=tuple(sorted(self.ranking.settled - before.settled)),
            returned=tuple(sorted(before.settled - self.ranking.settled - answered)),
        )

    def segment_job(self, answers: int, stopped: Callable[[], bool]) -> Callable[[], Candidates] | None:
        """Return a job that makes the segments of new queries; None as long as those that are there serve.

        With many more answers the segments end at other predicted classes.

        Args:
            answers: number of answers of all people.
            stopped: tells that the session has ended.
        """
        if self.candidates is not None and answers < _GROWTH * self._built + _FEW:
            return None
        self._built = answers
        context, cells, labels = self.context, self._cells, self.model.labels
        classifier = self.model.model.classifier
        return lambda: Candidates(context, cells, classifier, labels, stopped)

    def take_candidates(self, candidates: Candidates) -> None:
        """Use new segments from now on.

        Args:
            candidates: what a job made.
        """
        self.close()
        self.candidates = candidates

    def ask(self, count: int, near: tuple[str, Window] | None) -> list[Query]:
        """Make new queries for the present model, and add them to the round's.

        Args:
            count: number of queries.
            near: name of a scene and a window of it, in which alone to ask; None: anywhere.

        Returns:
            The queries, best first; none as long as there are no segments.
        """
        if self.candidates is None:
            return []
        self.candidates.score(self.model.model, self._answerable)
        window = None if near is None else replace(near[1], scene=self.position(near[0]))
        workspace, store = self.context.workspace, self.context.store
        try:
            with FileLock(workspace.root / ".queries.lock", timeout=_LOCK_SECONDS):
                there = store.read_queries(self.number)
                first = max((query.rank for query in there), default=0) + 1
                prefix = workspace.query_prefix(self.number)
                queries, traits = self.candidates.take(
                    count,
                    self.number,
                    lambda nth: (f"{prefix}{first + nth:06d}", first + nth),
                    self.model.labels,
                    there,
                    window,
                )
                if queries:
                    store.append_queries(self.number, queries)
                    folder = workspace.round_dir(self.number)
                    keep_traits(folder, queries, traits, [0] * len(queries))
        except Timeout:
            raise WorkspaceError(
                f"{workspace.root}: another session adds queries for longer than {_LOCK_SECONDS} s; try again"
            ) from None
        self.queue.add([*there, *queries])
        return queries

    def map(self, scene: str, window: Window | None) -> LiveMap:
        """Map a window of a scene with the present model and labels.

        Args:
            scene: name of the scene.
            window: of it; None: the whole scene.
        """
        position, model, inputs = self.position(scene), self.model.model, self.context.inputs
        if model.classifier is None:
            raise WorkspaceError(
                f"{self.context.workspace.root}: found no label yet, expected one to map from; answer a query"
            )
        own = inputs.scenes[position]
        part = window or Window(position, 0, 0, *own.shape)
        return map_window(
            model,
            own,
            inputs.classes,
            self._cells.cache.scene(position),
            replace(part, scene=position),
            self.model.labels.every,
            lambda asked: inputs.reader.read(asked).valid,
        )

    def scene(self, name: str) -> Scene:
        """Return a training scene by its name."""
        return self.context.inputs.scenes[self.position(name)]

    def position(self, scene: str) -> int:
        """Return the position of a training scene.

        Args:
            scene: its name.

        Raises:
            WorkspaceError: there is no such scene.
        """
        names = [own.name for own in self.context.inputs.scenes]
        if scene not in names:
            raise WorkspaceError(
                f"{self.context.workspace.root}: found no scene {scene!r}, expected one of {', '.join(names)}"
            )
        return names.index(scene)

    def inside(self, query: Query, scene: str, window: Window) -> bool:
        """Return whether a query's centre lies in a window.

        Args:
            query: the query.
            scene: name of the window's scene.
            window: the window.
        """
        if query.scene != scene:
            return False
        centre = to_pixels(query.geometry.centroid, self.scene(scene))
        in_rows = window.y <= centre.y < window.y + window.height
        return bool(in_rows and window.x <= centre.x < window.x + window.width)


def move_job(own: LiveRound, snapshot: LabelSnapshot, stopped: Callable[[], bool]) -> LiveRound | None:
    """Open a round once more, on the features of the network that it trained; for another thread.

    Args:
        own: the round, on the features of the frozen encoder.
        snapshot: of the store.
        stopped: tells that the session has ended.

    Returns:
        The round with a head fitted on the new features; None where it trained no encoder.
    """
    cells = tuned_cells(own.context, own.number, stopped)
    if cells is None:
        return None
    moved = LiveRound(own.context, own.number, cells)
    moved.take(snapshot, follow=False)
    job = moved.fit_job(stopped)
    if job is not None:
        moved.take_fit(job())
    return moved


def open_round(root: Path, reporter: Reporter) -> LiveRound:
    """Open the last complete round of a workspace.

    Args:
        root: the workspace's folder.
        reporter: takes the progress of reading features, where some are missing.

    Raises:
        WorkspaceError: not a workspace, or no round is complete.
        ConfigError: its rounds have no features to go on from.
    """
    workspace = WorkspaceFolder.open(root)
    architecture, number = workspace.config.model.architecture, workspace.current_round
    if architecture != "instant":
        raise ConfigError(
            f"{root}: model.architecture is {architecture}, expected instant; a live session needs its "
            "features, so begin a workspace with --method instant"
        )
    if number < 0:
        raise WorkspaceError(
            f"{root}: no round is complete yet; run `tsfal-geo train --workspace {root}` first"
        )
    return LiveRound(open_context(workspace, reporter), number)
