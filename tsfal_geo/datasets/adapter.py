"""The contract of a dataset adapter, and the steps that all preparations share.

A preparation builds a folder of links to the shipped files, writes ``dataset.yaml`` beside them, and draws
the lists of labelled pictures.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tsfal_geo.classes import ClassMap
from tsfal_geo.config import load_config
from tsfal_geo.errors import UserError

CONFIG = "dataset.yaml"
SPLITS = ("train", "val", "test")
LISTS_FOLDER = "splits"
_DIVISORS = (2, 4, 8, 16)

Progress = Callable[[float, str], None]
"""Receives the done share of a preparation, 0 to 1, and its stage; it may raise to stop the preparation."""


def no_progress(fraction: float, stage: str) -> None:
    """Ignore the progress of a preparation.

    Args:
        fraction: the done share.
        stage: the stage.
    """


@dataclass(frozen=True)
class Option:
    """One option of a preparation: a keyword of ``Adapter.prepare``, a flag or value on the command line.

    Attributes:
        name: the keyword; ``chip_size`` becomes ``--chip-size``.
        default: value if the option is not given; its type is the option's type, and False makes a flag.
        help: one line.
        choices: allowed texts; empty for all.
    """

    name: str
    default: bool | int | float | str
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A dataset in folders that every command reads.

    Attributes:
        splits: ``train``, ``val``, ``test`` → folder with ``images/``, ``labels/`` and maybe ``dsm/``;
            missing splits have no key.
        config: configuration file with classes, chip size and other keys of the data, for ``--config``.
        notes: remarks for the user, one line each.
    """

    splits: Mapping[str, Path]
    config: Path
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adapter:
    """Adapter of one dataset.

    Attributes:
        name: name on the command line.
        title: one line that describes the dataset.
        source: one line on its origin and its terms.
        prepare: ``prepare(source, out, progress=no_progress, **options)`` makes the folder ``out`` from the
            shipped files; ``out`` appears complete or not at all. It raises `UserError` if files are missing,
            damaged or unknown.
        fixture: ``fixture(out, seed)`` writes a tiny synthetic dataset in the owners' layout for
            ``prepare(out, …, **fixture_options)``; the same seed gives the same dataset.
        options: options of ``prepare``.
        fixture_options: options that suit the fixture, such as a small chip size.
    """

    name: str
    title: str
    source: str
    prepare: Callable[..., Prepared]
    fixture: Callable[[Path, int], None]
    options: tuple[Option, ...] = ()
    fixture_options: Mapping[str, bool | int | float | str] = field(default_factory=dict)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Build a folder in a draft beside it, which becomes ``out`` if the block succeeds and is removed else.

    User errors that name a file of the draft name the target of its link instead, or its place in ``out``.

    Args:
        out: the folder to make.

    Yields:
        The draft.

    Raises:
        UserError: ``out`` exists, and is not an empty folder.
    """
    out = Path(out).absolute()
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out}: exists already; expected a new folder: remove it or give another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
        draft = Path(folder) / out.name
        draft.mkdir()
        try:
            yield draft
        except UserError as error:
            raise type(error)(_lasting(str(error), draft, out)) from None
        if out.is_dir():
            out.rmdir()
        draft.rename(out)


def _lasting(text: str, draft: Path, out: Path) -> str:
    """The message with paths that still exist when the user reads it."""
    named = [path for path in draft.rglob("*") if str(path) in text]
    for path in sorted(named, key=lambda path: len(str(path)), reverse=True):
        text = text.replace(
            str(path), str(path.readlink() if path.is_symlink() else out / path.relative_to(draft))
        )
    return text


def link_file(source: Path, goal: Path) -> None:
    """Link a file, or copy it where the file system has no symbolic links.

    Args:
        source: the file.
        goal: the link; its folder is made if need be.
    """
    goal.parent.mkdir(parents=True, exist_ok=True)
    try:
        goal.symlink_to(source.resolve())
    except OSError:
        shutil.copyfile(source, goal)


def write_config(folder: Path, classes: ClassMap, sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Write ``dataset.yaml``: the class map, and the keys that depend on the dataset.

    Args:
        folder: of the dataset.
        classes: the class map; its ignored colours and ids and its label values are written too.
        sections: keys and values by section, such as ``{"data": {"chip_size": 512}}``.

    Raises:
        ConfigError: a key does not exist, or a value is out of range.
    """
    values: dict[str, Any] = {"classes": classes.to_json()}
    if classes.ignore_colours:
        values["ignore_colours"] = [list(colour) for colour in classes.ignore_colours]
    if classes.ignore_ids:
        values["ignore_ids"] = list(classes.ignore_ids)
    if classes.label_values:
        values["label_values"] = {value.key: value.meaning for value in classes.label_values}
    values |= {section: dict(keys) for section, keys in sections.items()}
    path = folder / CONFIG
    path.write_text(
        yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None), encoding="utf-8"
    )
    load_config(path)


def open_prepared(out: Path, notes: tuple[str, ...] = ()) -> Prepared:
    """Open a prepared dataset.

    Args:
        out: its folder.
        notes: remarks of its preparation.

    Returns:
        Its splits and its configuration file.

    Raises:
        UserError: the folder holds no prepared dataset.
    """
    config = Path(out) / CONFIG
    splits = {name: config.parent / name for name in SPLITS if (config.parent / name).is_dir()}
    if not config.is_file() or not splits:
        raise UserError(
            f"{out}: holds no prepared dataset ({CONFIG}, train/); make one with `tsfal-geo datasets prepare`"
        )
    return Prepared(splits, config, notes)


def shuffled(names: Iterable[str], seed: int | str) -> list[str]:
    """Shuffle names by the hash of seed and name, so that the order depends on nothing else.

    Args:
        names: of scenes.
        seed: of the order.

    Returns:
        The shuffled names.
    """
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).hexdigest())


def write_lists(folder: Path, names: Sequence[str], seed: int) -> tuple[str, ...]:
    """Write ``splits/1_2.txt`` … ``splits/1_16.txt``, for ``train --labelled-list``.

    A shorter list holds the first names of a longer one.

    Args:
        folder: of the dataset.
        names: of the training scenes.
        seed: of the order.

    Returns:
        A remark for the user.
    """
    order = shuffled(names, seed)
    home = folder / LISTS_FOLDER
    home.mkdir()
    sizes = []
    for divisor in _DIVISORS:
        chosen = sorted(order[: -(-len(order) // divisor)])
        (home / f"1_{divisor}.txt").write_text("".join(f"{name}\n" for name in chosen), encoding="utf-8")
        sizes.append(f"1/{divisor}: {len(chosen)}")
    return (f"labelled pictures for --labelled-list in {LISTS_FOLDER}/ ({', '.join(sizes)})",)
