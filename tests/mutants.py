"""Faults, planted one at a time into a copy of the package; ``mutants.toml`` names the tests that find each.

python tests/mutants.py             plant all faults, print a table, exit 1 if one survives
python tests/mutants.py NAME ...    only faults whose names contain one of the words
"""

from __future__ import annotations

import compileall
import importlib
import os
import shlex
import shutil
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]
# Imported once: every fault runs in a fork of this process, which imports the package's copy anew.
HEAVY = (
    "torch", "lightning", "torchmetrics", "rasterio", "geopandas", "sklearn.covariance", "scipy.ndimage",
    "segmentation_models_pytorch", "kornia.filters", "odc.geo.geobox", "pydantic",
)  # fmt: skip
FOUND, SURVIVED = 1, 0
OPTIONS = (
    "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:pytest_cov",
)  # fmt: skip
LIST = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class Fault:
    """One string of one module, replaced by another.

    Attributes:
        name: a few words.
        path: of the module, below ``tsfal_geo``.
        old: occurs once in the module.
        new: takes its place.
        tests: arguments of pytest: the quickest tests that have to fail.
    """

    name: str
    path: str
    old: str
    new: str
    tests: str


def listed() -> list[Fault]:
    """Read the list of faults."""
    return [Fault(**values) for values in tomllib.loads(LIST.read_text(encoding="utf-8"))["fault"]]


def in_a_fork(folder: Path, tests: str) -> int:
    """Run tests on the package's copy.

    Args:
        folder: with the copy and the tests.
        tests: arguments of pytest.

    Returns:
        The exit code of pytest: 1 where a test failed.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.chdir(folder)
    sys.path[:] = [
        str(folder),
        *(each for each in sys.path if each not in ("", str(HOME), str(HOME / "tests"))),
    ]
    sys.dont_write_bytecode = True
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        os._exit(int(pytest.main([*OPTIONS, *shlex.split(tests)])))
    finally:
        os._exit(70)


def plant(fault: Fault, folder: Path, whole: dict[str, int]) -> str:
    """Run a fault's tests on a copy of the package that has the fault.

    Args:
        fault: the fault.
        folder: with a copy of the package, which is whole again afterwards.
        whole: exit codes of tests on the package without a fault; gains those of this fault's tests.

    Returns:
        "found", "SURVIVED", or the reason why nothing was tested.
    """
    path = folder / "tsfal_geo" / fault.path
    text = path.read_text(encoding="utf-8")
    if text.count(fault.old) != 1:
        return f"NOT PLANTED: {text.count(fault.old)} places"
    if fault.tests not in whole:
        whole[fault.tests] = in_a_fork(folder, fault.tests)
    if whole[fault.tests]:
        return "NOT TESTED: the tests fail without the fault"
    times = path.stat()
    path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
    try:
        code = in_a_fork(folder, fault.tests)
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # its compiled file fits again
    return {FOUND: "found", SURVIVED: "SURVIVED"}.get(code, f"NOT TESTED: pytest ended with {code}")


def main(words: list[str]) -> int:
    """Plant the faults whose names contain one of the words, or all.

    Args:
        words: parts of names.

    Returns:
        0 if all faults were found.
    """
    chosen = [fault for fault in listed() if not words or any(word in fault.name for word in words)]
    for name in HEAVY:
        importlib.import_module(name)
    results: list[str] = []
    whole: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for part in ("tsfal_geo", "tests"):
            shutil.copytree(HOME / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(folder, quiet=2)
        for part in ("pyproject.toml", "configs", "scripts", "sample_tiles", "docs"):
            (folder / part).symlink_to(HOME / part)
        print("| fault | module | result | seconds |\n|---|---|---|---:|")
        for fault in chosen:
            began = time.monotonic()
            results.append(plant(fault, folder, whole))
            seconds = time.monotonic() - began
            print(f"| {fault.name} | `{fault.path}` | {results[-1]} | {seconds:.0f} |", flush=True)
    print(f"\n{results.count('found')} of {len(results)} faults found")
    return int(set(results) != {"found"})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
