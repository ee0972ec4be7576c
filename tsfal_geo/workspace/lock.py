"""The lock of a workspace: one engine at a time."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tsfal_geo.atomic import write_text
from tsfal_geo.errors import WorkspaceError
from tsfal_geo.workspace.fresh import finish


@contextmanager
def engine_lock(root: Path) -> Iterator[str | None]:
    """Hold the workspace's lock; the operating system frees it when its owner dies.

    A fresh start that was cut off is finished first.

    Args:
        root: the workspace's folder.

    Yields:
        None, or a sentence on the dead owner whose lock this engine took over.

    Raises:
        WorkspaceError: another engine holds the lock.
    """
    owner = Path(root) / ".lock.json"
    lock = FileLock(Path(root) / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise WorkspaceError(
            f"{root}: in use by {_describe(owner)}; wait for it, or stop it, then try again"
        ) from None
    try:
        takeover = f"took over the lock of {_describe(owner)}, which died" if owner.exists() else None
        write_text(owner, json.dumps(_this_process()))
        finish(Path(root))
        yield takeover
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _this_process() -> dict[str, str | int]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "user": _user(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # containers run under numbers that no passwd entry names
        return f"user {os.getuid()}"


def _describe(owner: Path) -> str:
    try:
        process = json.loads(owner.read_text(encoding="utf-8"))
        return f"process {process['pid']} of {process['user']} on {process['host']} since {process['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another tsfal-geo process"
