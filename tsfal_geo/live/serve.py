"""A live session in dialogue with the program that started it."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator

import numpy as np

from tsfal_geo.errors import UserError
from tsfal_geo.live.messages import Message, View, parse_message
from tsfal_geo.live.session import LiveSession
from tsfal_geo.live.updates import Update
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.layer_crs import stores_flipped_y
from tsfal_geo.raster.scene import Scene
from tsfal_geo.reporting import Reporter

_SHOWN = 100
"""Queries that an event lists."""
_WAIT, _HEARTBEAT = 0.2, 5.0
_FEW, _MORE = 10, 20
"""Open queries below which new ones are made, and how many."""
_VIEWS = 4
"""Views that are mapped: a window of the desktop shows few scenes at a scale where a person can judge."""


class Dialogue:
    """Reads messages, and reports events.

    Args:
        session: with fits in the background.
        reporter: takes the events.
        messages: lines of the program.
    """

    def __init__(self, session: LiveSession, reporter: Reporter, messages: queue.Queue[str]) -> None:
        self._session, self._reporter, self._messages = session, reporter, messages
        self._views: tuple[View, ...] = ()
        self._told = 0.0

    def run(self) -> None:
        """Go on until the reporter is asked to stop, or the program says so."""
        self._tell(Update(labels=True, fitted=True))
        self._state()
        while not self._reporter.stop.is_set():
            messages = list(self._waiting())
            if any(message.verb == "stop" for message in messages):
                return
            looked = [message for message in messages if message.verb == "look"]
            if looked:
                self._views = looked[-1].views[:_VIEWS]
            with self._session.first():
                update = self._session.poll()
                if update.labels or update.fitted or looked:
                    self._map()
            asked = self._ask(messages)
            if update or asked or any(message.verb == "next" for message in messages):
                self._tell(update, asked)
            for message in messages:
                self._state(message)
            if time.monotonic() - self._told > _HEARTBEAT:
                self._state()

    def _waiting(self) -> Iterator[Message]:
        """Give the messages that wait, after a moment without any."""
        wait = _WAIT
        while True:
            try:
                line = self._messages.get(timeout=wait) if wait else self._messages.get_nowait()
            except queue.Empty:
                return
            wait = 0
            if not line.strip():
                continue
            try:
                yield parse_message(line)
            except UserError as error:
                self._reporter.event({"event": "state", "problem": str(error), **self._session.state()})

    def _ask(self, messages: list[Message]) -> tuple[str, ...]:
        """Make the queries that messages want, and some where few are left."""
        asked: list[str] = []
        for message in messages:
            if message.verb == "refit":
                self._session.refit_later()
            elif message.verb == "next" and message.views:
                for view in message.views:
                    near = (view.scene, self._window(view))
                    asked += [query.qid for query in self._session.ask(message.count, near)]
            elif message.verb == "next":
                asked += [query.qid for query in self._session.ask(message.count)]
        if len(self._session.ranking.order) < _FEW:
            asked += [query.qid for query in self._session.ask(_MORE)]
        return tuple(asked)

    def _map(self) -> None:
        if self._session.model.model.classifier is None:
            return
        for view in self._views:
            try:
                window = self._window(view)
                found = self._session.map(view.scene, window)
            except UserError as error:
                self._reporter.warning(str(error))
                continue
            own = found.window
            self._reporter.event(
                {
                    "event": "changed",
                    "scene": found.scene,
                    "path": str(self._session.write(found)),
                    "window": [own.y, own.x, own.height, own.width],
                    "step": found.step,
                    "round": self._session.round,
                }
            )

    def _tell(self, update: Update, asked: tuple[str, ...] = ()) -> None:
        ranking = self._session.ranking
        self._reporter.event(
            {
                "event": "queue",
                "round": self._session.round,
                "order": list(ranking.order[:_SHOWN]),
                "open": len(ranking.order),
                "settled": sorted(ranking.settled),
                "newly_settled": list(update.settled),
                "returned": list(update.returned),
                "added": list(asked),
            }
        )
        if update.fitted or update.labels:
            self._reporter.event({"event": "score", **self._session.progress().to_json()})

    def _state(self, message: Message | None = None) -> None:
        self._told = time.monotonic()
        to = {} if message is None or message.id is None else {"to": message.id}
        self._reporter.event({"event": "state", **to, **self._session.state()})

    def _window(self, view: View) -> Window:
        return window_of(view, self._session.scene(view.scene))


def window_of(view: View, scene: Scene) -> Window:
    """Return the pixels of a view; of a rotated scene those of the rectangle around it.

    Args:
        view: bounds in the scene's CRS.
        scene: the scene.

    Raises:
        UserError: the view is beyond the scene.
    """
    left, bottom, right, top = view.bounds
    x, y = np.array([left, right, right, left]), np.array([top, top, bottom, bottom])
    if stores_flipped_y(scene):
        y = -y
    columns, rows = ~scene.grid.affine * (x, y)
    first_row, first_column = int(np.floor(rows.min())), int(np.floor(columns.min()))
    height, width = int(np.ceil(rows.max())) - first_row, int(np.ceil(columns.max())) - first_column
    part = Window(0, first_row, first_column, height, width).inside(*scene.shape)
    if part is None:
        raise UserError(f"{scene.name}: found a view of {view.bounds}, expected one on the scene")
    return Window(0, part[0], part[2], part[1] - part[0], part[3] - part[2])
