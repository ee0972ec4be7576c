"""Pictures without georeference lie on one another: one of them is on top, and only that one is shown."""

from __future__ import annotations

from collections.abc import Sequence

from ..store.workspace import Scene


class Pile:
    """The scenes without CRS, where two or more of them are plain pictures.

    Attributes:
        top: the one that is shown; None where no scenes lie on one another.
    """

    def __init__(self, scenes: Sequence[Scene], top: Scene | None = None) -> None:
        bare = [scene for scene in scenes if scene.crs is None]
        piled = sum(scene.unplaced for scene in bare) > 1
        self._scenes = {scene.name: scene for scene in bare} if piled else {}
        first = next(iter(self._scenes.values()), None)
        self.top = first if top is None else self._scenes.get(top.name, first)

    def __contains__(self, scene: Scene) -> bool:
        return scene.name in self._scenes

    def hides(self, name: str) -> bool:
        """Whether the scene of this name lies below the top."""
        return name in self._scenes and (self.top is None or name != self.top.name)

    def bring_up(self, scene: Scene) -> bool:
        """Put a scene on top; returns whether another one was there."""
        if not self.hides(scene.name):
            return False
        self.top = scene
        return True

    def visible(self, scenes: Sequence[Scene]) -> list[Scene]:
        """The scenes that are shown: those that have a place, and the top."""
        return [scene for scene in scenes if not self.hides(scene.name)]

    def slot(self, scene: Scene) -> str:
        """Whose layers a scene is shown in: its own, or those that all of the pile share."""
        return "" if scene in self else scene.name
