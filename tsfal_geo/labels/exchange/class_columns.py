"""The column of a foreign file that holds the class, and the class of each of its values.

Where a file names its classes, the names hold: two projects number their classes differently more often than
they name them differently. A file whose numbers and names contradict the project is refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.errors import LabelError
from tsfal_geo.geopackage.layers import LayerRows
from tsfal_geo.labels.exchange.options import ImportOptions

NUMBERS = ("class_id", "classid")
NAMES = ("class_name", "class", "label", "category")
_PAIRED = ("class_name", "class")  # columns whose names belong to the numbers beside them


def choose_classes(
    path: Path, rows: LayerRows, meta: Mapping[str, str], classes: ClassMap, options: ImportOptions
) -> list[object]:
    """Choose the values that name the class of each row.

    Args:
        path: the file, for the errors.
        rows: its rows, with all their columns.
        meta: metadata of a label file of ours, which hold the names of its class ids.
        classes: the class map.
        options: may name the column.

    Returns:
        A value for each row, to be looked up by `class_of`.

    Raises:
        LabelError: no column, or several, may hold the class; or numbers and names contradict the project.
    """
    if options.field is not None:
        return _column(path, rows, options.field)
    found = [name for name in (*NUMBERS, *NAMES) if name in rows.columns]
    if not found and len(rows.columns) == 1:
        found = list(rows.columns)
    if not found:
        raise LabelError(
            f"{path}: found the columns {', '.join(rows.columns) or '(none)'}, expected one that holds the "
            "class; name it with --field"
        )
    numbers = next((name for name in NUMBERS if name in found), None)
    names = next((name for name in NAMES if name in found), None)
    for name in found if options.mapping else ():
        if any(text_of(value) in options.mapping for value in rows.column(name)):
            return rows.column(name)
    if numbers is None or (names is None and "classes" not in meta):
        return rows.column(found[0])
    words = rows.column(names) if names is not None else _names_of(rows.column(numbers), meta)
    _check(path, (numbers, names), rows.column(numbers), words, classes)
    return [
        number if word is None or class_of(word, classes, {}) is None else word
        for number, word in zip(rows.column(numbers), words, strict=True)
    ]


def class_of(value: object, classes: ClassMap, mapping: Mapping[str, str]) -> object:
    """Look up the class of a value: in the mapping, then text among names and ids, a number among ids.

    Args:
        value: the value.
        classes: the class map.
        mapping: class id or name by value; empty for values to leave out.

    Returns:
        The class id; an empty text for a value to leave out, also for 255; None for a value of no class.
    """
    text = text_of(value) or ""
    if text in mapping:
        target = mapping[text]
        return "" if target == "" else class_of(target, classes, {})
    if text == str(IGNORE):
        return ""
    by_name = {info.name.casefold(): info.id for info in reversed(classes.classes)}
    by_id = {str(info.id): info.id for info in classes.classes}
    if isinstance(value, str) and text.casefold() in by_name:
        return by_name[text.casefold()]
    return by_id.get(text)


def check_mapping(mapping: Mapping[str, str], classes: ClassMap) -> None:
    """Refuse a mapping with a target that is no class.

    Args:
        mapping: class id or name by value; empty for values to leave out.
        classes: the class map.

    Raises:
        LabelError: a target is neither a class id nor a name.
    """
    for value, target in mapping.items():
        if target and class_of(target, classes, {}) is None:
            raise LabelError(
                f"--map {value}={target}: found no such class, expected one of {listed(classes)}"
            )


def listed(classes: ClassMap) -> str:
    """List ids and names of the classes, for errors.

    Args:
        classes: the class map.
    """
    return ", ".join(f"{info.id}={info.name}" for info in classes.classes)


def text_of(value: object) -> str | None:
    """Write a value as the text that a mapping names it by.

    Args:
        value: of a column; None: no value.
    """
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _column(path: Path, rows: LayerRows, name: str) -> list[object]:
    if name.lower() not in rows.columns:
        raise LabelError(
            f"{path}: found no column {name!r}, expected one of {', '.join(rows.columns) or '(none)'}"
        )
    return rows.column(name.lower())


def _names_of(numbers: list[object], meta: Mapping[str, str]) -> list[object]:
    """Name class ids as the label file's own project named them."""
    names: dict[str, object] = {}
    with suppress(ValueError, TypeError, KeyError):  # damaged metadata name nothing
        names = {str(info["id"]): info["name"] for info in json.loads(meta["classes"])}
    return [names.get(text_of(number) or "") for number in numbers]


def _check(
    path: Path,
    columns: tuple[str, str | None],
    numbers: list[object],
    words: list[object],
    classes: ClassMap,
) -> None:
    """Refuse numbers and names that are not those of one class of the project."""
    found = Counter[tuple[str, str]]()
    for number, word in zip(numbers, words, strict=True):
        if number is None or word is None:
            continue
        by_number, by_word = class_of(number, classes, {}), class_of(word, classes, {})
        # Columns of other names may hold remarks.
        paired = columns[1] is None or columns[1] in _PAIRED
        if by_number is not None and by_number != by_word and (paired or by_word is not None):
            found[text_of(number) or "", str(word)] += 1
    if found:
        shown = ", ".join(
            f"{number} is {word!r} ({count} rows)" for (number, word), count in found.most_common(10)
        )
        other = f" or --field {columns[1]}" if columns[1] else ""
        raise LabelError(
            f"{path}: its numbers and names of classes contradict the project: in the file {shown}; in the "
            f"project {listed(classes)}; say what holds with --field {columns[0]}{other}, or with --map"
        )
