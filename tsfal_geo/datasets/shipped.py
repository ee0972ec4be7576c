"""Files as the owners of a dataset ship them, in folders or zips; only the needed files are extracted."""

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
    """One shipped file.

    Attributes:
        name: path below the source folder, where a zip counts as a folder with its stem.
        path: the file, or the zip that holds it.
        member: name in the zip; None for a plain file.
    """

    name: PurePosixPath
    path: Path
    member: str | None = None

    @property
    def folder(self) -> str:
        """Name of the folder of the file; empty for the source folder."""
        return self.name.parent.name


def list_shipped(source: Path, is_needed_zip: Callable[[str], bool]) -> list[ShippedFile]:
    """List the files below a folder, those in zips and behind links included.

    Args:
        source: the folder.
        is_needed_zip: tells by the name of a zip if its members are listed.

    Returns:
        The files, sorted by name.

    Raises:
        UserError: there is no such folder, or a zip cannot be read.
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
    """Link a plain file, or extract a member of a zip.

    Args:
        file: the shipped file.
        goal: path of the link, or of the extracted file.

    Raises:
        UserError: the zip is damaged.
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
    """Compare a file with the checksum of its owners.

    Args:
        path: the file.
        expected: MD5 sum, in hexadecimal digits.

    Raises:
        UserError: the file has another sum.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != expected:
        raise UserError(
            f"{path}: found MD5 {found}, expected the owners' {expected}; download it again, or unpack it "
            "yourself if you trust it (folders are not checked)"
        )


def _members(path: Path, name: PurePosixPath) -> Iterator[ShippedFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if not member.endswith("/"):
                    yield ShippedFile(name / member.replace("\\", "/").lstrip("/"), path, member)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise UserError(f"{path}: not readable as a zip ({error}); download it again") from None
