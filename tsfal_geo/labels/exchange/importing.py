"""Import of labels from other programs: the class of each value, and the store that keeps the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.errors import LabelError
from tsfal_geo.geopackage.layers import LayerRows
from tsfal_geo.labels.exchange.vector import PARQUET, RASTER, VECTOR, ImportOptions, read_vector
from tsfal_geo.labels.issues import Issue, Issues
from tsfal_geo.labels.model import Label
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.labels.validation import ValidationContext, resolve_labels


@dataclass(frozen=True)
class ImportResult:
    """The labels and issues of an import.

    Attributes:
        labels: the labels, on their scenes.
        left_out: number of rows that the mapping leaves out, or whose class is 255.
        rejected: rows that cannot be used, with the reason.
        notes: rows that were changed before use, with the change.
        kept: the file or batch that holds the labels; empty without labels.
    """

    labels: tuple[Label, ...]
    left_out: int
    rejected: tuple[Issue, ...]
    notes: tuple[Issue, ...]
    kept: str = ""


def import_labels(store: LabelStore, path: Path, options: ImportOptions) -> ImportResult:
    """Import a file's labels into a store: all that can be used or, on an error, nothing.

    Args:
        store: the label store.
        path: a vector file or a class raster.
        options: of the import.

    Returns:
        The labels and issues.

    Raises:
        LabelError: the file is not readable, of no known format, without a CRS, or has a value of no class.
        UserError: the file is GeoParquet and pyarrow is not installed.
    """
    if options.scene is not None and options.scene not in store.scenes:
        raise LabelError(f"--scene {options.scene}: expected one of {', '.join(store.scenes)}")
    if not path.is_file():
        raise LabelError(f"{path}: no such file")
    suffix = path.suffix.lower()
    if suffix in RASTER:
        from tsfal_geo.labels.exchange.raster import read_raster

        rows = read_raster(path, store, options)
    elif suffix in (*VECTOR, *PARQUET):
        rows = read_vector(path, store, options)
    else:
        suffixes = ", ".join((*VECTOR, *PARQUET, *RASTER))
        raise LabelError(f"{path}: found {suffix or 'no suffix'}, expected one of {suffixes}")
    kept_rows, left_out = match_classes(rows, store.classes, options, path)
    author = options.author or path.stem
    issues = Issues(path.name)
    context = ValidationContext(store.scenes, store.classes, store.scene_of_query(), author)
    labels = [replace(item, source="imported") for item in resolve_labels(kept_rows, context, issues)]
    kept = store.add_import(author, labels) if labels else ""
    return ImportResult(tuple(labels), left_out, issues.rejected, issues.notes, kept)


def match_classes(
    rows: LayerRows, classes: ClassMap, options: ImportOptions, path: Path
) -> tuple[LayerRows, int]:
    """Replace the values of the class column by class ids.

    A value is looked up in the mapping, then among the class ids, then among the names.

    Args:
        rows: rows with values in the column ``class_id``.
        classes: the class map.
        options: hold the mapping.
        path: the file, for the error.

    Returns:
        The rows that have a class, and the number of rows that are left out.

    Raises:
        LabelError: values of no class; the message lists them with their number of rows.
    """
    values = rows.column("class_id")
    unknown = Counter[str]()
    ids: list[object] = []
    for value in values:
        text = _text(value)
        class_id = None if text is None else class_of(text, classes, options.mapping)
        if text is not None and class_id is None:
            unknown[text] += 1
        ids.append(class_id)
    if unknown:
        listed = ", ".join(f"{value!r} ({count})" for value, count in unknown.most_common(20))
        names = ", ".join(f"{info.id}={info.name}" for info in classes.classes)
        raise LabelError(
            f"{path}: found values of no class: {listed}; expected one of {names}; "
            "name the class of each with --map VALUE=CLASS, or leave it out with --map VALUE="
        )
    keep = [index for index, value in enumerate(ids) if value != ""]
    columns = {name: [column[index] for index in keep] for name, column in rows.columns.items()}
    columns["class_id"] = [ids[index] for index in keep]
    kept = replace(rows, fids=[rows.fids[i] for i in keep], geometry=rows.geometry[keep], columns=columns)
    return kept, len(ids) - len(keep)


def class_of(text: str, classes: ClassMap, mapping: Mapping[str, str]) -> object:
    """Look up the class of a value.

    Args:
        text: the value.
        classes: the class map.
        mapping: class id or name by value; empty for values to leave out.

    Returns:
        The class id; an empty text for a value to leave out, also for 255; None for a value of no class.
    """
    if text in mapping:
        target = mapping[text]
        return "" if target == "" else class_of(target, classes, {})
    if text == str(IGNORE):
        return ""
    for info in classes.classes:
        if text == str(info.id):
            return info.id
    for info in classes.classes:
        if text.casefold() == info.name.casefold():
            return info.id
    return None


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
            names = ", ".join(f"{info.id}={info.name}" for info in classes.classes)
            raise LabelError(f"--map {value}={target}: found no such class, expected one of {names}")


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
