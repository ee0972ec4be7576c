"""Transactions on a GeoPackage: rows are appended together, and read as they are committed.

After a file was made, it is only opened with Python's ``sqlite3``: a second copy of SQLite in the process
(the one inside GDAL) would drop this one's locks when it closes the file. Reads include the write-ahead log,
see all tables at one moment, and return every row of a table, whatever row count the file declares.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tsfal_geo.errors import LabelError, WorkspaceError
from tsfal_geo.geopackage.geometry import register_functions

LOCK_WAIT = 120.0  # seconds to wait for a program that holds a file exclusively
_RECOVER = {
    "SQLITE_READONLY_ROLLBACK",
    "SQLITE_READONLY_RECOVERY",
    "SQLITE_READONLY_CANTINIT",
    "SQLITE_READONLY_DIRECTORY",
    "SQLITE_READONLY",
    "SQLITE_CANTOPEN",
}


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a read transaction: it sees what was committed when it began, the write-ahead log included.

    Args:
        path: the file.

    Yields:
        The connection.

    Raises:
        LabelError: the file is no GeoPackage, or damaged.
        WorkspaceError: another program locks the file for longer than ``LOCK_WAIT``.
    """
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(closing(_begin_reading(path, stack)))
            yield connection
        except sqlite3.Error as error:
            raise _user_error(path, error) from None


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a write transaction, which is committed at the end of the block, or not at all.

    Args:
        path: the file.

    Yields:
        The connection.

    Raises:
        LabelError: the file refuses a row.
        WorkspaceError: another program locks the file for longer than ``LOCK_WAIT``.
    """
    connection = _connect(path, "mode=rw")
    try:
        register_functions(connection)
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise _user_error(path, error) from None
    finally:
        connection.close()


def _begin_reading(path: Path, stack: ExitStack) -> sqlite3.Connection:
    for mode in ("ro", "rw"):
        # A writer died within a commit: before the first read SQLite rolls it back, which is a write.
        try:
            return _begin(path, f"mode={mode}")
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "") not in _RECOVER or not path.is_file():
                raise
    # In a folder that nobody may write to, SQLite cannot make the files that it shares a log by.
    unfinished = [path.with_name(path.name + end) for end in ("-wal", "-journal")]
    unfinished = [file for file in unfinished if file.is_file() and file.stat().st_size]
    if not unfinished:
        return _begin(path, "mode=ro&immutable=1")
    copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tsfal-"))) / path.name
    try:
        for file in (path, *unfinished):
            shutil.copyfile(file, copy.with_name(file.name))
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror}); copy it with its -wal file") from None
    return _begin(copy, "mode=rw")


def _connect(path: Path, options: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=LOCK_WAIT, isolation_level=None)
    if "mode=ro" in options:
        connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _begin(path: Path, options: str) -> sqlite3.Connection:
    connection = _connect(path, options)
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _user_error(path: Path, error: sqlite3.Error) -> LabelError | WorkspaceError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return WorkspaceError(
            f"{path}: another program has locked it for {LOCK_WAIT:.0f} s; "
            "save or end its edit session and run again"
        )
    if name.startswith("SQLITE_CONSTRAINT"):
        return LabelError(f"{path}: a row was refused ({error}); nothing was written")
    return LabelError(
        f"{path}: not readable as a GeoPackage ({error}); restore it or take it out of the folder"
    )
