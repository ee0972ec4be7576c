"""Labels of an author that never overlap, so that the screen shows what trains, in any order of drawing.

What is drawn or brushed cuts what lies below it, whatever made that. A number key fills what is undrawn of a
query.
"""

from __future__ import annotations

from collections.abc import Sequence

from .history import Row, find_rows
from .label_rows import drawn_labels, field_is, labels_on_scene
from .shapes import difference, pixel_area
from .workspace import Scene


def cut_below(row: Row, author: str, scenes: Sequence[Scene]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Cut an author's labels where a new one covers them.

    Args:
        row: the new label.
        author: the author.
        scenes: of the workspace.

    Returns:
        The rows that are left of them, and the rows as they were.
    """
    left, whole = [], _touching(row, field_is("author", author))
    for other in whole:
        rest = difference(other.feature.geometry(), row.feature.geometry(), _pixel(row, scenes))
        if not rest.isEmpty():
            each = Row(other.layer, other.feature)
            each.feature.setGeometry(rest)
            left.append(each)
    return tuple(left), tuple(whole)


def fill_undrawn(row: Row, author: str, scenes: Sequence[Scene]) -> tuple[Row, ...]:
    """Take what an author has drawn out of a label for a query's region.

    Args:
        row: the label; its geometry changes.
        author: the author.
        scenes: of the workspace.

    Returns:
        The row alone; nothing where all of it is drawn.
    """
    undrawn = row.feature.geometry()
    for other in _touching(row, drawn_labels(author)):
        undrawn = difference(undrawn, other.feature.geometry(), _pixel(row, scenes))
    row.feature.setGeometry(undrawn)
    return () if undrawn.isEmpty() else (row,)


def _touching(row: Row, expression: str) -> list[Row]:
    """Find the labels of a row's layer and scene that share an area with it."""
    shape = row.feature.geometry()
    on_scene = labels_on_scene(row.feature["scene"])
    found = find_rows(row.layer, f"({expression}) AND {on_scene}", shape.boundingBox())
    return [each for each in found if each.feature.geometry().intersection(shape).area() > 0]


def _pixel(row: Row, scenes: Sequence[Scene]) -> float:
    """Return the area of a pixel of a row's scene, in the layer's units."""
    name = row.feature["scene"]
    return pixel_area(next((scene for scene in scenes if scene.name == name), scenes[0]))
