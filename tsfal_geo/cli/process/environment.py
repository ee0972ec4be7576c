"""Faults of the machine that a command runs on, such as a full disk, told in one line."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_BY_NUMBER = {
    errno.ENOSPC: "the disk is full; free space there, then run the same command again",
    errno.EDQUOT: "the disk quota is used up; free space there, then run the same command again",
    errno.EROFS: "the file system is read-only; choose a folder that can be written",
    errno.EACCES: "permission denied; change the permissions, or choose another folder",
    errno.EPERM: "not permitted; change the permissions, or choose another folder",
    errno.EMFILE: "too many open files; raise the limit with `ulimit -n 4096`, then try again",
    errno.ENFILE: "the machine has too many open files; close programs, then run the same command again",
    errno.ENOMEM: "out of memory; close programs, or take a smaller window or batch",
    errno.ENAMETOOLONG: "the name is too long for the file system; shorten it",
    errno.EFBIG: "the file is larger than the file system or a limit allows; choose another folder",
    errno.EIO: "the disk fails to read or write; check it and its cable or network, then run again",
}
_SQLITE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
    sqlite3.SQLITE_IOERR: errno.EIO,
}
# Libraries in C give the system's text without its number. A permission is not among them: such a text
# may be of a server, whose own message is the better one.
_BY_TEXT = {os.strerror(n): n for n in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)}
_GPU = (
    "out of memory on the GPU; lower train.batch_labelled, train.batch_unlabelled or export.batch, "
    "or compute on the CPU"
)
_ALLOCATIONS = ("can't allocate memory", "std::bad_alloc", "not enough memory")


def environment_fault(error: BaseException) -> str | None:
    """Name the fault of the machine behind an error, and its remedy.

    Args:
        error: the exception that ended a command, perhaps raised from another one.

    Returns:
        One line for people; None if the error is none of the machine's.
    """
    seen: BaseException | None = error
    while seen is not None:
        if (line := _line(seen)) is not None:
            return line
        seen = seen.__cause__
    return None


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does; processes forked from it die as ever."""
    owner = os.getpid()

    def handle(number: int, _frame: Any) -> None:
        if os.getpid() == owner:
            raise KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _line(error: BaseException) -> str | None:
    text = str(error)
    if isinstance(error, MemoryError):
        return _BY_NUMBER[errno.ENOMEM]
    if type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in text:
        return _GPU
    if isinstance(error, RuntimeError) and any(sign in text for sign in _ALLOCATIONS):
        return _BY_NUMBER[errno.ENOMEM]
    if isinstance(error, RuntimeError) and "home directory" in text:
        return "no home folder is known; set HOME to a folder that can be written"
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        shown = error.object[:80].encode("utf-8", "backslashreplace").decode()
        return f"{shown}: the file's name is not UTF-8; rename it"
    number = _number(error, text)
    if number is None:
        return None
    name = getattr(error, "filename", None)
    place = (
        "" if name is None else f"{_shortened(os.fsdecode(name) if isinstance(name, bytes) else str(name))}: "
    )
    return f"{place}{_BY_NUMBER[number]}"


def _number(error: BaseException, text: str) -> int | None:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return None if code is None else _SQLITE.get(code & 0xFF)
    if isinstance(error, OSError) and error.errno in _BY_NUMBER:
        return error.errno
    return next((number for sign, number in _BY_TEXT.items() if sign in text), None)


def _shortened(name: str | bytes | int) -> str:
    text = os.fsdecode(name) if isinstance(name, bytes) else str(name)
    printable = text.encode("utf-8", "backslashreplace").decode()
    return printable if len(printable) <= 200 else f"{printable[:100]}…{printable[-60:]}"
