"""Kill a process at its n-th operation on files: nothing after it happens, no `finally` either."""

import builtins
import io
import os
import shutil
from pathlib import Path

KILLED = 77
_CHANGING = ("rename", "replace", "unlink", "remove", "mkdir", "rmdir", "fsync", "truncate")


def die_at(number):
    """Let this process die just before its n-th operation that changes files."""
    left = number

    def count():
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(KILLED)

    def counted(function, changes=lambda *args, **kwargs: True):
        def call(*args, **kwargs):
            if changes(*args, **kwargs):
                count()
            return function(*args, **kwargs)

        return call

    def by_mode(_file, mode="r", *args, **kwargs):
        return any(letter in mode for letter in "wax+")

    def by_flags(_path, flags=0, *args, **kwargs):
        return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

    for name in _CHANGING:
        setattr(os, name, counted(getattr(os, name)))
    os.open = counted(os.open, by_flags)
    builtins.open = io.open = counted(io.open, by_mode)


def in_child(action, *args):
    """Call in a fork, and return its exit status: 0, KILLED, or 1 after an exception."""
    pid = os.fork()
    if pid == 0:
        try:
            action(*args)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_everywhere(base, scratch, action, check, every=1, first=1):
    """Kill an action at its n-th operations on a copy of a folder, and check each time what is left.

    Args:
        base: folder that each run begins with a copy of.
        scratch: folder of the copies.
        action: called with the copy; dies on the way.
        check: called with the copy in a new process; raises where something is lost or wrong.
        every: distance between the operations.
        first: the operation to begin with.

    Returns:
        The number of kills. The action ended undisturbed once it had fewer operations than that.
    """
    kills, number = 0, first
    while True:
        root = Path(scratch) / f"kill-{number}"
        shutil.copytree(base, root)

        def dying(root=root, number=number):
            die_at(number)
            action(root)

        status = in_child(dying)
        assert status in (0, KILLED), f"operation {number}: the action failed with status {status}"
        assert in_child(check, root) == 0, f"killed at operation {number}: see {root}"
        shutil.rmtree(root)
        if status == 0:
            return kills
        kills, number = kills + 1, number + every
