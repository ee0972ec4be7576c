"""The files that a dataset's owners ship, in folders or still in zips; only what is needed is unpacked."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tsfal_geo.datasets.adapter import link_file
from tsfal_geo.errors import UserError


@dataclass(frozen=True)
class ShippedFile:
    """One file.

    Attributes:
        name: its path below the source folder; a zip counts as a folder of its stem.
        path: the file, or the zip that holds it.
        member: its name in the zip; None for a plain file.
    """

    name: PurePosixPath
    path: Path
    member: str | None = None

    @property
    def folder(self) -> str:
        """Name of the folder that it lies in; empty in the source folder itself."""
        return self.name.parent.name


def list_shipped(source: Path, is_needed_zip: Callable[[str], bool]) -> list[ShippedFile]:
    """Every file below a folder, those in zips and behind links included; sorted by name.

    Args:
        source: the folder.
        is_needed_zip: whether a zip of this name is looked into.

    Raises:
        UserError: no such folder, or a zip that cannot be read.
    """
    source = Path(source)
    if not source.is_dir():
        what = "is a file" if source.exists() else "no such folder"
        raise UserError(f"{source}: {what}; expected the folder that holds the dataset's folders or zips")
    visited: set[Path] = set()
    found = []
    for folder, folders, names in source.walk(follow_symlinks=True):
        real = folder.resolve()
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        for name in names:
            path = folder / name
            below = PurePosixPath(path.relative_to(source).as_posix())
            if path.suffix.lower() == ".zip":
                found += list(_members(path, below.with_suffix(""))) if is_needed_zip(name) else []
            else:
                found.append(ShippedFile(below, path))
    return sorted(found, key=lambda file: file.name)


def extract(file: ShippedFile, goal: Path) -> None:
    """Make ``goal`` that file: by a link, or unpacked from its zip.

    Raises:
        UserError: the zip is damaged there.
    """
    if file.member is None:
        link_file(file.path, goal)
        return
    goal.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            zipfile.ZipFile(file.path) as archive,
            archive.open(file.member) as packed,
            goal.open("wb") as unpacked,
        ):
            shutil.copyfileobj(packed, unpacked, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UserError(
            f"{file.path}: {file.member} cannot be unpacked ({error}); download it again"
        ) from None


def check_md5(path: Path, expected: str) -> None:
    """Raise `UserError` unless the file has this MD5 sum."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != expected:
        raise UserError(
            f"{path}: found MD5 {found}, expected the owners' {expected}; download it again, or unpack it "
            "yourself if you trust it (folders are taken as they are)"
        )


def _members(path: Path, name: PurePosixPath) -> Iterator[ShippedFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if not member.endswith("/"):
                    yield ShippedFile(name / member.replace("\\", "/").lstrip("/"), path, member)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise UserError(f"{path}: not readable as a zip ({error}); download it again") from None
