"""The set-up script with made-up interpreters and a made-up uv: which of them it takes, and what it says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDED = ("sh", "sed", "cat", "tr", "cksum", "ls", "rm", "dirname", "head", "id", "mkdir", "cp", "chmod")

GOOD = f"""#!/bin/sh
echo "python $*" >>"$LOG"
case "$1 $2" in
    "-m venv") [ -z "$NO_TOOLS" ] || [ "$3" = .venv ] || exit 1; mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    "-m pip") ;;
    *) exec {sys.executable} "$@" ;;
esac
"""
OLD = GOOD.replace("    *)", '    "-c import"*) case "$2" in *"3, 12"*) exit 1 ;; esac ;;\n    *)')
SHIM = '#!/bin/sh\necho "pyenv: python3.12: command not found" >&2\nexit 127\n'
UV = f"""#!/bin/sh
echo "uv $*" >>"$LOG"
[ "$1" = venv ] && mkdir -p .venv/bin && ln -s {sys.executable} .venv/bin/python
exit 0
"""


@dataclass
class Machine:
    """A folder with a copy of what the script reads, and a PATH of our own."""

    root: Path

    def put(self, path: str, text: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o755)
        return target

    def set_up(self, **variables: str) -> tuple[int, str]:
        """Exit code and stderr."""
        environment = {"PATH": f"{self.root}/bin", "HOME": str(self.root / "home"), "LOG": str(self.log_file)}
        done = subprocess.run(
            ["/bin/sh", self.root / "tree/scripts/bootstrap.sh"],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stderr

    @property
    def log_file(self) -> Path:
        return self.root / "log"

    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "bin").mkdir()
    for name in (*NEEDED, "ln"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    for name in ("pyproject.toml", "constraints.txt", "scripts/bootstrap.sh"):
        target = tmp_path / "tree" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return Machine(tmp_path)


def test_takes_pyenvs_folder_when_its_shim_fails(machine: Machine) -> None:
    machine.put("bin/uv", UV)
    machine.put("bin/python3.12", SHIM)
    machine.put("bin/python3", OLD)
    wanted = machine.put("pyenv/versions/3.12.9/bin/python3", GOOD)
    code, _ = machine.set_up(PYENV_ROOT=str(machine.root / "pyenv"))
    assert code == 0
    assert f"uv venv --quiet --python {wanted} .venv" in machine.log()
    assert "--compile-bytecode -c constraints.txt -e .[dev]" in machine.log()


def test_takes_a_later_path_entry_when_the_first_fails(machine: Machine) -> None:
    machine.put("bin/uv", UV)
    machine.put("shims/python3.12", SHIM)
    wanted = machine.put("bin/python3.12", GOOD)
    code, _ = machine.set_up(PATH=f"{machine.root}/shims:{machine.root}/bin")
    assert code == 0
    assert f"--python {wanted} " in machine.log()


def test_fetches_a_python_where_there_is_none(machine: Machine) -> None:
    machine.put("bin/uv", UV)
    machine.put("bin/python3", OLD)
    assert machine.set_up()[0] == 0
    assert "uv python install 3.12" in machine.log()


def test_gets_uv_by_pip_into_a_folder_of_its_own(machine: Machine) -> None:
    wanted = machine.put("bin/python3", GOOD)
    code, said = machine.set_up()
    assert f"getting uv with {wanted}" in said
    assert "python -m venv .venv-tools" in machine.log()
    assert "python -m pip install -q --disable-pip-version-check uv" in machine.log()
    assert code == 0


def test_plain_pip_where_uv_cannot_be_had(machine: Machine) -> None:
    machine.put("bin/python3", GOOD)
    assert machine.set_up(NO_TOOLS="1")[0] == 0
    assert "python -m venv .venv\n" in machine.log()
    pinned = "-c constraints.txt -e .[dev]"
    assert f"python -m pip install -q --disable-pip-version-check {pinned}" in machine.log()


def test_second_run_does_nothing_until_the_pins_change(machine: Machine) -> None:
    machine.put("bin/uv", UV)
    machine.put("bin/python3", GOOD)
    assert machine.set_up()[0] == 0
    first = machine.log()
    assert machine.set_up()[0] == 0
    assert machine.log() == first
    with (machine.root / "tree/constraints.txt").open("a") as pins:
        pins.write("numpy==2.5.5\n")
    assert machine.set_up()[0] == 0
    assert machine.log().count("uv pip install") == 2
    assert machine.log().count("uv venv") == 1


def test_another_python_makes_another_environment(machine: Machine) -> None:
    machine.put("bin/uv", UV)
    machine.put("bin/python3", GOOD)
    chosen = machine.put("else/python3.13", GOOD)
    assert machine.set_up()[0] == 0
    assert machine.set_up(PYTHON=str(chosen))[0] == 0
    assert f"--python {chosen} " in machine.log()
    again = machine.log().count("uv pip install")
    assert machine.set_up(PYTHON=str(chosen))[0] == 0
    assert machine.log().count("uv pip install") == again


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("x/python", OLD, "it must be Python 3.12 or newer"),
        ("x/python", SHIM, "is 'pyenv: python3.12: command not found'; it must be"),
        (None, "", "is not there"),
    ],
)
def test_unfit_python_is_one_clear_line(machine: Machine, path: str | None, text: str, says: str) -> None:
    machine.put("bin/uv", UV)
    chosen = str(machine.put(path, text)) if path else "/nowhere/python3"
    code, said = machine.set_up(PYTHON=chosen)
    assert code == 2
    assert says in said and chosen in said
    assert len(said.splitlines()) == 1
    assert not (machine.root / "tree/.venv").exists()


def test_nothing_to_work_with_is_one_clear_line(machine: Machine) -> None:
    code, said = machine.set_up()
    assert code == 2
    assert said == (
        "set-up: no Python 3.12 or newer and no uv to fetch it; install one, or give PYTHON=/path/to/python\n"
    )
