"""Messages that a program sends to a live session: one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tsfal_geo.errors import UserError

Verb = Literal["answer", "look", "next", "refit", "state", "stop"]


@dataclass(frozen=True)
class View:
    """A part of a scene that somebody looks at.

    Attributes:
        scene: name of the scene.
        bounds: left, bottom, right and top in the scene's CRS; without a georeference, x is the column and y
            is minus the row.
    """

    scene: str
    bounds: tuple[float, float, float, float]


@dataclass(frozen=True)
class Message:
    """A message.

    Attributes:
        verb: ``answer``: labels were committed, undone or skipped; read the stores now. ``look``: map these
            views, and again after each change. ``next``: put new queries into the store. ``refit``: fit from
            scratch. ``state``: tell where the session stands. ``stop``: end.
        id: comes back with the event ``state`` that follows the message.
        views: of ``look``, and where ``next`` asks.
        count: queries of ``next``.
    """

    verb: Verb
    id: Any = None
    views: tuple[View, ...] = ()
    count: int = 1


_MOST = 1000


def parse_message(line: str) -> Message:
    """Read a message.

    Args:
        line: such as ``{"do": "look", "views": [{"scene": "east", "bounds": [0, -100, 100, 0]}]}``.

    Raises:
        UserError: not a message.
    """
    try:
        values = json.loads(line)
        verb, count = values["do"], values.get("count", 1)
        if verb not in get_args(Verb):
            raise ValueError(f"found do {verb!r}, expected one of {', '.join(get_args(Verb))}")
        if not isinstance(count, int) or not 1 <= count <= _MOST:
            raise ValueError(f"found count {count!r}, expected 1 to {_MOST}")
        views = tuple(_view(each) for each in values.get("views", []))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise UserError(f"message {line[:80]!r}: not understood ({reason}); see docs/live.md") from None
    return Message(verb, values.get("id"), views, count)


def _view(values: dict[str, Any]) -> View:
    left, bottom, right, top = (float(value) for value in values["bounds"])
    if not (left < right and bottom < top):
        raise ValueError(f"found bounds {values['bounds']}, expected left < right and bottom < top")
    return View(str(values["scene"]), (left, bottom, right, top))
