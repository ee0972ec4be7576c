"""Pictures without georeference all lie at (0, 0): one of them is on top, and only that one is shown."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsProject, QgsVectorLayer

from ..store.workspace import Scene
from .styling import show_only


class OverlappingPictures:
    """The scenes without CRS, if two or more of them have no georeference at all.

    Args:
        scenes: all scenes of the workspace.

    Attributes:
        top: the scene that is shown; None if no scenes overlap.
    """

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self.top: Scene | None = None
        self._scenes: dict[str, Scene] = {}
        self._filtered: set[str] = set()
        self.update(scenes)

    def update(self, scenes: Sequence[Scene]) -> None:
        """Replace the scenes; the one on top stays there if it still exists.

        Args:
            scenes: all scenes of the workspace.
        """
        without_crs = [scene for scene in scenes if scene.crs is None]
        overlap = sum(scene.unplaced for scene in without_crs) > 1
        self._scenes = {scene.name: scene for scene in without_crs} if overlap else {}
        first = next(iter(self._scenes.values()), None)
        self.top = first if self.top is None else self._scenes.get(self.top.name, first)

    def __contains__(self, scene: Scene) -> bool:
        return scene.name in self._scenes

    def hides(self, name: str) -> bool:
        """Check if a scene lies below the top.

        Args:
            name: name of the scene.

        Returns:
            True if another scene hides it.
        """
        return name in self._scenes and (self.top is None or name != self.top.name)

    def raise_to_top(self, scene: Scene) -> bool:
        """Show another scene.

        Args:
            scene: the scene; one that overlaps no other is ignored.

        Returns:
            True if another scene was on top before.
        """
        if not self.hides(scene.name):
            return False
        self.top = scene
        for layer in filter(None, map(QgsProject.instance().mapLayer, self._filtered)):
            show_only(layer, scene.name)
        return True

    def visible(self, scenes: Sequence[Scene]) -> list[Scene]:
        """Leave out the scenes that lie below the top.

        Args:
            scenes: the scenes.

        Returns:
            The scenes with a place of their own, and the top.
        """
        return [scene for scene in scenes if not self.hides(scene.name)]

    def slot(self, scene: Scene) -> str:
        """Choose the raster layers that show a scene.

        Args:
            scene: the scene.

        Returns:
            Their key: the scene's name, or the one key that all overlapping pictures share.
        """
        return "" if scene in self else scene.name

    def filter_layer(self, layer: QgsVectorLayer) -> None:
        """Show only the features of the top scene, now and whenever another scene is on top.

        Args:
            layer: a layer of labels, queries or chips; one with a CRS is left as it is.
        """
        if self.top is not None and not layer.crs().isValid():
            self._filtered.add(layer.id())
            show_only(layer, self.top.name)
