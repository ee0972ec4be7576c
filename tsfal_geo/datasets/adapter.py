"""What every dataset adapter shares: its description, what it gives, and how its folder comes to be."""

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
Progress = Callable[[float, str], None]
"""Told how far a preparation is, 0 to 1, and what it is at; may raise to stop it."""


def no_progress(fraction: float, stage: str) -> None:
    """A `Progress` that tells nobody."""


@dataclass(frozen=True)
class Option:
    """One option of a preparation: a keyword of ``Adapter.prepare``, a flag or value on the command line.

    Attributes:
        name: the keyword; ``chip_size`` becomes ``--chip-size``.
        default: where it is not given; its type is the option's, and False makes a flag.
        help: one line.
        choices: the texts allowed; empty for all.
    """

    name: str
    default: bool | int | float | str
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A dataset in folders that every command reads.

    Attributes:
        splits: ``train``, ``val``, ``test`` → folder with ``images/``, ``labels/`` and perhaps ``dsm/``; a
            dataset without one of them lacks its key.
        config: classes, chip size and what else the data call for, for ``--config``.
        notes: what a person should know of what was done, one line each.
    """

    splits: Mapping[str, Path]
    config: Path
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adapter:
    """One dataset.

    Attributes:
        name: as typed.
        title: one line for people.
        source: where it is had and under which terms, one line.
        prepare: ``prepare(source, out, progress=no_progress, **options)`` makes ``out`` from what the owners ship;
            ``out`` appears whole or not at all. Raises `UserError` for what is missing, damaged or unknown.
        fixture: ``fixture(out, seed)`` writes a tiny dataset in the owners' layout, synthetic and the same
            for the same seed, that ``prepare(out, …, **fixture_options)`` takes.
        options: what ``prepare`` takes besides.
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
    """A folder beside ``out`` to build in; it becomes ``out`` if the block succeeds, else it is removed.

    Errors for people that name a file in it are made to name what it is a link to, or its place in ``out``.

    Raises:
        UserError: ``out`` is there already and not an empty folder.
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
    """A message with paths that are still there when a person reads it."""
    named = [path for path in draft.rglob("*") if str(path) in text]
    for path in sorted(named, key=lambda path: len(str(path)), reverse=True):
        text = text.replace(
            str(path), str(path.readlink() if path.is_symlink() else out / path.relative_to(draft))
        )
    return text


def link_file(source: Path, goal: Path) -> None:
    """Make ``goal`` the file ``source``: by a symbolic link, or a copy where there can be none."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    try:
        goal.symlink_to(source.resolve())
    except OSError:
        shutil.copyfile(source, goal)


def write_config(folder: Path, classes: ClassMap, sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Write ``dataset.yaml``: the class map, and the keys that the data call for.

    Args:
        folder: the dataset's.
        classes: the class map; its ignore colours and ids are written too.
        sections: such as ``{"data": {"chip_size": 512}}``; only what differs from dataset to dataset.

    Raises:
        ConfigError: keys or values that no configuration has.
    """
    values: dict[str, Any] = {"classes": classes.to_json()}
    if classes.ignore_colours:
        values["ignore_colours"] = [list(colour) for colour in classes.ignore_colours]
    if classes.ignore_ids:
        values["ignore_ids"] = list(classes.ignore_ids)
    values |= {section: dict(keys) for section, keys in sections.items()}
    path = folder / CONFIG
    path.write_text(
        yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None), encoding="utf-8"
    )
    load_config(path)


def open_prepared(out: Path, notes: tuple[str, ...] = ()) -> Prepared:
    """The dataset that a preparation left in ``out``.

    Raises:
        UserError: there is none.
    """
    config = Path(out) / CONFIG
    splits = {name: config.parent / name for name in SPLITS if (config.parent / name).is_dir()}
    if not config.is_file() or not splits:
        raise UserError(
            f"{out}: holds no prepared dataset ({CONFIG}, train/); make one with `tsfal-geo datasets prepare`"
        )
    return Prepared(splits, config, notes)


LISTS_FOLDER = "splits"
_DIVISORS = (2, 4, 8, 16)


def shuffled(names: Iterable[str], seed: int | str) -> list[str]:
    """Names in an order that depends on nothing but them and the seed."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).hexdigest())


def write_lists(folder: Path, names: Sequence[str], seed: int) -> tuple[str, ...]:
    """Write ``splits/1_2.txt`` … ``splits/1_16.txt``, for ``train --labelled-list``.

    Args:
        folder: the dataset's.
        names: of the training scenes.
        seed: of the lists.

    Returns:
        A note for people.
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
