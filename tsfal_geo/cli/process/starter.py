"""The program that started a command: the command stops with it."""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from collections.abc import Callable

from tsfal_geo.atomic import unsaved_work
from tsfal_geo.errors import Cancelled

_GRACE_SECONDS = 0.5
_SAVE_SECONDS = 30


def stop_with_starter(
    stop: threading.Event, go_silent: Callable[[], None], take: Callable[[str], None]
) -> None:
    """Watch stdin: stop when it closes, and end the process soon after the program at its other end died.

    Args:
        stop: set when stdin closes.
        go_silent: called before the process ends, so that nothing is written to a closed pipe.
        take: gets each line that the program writes.
    """
    # Only a pipe or socket has somebody at the other end; /dev/null is always at its end.
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    parent = os.getppid()

    def watch() -> None:
        begun = b""
        while found := os.read(0, 65536):
            *lines, begun = (begun + found).split(b"\n")
            for line in lines:
                take(line.decode("utf-8", "replace"))
        stop.set()
        # An import or a window may last long, and nobody waits for it once the starting program is dead.
        time.sleep(_GRACE_SECONDS)
        if os.getppid() != parent:
            go_silent()
            unsaved_work.acquire(timeout=_SAVE_SECONDS)
            os._exit(Cancelled.exit_code)

    threading.Thread(target=watch, name="stdin", daemon=True).start()
