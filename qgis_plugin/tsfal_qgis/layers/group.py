"""The group of a workspace's layers in the project's layer tree, with one group inside for each kind."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsLayerTreeGroup, QgsMapLayer, QgsProject

_MARK = "tsfal/workspace"
_KIND = "tsfal/kind"


class LayerGroup:
    """The group, and the private layers of the same workspace that no group shows.

    Args:
        root: folder of the workspace.

    Attributes:
        node: the group in the layer tree.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._project = QgsProject.instance()
        self._hidden: list[str] = []
        self._remove_saved_group()
        self.node = self._project.layerTreeRoot().insertGroup(0, f"TSFAL – {root.name}")
        self.node.setCustomProperty(_MARK, self._root)

    def add_kind(
        self, kind: str, title: str, shown: bool, expanded: bool = True, above: str | None = None
    ) -> None:
        """Add the group of one kind of layers.

        Args:
            kind: key of the kind.
            title: name for people.
            shown: True if its layers are visible.
            expanded: False to fold it.
            above: key of the kind above which it comes; None, or a kind that is not there: at the end.
        """
        below = None if above is None else self.find_kind(above)
        children = self.node.children()
        place = children.index(below) if below in children else len(children)
        group = self.node.insertGroup(place, title)
        group.setCustomProperty(_KIND, kind)
        group.setItemVisibilityChecked(shown)
        group.setExpanded(expanded)

    def find_kind(self, kind: str) -> QgsLayerTreeGroup | None:
        """Find the group of one kind of layers.

        Args:
            kind: key of the kind.

        Returns:
            The group; None if the user removed it.
        """
        return next((group for group in self.node.children() if group.customProperty(_KIND) == kind), None)

    def add(self, layer: QgsMapLayer, kind: str, expanded: bool = True) -> None:
        """Add a layer to the project, in the group of its kind.

        Args:
            layer: the layer.
            kind: key of the kind.
            expanded: False to fold its legend.
        """
        self._project.addMapLayer(layer, False)
        group = self.find_kind(kind)
        (self.node if group is None else group).addLayer(layer).setExpanded(expanded)

    def add_private(self, layer: QgsMapLayer) -> None:
        """Add a layer to the project that no group shows.

        Args:
            layer: the layer.
        """
        # If only Python held the layer, the garbage collector would close it, and QGIS could crash.
        layer.setFlags(layer.flags() | QgsMapLayer.LayerFlag.Private)
        layer.setCustomProperty(_MARK, self._root)
        self._project.addMapLayer(layer, False)

    def show_kind_only(self, kind: str, only: bool) -> None:
        """Hide the groups of all other kinds, or show those again that were visible.

        Args:
            kind: key of the kind that stays visible.
            only: True to hide the others.
        """
        groups = {group.customProperty(_KIND): group for group in self.node.children()}
        if only and not self._hidden:
            visible = (name for name, group in groups.items() if group.itemVisibilityChecked())
            self._hidden = [name for name in visible if name != kind]
        for name in self._hidden:
            if name in groups:
                groups[name].setItemVisibilityChecked(not only)
        if not only:
            self._hidden = []

    def remove(self) -> None:
        """Remove the group and all its layers from the project."""
        self._remove_node(self.node)
        self._remove_private_layers()

    def _remove_saved_group(self) -> None:
        # A project that was saved with the group in it: its layers are made anew, with their connections.
        self._remove_private_layers()
        for group in self._project.layerTreeRoot().findGroups():
            if group.customProperty(_MARK) == self._root:
                self._remove_node(group)

    def _remove_node(self, group: QgsLayerTreeGroup) -> None:
        ids = [node.layerId() for node in group.findLayers()]
        self._project.layerTreeRoot().removeChildNode(group)
        self._project.removeMapLayers(ids)

    def _remove_private_layers(self) -> None:
        layers = self._project.mapLayers()
        self._project.removeMapLayers(
            [name for name, each in layers.items() if each.customProperty(_MARK) == self._root]
        )
