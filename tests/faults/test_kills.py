"""A command that is killed anywhere loses nothing: see `kills`, which these tests run.

They run it in a process of its own, because it forks and PyTorch does not survive that once it has trained.
"""

import re
import subprocess
import sys

import pytest


def kills(*arguments):
    command = [sys.executable, "-m", "tests.faults.kills", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: int(count) for name, count in re.findall(r"^(\S+): (\d+) kills", done.stdout, re.M)}


def test_a_fresh_start_that_is_killed_leaves_the_old_workspace_or_the_new_one():
    assert kills("fresh", "--every", "16", "--first", "6")["fresh"] > 3


@pytest.mark.slow
@pytest.mark.parametrize("command", ["fresh", "fresh-train", "query", "train"])
def test_a_command_that_is_killed_at_any_operation_loses_nothing(command):
    assert kills(command)[command] > 50
