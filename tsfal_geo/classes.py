"""The class map: ids, names and colours of the classes, and the tables between ids and indices.

Arrays hold a *class index*, a position in the map (0 … C-1). Label files and exported maps hold a *class id*.
255 is ignored in both.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.config import NO_CLASS, ClassSpec, LabelValue
from tsfal_geo.errors import ConfigError, LabelError

IGNORE = 255
"""Value of ignored, unlabelled and nodata pixels in every label array and exported class map."""

_MAX_CLASSES = 254

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class ClassInfo:
    """One class.

    Attributes:
        id: value in label files and maps, 0 to 254.
        name: name in legends and tables.
        colour: 8-bit RGB.
    """

    id: int
    name: str
    colour: Colour


@dataclass(frozen=True)
class ClassMap:
    """The classes in their order.

    Attributes:
        classes: in the order of class indices.
        ignore_colours: colours that mean "no class" in RGB label files.
        ignore_ids: ids that mean "no class" in label files, besides 255.
        label_values: classes that values of label files mean; they alone find these classes.

    Raises:
        ConfigError: no class, an id, name or colour that occurs twice or is out of range, values of no class.

    Example:
        >>> classes = ClassMap((ClassInfo(7, "road", (90, 90, 90)), ClassInfo(9, "roof", (200, 0, 0))))
        >>> classes.index_of_name("roof"), classes.ids.tolist()
        (1, [7, 9])
    """

    classes: tuple[ClassInfo, ...]
    ignore_colours: tuple[Colour, ...] = ()
    ignore_ids: tuple[int, ...] = ()
    label_values: tuple[LabelValue, ...] = ()

    def __post_init__(self) -> None:
        if not self.classes:
            raise ConfigError("the class map is empty; give at least one class with id, name and colour")
        if len(self.classes) > _MAX_CLASSES:
            raise ConfigError(
                f"the class map has {len(self.classes)} classes, expected {_MAX_CLASSES} at most"
            )
        _check_unique("id", [*(c.id for c in self.classes), *self.ignore_ids])
        _check_unique("name", [c.name for c in self.classes])
        _check_unique("colour", [*(c.colour for c in self.classes), *self.ignore_colours])
        for info in self.classes:
            if not 0 <= info.id < IGNORE:
                raise ConfigError(f"class '{info.name}' has id {info.id}, expected 0 to 254 (255 is ignore)")
            if len(info.colour) != 3 or not all(0 <= value <= 255 for value in info.colour):
                raise ConfigError(f"class '{info.name}' has colour {info.colour}, expected three 0 to 255")
        for said in self.label_values:
            self.meaning_index(said)

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names by class index."""
        return tuple(info.name for info in self.classes)

    @cached_property
    def ids(self) -> NDArray[np.uint8]:
        """Ids by class index, (C,) uint8."""
        return np.array([info.id for info in self.classes], np.uint8)

    def id_of(self, name_or_id: str | int) -> int:
        """Look a class up by its name or its id.

        Args:
            name_or_id: of the class.

        Returns:
            The class id.

        Raises:
            LabelError: the map has no such class.
        """
        for info in self.classes:
            if name_or_id in (info.name, info.id):
                return info.id
        expected = ", ".join(f"{info.name} ({info.id})" for info in self.classes)
        raise LabelError(f"found class {name_or_id!r}, expected one of {expected}")

    @cached_property
    def colours(self) -> NDArray[np.uint8]:
        """Colours by class index, (C, 3) uint8."""
        return np.array([info.colour for info in self.classes], np.uint8)

    def lut_ids_to_index(self) -> NDArray[np.int16]:
        """Make the table from class id to class index; `label_values` do not count.

        Returns:
            (256,) int16; -1 for ids out of the map, 255 for ignored ids.
        """
        table = np.full(256, -1, np.int16)
        table[list(self.ignore_ids)] = IGNORE
        table[self.ids] = np.arange(len(self))
        table[IGNORE] = IGNORE
        return table

    def lut_index_to_ids(self) -> NDArray[np.uint8]:
        """Make the table from class index to class id.

        Returns:
            (256,) uint8; 255 for numbers that are no index.
        """
        table = np.full(256, IGNORE, np.uint8)
        table[: len(self)] = self.ids
        return table

    def meaning_index(self, value: LabelValue) -> int:
        """Find the class index that a value of label files means.

        Args:
            value: one of `label_values`.

        Returns:
            The class index, or 255 for no class.

        Raises:
            ConfigError: the map has no such class.
        """
        if value.meaning == NO_CLASS:
            return IGNORE
        for index, info in enumerate(self.classes):
            if value.meaning in (info.name, str(info.id)):
                return index
        raise ConfigError(
            f"label_values: {value.key}={value.meaning} names no class, expected one of "
            f"{', '.join(self.names)}, or {NO_CLASS}"
        )

    def with_label_values(self, values: Sequence[LabelValue]) -> ClassMap:
        """Say what values of label files mean.

        Args:
            values: they replace `label_values`.

        Raises:
            ConfigError: a value names a class that the map does not have.
        """
        return replace(self, label_values=tuple(values))

    def ignoring(self, ids: Sequence[int]) -> ClassMap:
        """Turn classes into ignored ids.

        Args:
            ids: ids that mean "no class" in label files; they replace `ignore_ids`.

        Returns:
            The class map without the classes of these ids.
        """
        kept = tuple(info for info in self.classes if info.id not in ids)
        return replace(self, classes=kept, ignore_ids=tuple(ids))

    def index_of_name(self, name: str) -> int:
        """Find a class by name.

        Args:
            name: name of a class.

        Returns:
            Its class index.

        Raises:
            KeyError: there is no such class; the message lists the names.
        """
        if name not in self.names:
            raise KeyError(f"no class '{name}'; there are {', '.join(self.names)}")
        return self.names.index(name)

    @classmethod
    def from_specs(
        cls,
        specs: Sequence[ClassSpec],
        ignore_colours: Sequence[Colour] = (),
        ignore_ids: Sequence[int] = (),
        label_values: Sequence[LabelValue] = (),
    ) -> ClassMap:
        """Make the class map of a configuration.

        Args:
            specs: the configuration's ``classes``.
            ignore_colours: the configuration's ``ignore_colours``.
            ignore_ids: the configuration's ``ignore_ids``.
            label_values: the configuration's ``label_values``, parsed.

        Returns:
            The class map.

        Raises:
            ConfigError: as for `ClassMap`.
        """
        infos = tuple(ClassInfo(spec.id, spec.name, spec.colour) for spec in specs)
        return cls(infos, tuple(ignore_colours), tuple(ignore_ids), tuple(label_values))

    def to_specs(self) -> tuple[ClassSpec, ...]:
        """Convert to a configuration's ``classes``, without the ignored colours and ids."""
        return tuple(ClassSpec(id=c.id, name=c.name, colour=c.colour) for c in self.classes)

    def to_json(self) -> list[dict[str, Any]]:
        """Convert to a JSON list of ``{"id", "name", "colour"}``, in the order of class indices."""
        return [{"id": c.id, "name": c.name, "colour": list(c.colour)} for c in self.classes]

    @classmethod
    def from_json(cls, items: Iterable[Mapping[str, Any]]) -> ClassMap:
        """Convert from the list of `to_json`.

        Args:
            items: mappings with ``id``, ``name`` and ``colour``.

        Returns:
            The class map, without ignored colours and ids.
        """
        return cls(tuple(ClassInfo(int(i["id"]), str(i["name"]), _colour(i["colour"])) for i in items))


