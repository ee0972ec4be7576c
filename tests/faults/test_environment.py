"""Faults of the machine end a command in one line with the right exit code; our own bugs stay tracebacks."""

import errno
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tsfal_geo.cli.process.environment import environment_fault
from tsfal_geo.workspace.lock import engine_lock

RAISING = """
import errno, os, signal, sqlite3, sys, click
from tsfal_geo.cli import main as command_line
from tsfal_geo.cli.command import ReportedCommand
def act(reporter):
    {act}
command = ReportedCommand("status", callback=act)
command_line.cli.get_command = lambda ctx, name: command
sys.argv = ["tsfal-geo", "status", *sys.argv[1:]]
command_line.main()
"""


def run(act, *options, **others):
    code = RAISING.format(act=act)
    settings = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, **others}
    return subprocess.run([sys.executable, "-c", code, *options], **settings)


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EMFILE, errno.ENAMETOOLONG]
)
def test_a_number_of_the_system_names_the_file_and_the_remedy(number):
    line = environment_fault(OSError(number, os.strerror(number), "/data/" + "x" * 400))
    assert line.startswith("/data/x") and ";" in line
    assert "\n" not in line and len(line) < 320


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (MemoryError(), "out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "GPU"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), "out of memory"),
        (RuntimeError("Could not determine home directory."), "HOME"),
        (RuntimeError("TIFFAppendToStrip: No space left on device"), "disk is full"),
        (UnicodeEncodeError("utf-8", "r\udce9.tif", 1, 2, "surrogates not allowed"), "\\udce9.tif"),
    ],
)
def test_libraries_tell_the_same_faults_in_their_own_ways(error, part):
    assert part in environment_fault(error)


def test_a_database_that_cannot_be_written_is_told(tmp_path):
    path = tmp_path / "a.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("create table t (x)")
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as raised:
        reader.execute("insert into t values (1)")
    assert "read-only" in environment_fault(raised.value)


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("a"), FileNotFoundError(errno.ENOENT, "no"), RuntimeError("shape")]
)
def test_bugs_are_no_faults_of_the_machine(error):
    assert environment_fault(error) is None


def test_a_cause_is_looked_at_and_a_mere_context_is_not():
    full = OSError(errno.ENOSPC, "full", "/d")
    outer, other = RuntimeError("writer failed"), RuntimeError("a bug in the clean-up")
    outer.__cause__, other.__context__ = full, full
    assert "disk is full" in environment_fault(outer)
    assert environment_fault(other) is None


def test_a_file_over_the_limit_is_one_line_for_people_and_programs(tmp_path):
    act = f"open({str(tmp_path / 'big')!r}, 'wb').write(bytes(200_000))"
    for options in ((), ("--json",)):
        done = run(act, *options, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
        assert done.returncode == 2
        assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["code"], last["exit_code"]) == ("error", "environment", 2)


def test_a_bug_stays_a_traceback():
    done = run("raise KeyError('x')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_full_standard_output_is_no_traceback():
    with Path("/dev/full").open("w") as full:
        done = run(
            "reporter.output('x'); return {}", capture_output=False, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and "disk is full" in done.stderr


def test_other_characters_are_escapes_where_the_terminal_has_ascii():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = run(
        "from rich.text import Text; reporter.output(Text('M\\u00fcnchen \\udce9')); return {}",
        env=environment,
    )
    assert done.returncode == 0
    assert done.stdout == "M\\xfcnchen \\udce9\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_command_with_what_it_cleans_up(number, tmp_path):
    code = RAISING.format(
        act=f"import time, pathlib; scratch = pathlib.Path({str(tmp_path / 'draft')!r})\n"
        "    try:\n        scratch.touch(); time.sleep(60)\n    finally:\n        scratch.unlink()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "draft").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 4
    assert told.strip() == "Error: stopped; everything done so far is kept"
    assert not (tmp_path / "draft").exists()


def test_a_user_number_without_a_name_takes_the_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "getpass.getuser", lambda: (_ for _ in ()).throw(KeyError("getpwuid(): uid not found"))
    )
    with engine_lock(tmp_path):
        assert json.loads((tmp_path / ".lock.json").read_text())["user"] == f"user {os.getuid()}"
