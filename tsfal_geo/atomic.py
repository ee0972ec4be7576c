"""Files that appear complete or not at all: written beside the target, fsynced, renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

unsaved_work = threading.Lock()
"""Held while work is not yet on disk: a command that stops waits for it before the process ends."""


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Replace a file by a temporary one, which becomes ``path`` if the block succeeds and is removed else.

    The temporary name keeps the suffix, so that drivers that choose a format by suffix work.

    Args:
        path: the target; its folder is made if need be.

    Yields:
        A free path beside the target, to be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    temporary.unlink()
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, complete or not at all.

    Args:
        path: the target.
        data: its content.
    """
    with replace_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, complete or not at all.

    Args:
        path: the target.
        text: its content.
    """
    write_bytes(path, text.encode("utf-8"))


def remove_folder(folder: Path) -> None:
    """Remove a folder so that it is there with all its files or not at all.

    Args:
        folder: need not exist. What a process that died here left of it goes as well.
    """
    going = folder.with_name(f".{folder.name}-removed")
    shutil.rmtree(going, ignore_errors=True)
    if folder.exists():
        folder.rename(going)
        shutil.rmtree(going)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk.

    Args:
        path: the file or folder.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