def _colour(values: Sequence[int]) -> Colour:
    red, green, blue = (int(value) for value in values)
    return red, green, blue


def _check_unique(what: str, values: Sequence[Any]) -> None:
    earlier = set()
    for value in values:
        if value in earlier:
            raise ConfigError(f"the class map holds the {what} {value} twice; give every class its own")
        earlier.add(value)


def confusion_matrix(
    rows: NDArray[np.integer], columns: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Count pairs of class indices.

    Args:
        rows: (n,) class indices below ``classes``, as a rule the truth.
        columns: (n,) class indices of the same places, as a rule the prediction.
        classes: number of classes C.

    Returns:
        (C, C) int64; entry (i, j) counts the places with i in ``rows`` and j in ``columns``.
    """
    pairs = rows.astype(np.intp)
    pairs *= classes
    pairs += columns
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(np.int64, copy=False)


def distinct_colours(count: int, avoid: Iterable[Colour] = ()) -> list[Colour]:
    """Make colours of golden-angle hues.

    Args:
        count: number of colours.
        avoid: colours that the result must not hold; black is avoided too.

    Returns:
        ``count`` distinct colours.
    """
    used = {*avoid, (0, 0, 0)}
    colours: list[Colour] = []
    step = 0
    while len(colours) < count:
        hue, value = (step * 0.618033988749895) % 1.0, (0.95, 0.7, 0.5)[step // 12 % 3]
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, value)
        colour = round(red * 255), round(green * 255), round(blue * 255)
        step += 1
        if colour not in used:
            used.add(colour)
            colours.append(colour)
    return colours


VAIHINGEN = ClassMap(
    (
        ClassInfo(0, "impervious surfaces", (255, 255, 255)),
        ClassInfo(1, "building", (0, 0, 255)),
        ClassInfo(2, "low vegetation", (0, 255, 255)),
        ClassInfo(3, "tree", (0, 255, 0)),
        ClassInfo(4, "car", (255, 255, 0)),
        ClassInfo(5, "clutter", (255, 0, 0)),
    ),
    ignore_colours=((0, 0, 0),),
)
"""ISPRS Vaihingen and Potsdam; black marks boundaries and voids."""
