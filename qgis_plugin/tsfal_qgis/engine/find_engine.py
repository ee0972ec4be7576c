"""The places where an engine may be installed. Imports no QGIS and runs nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

NAME = "tsfal-geo"
_CONDAS = ("miniforge3", "mambaforge", "miniconda3", "anaconda3", "micromamba", ".conda")


def executable_in(environment: Path, windows: bool = os.name == "nt") -> Path:
    """Return the path of the engine's command in a Python environment.

    Args:
        environment: folder of the environment.
        windows: True for the names of Windows.

    Returns:
        The path; the file need not exist.
    """
    return environment / "Scripts" / f"{NAME}.exe" if windows else environment / "bin" / NAME


def installed_engines(environ: Mapping[str, str], home: Path, windows: bool = os.name == "nt") -> list[Path]:
    """Find the engines on PATH and in the usual places of the user's own.

    Args:
        environ: environment variables, of which PATH, VIRTUAL_ENV, CONDA_PREFIX, PIPX_HOME, UV_TOOL_DIR and
            APPDATA are read.
        home: the user's home folder.
        windows: True for the names of Windows.

    Returns:
        Paths of programs, best first, each once.
    """
    found = [*_on_path(environ, windows), *(executable_in(e, windows) for e in _environments(environ, home))]
    found += [home / ".local" / "bin" / f"{NAME}{'.exe' if windows else ''}", Path("/opt/homebrew/bin", NAME)]
    return _executables(found)


def engines_beside(folders: Iterable[str | Path], windows: bool = os.name == "nt") -> list[Path]:
    """Find the engines in a ``.venv`` in or above folders of data.

    The data may come from strangers, and so may a program among it: the plugin shows these to the user, and
    never runs one that the user has not chosen.

    Args:
        folders: folders of data.
        windows: True for the names of Windows.

    Returns:
        Paths of programs, each once.
    """
    found = []
    for folder in folders:
        path = Path(folder).resolve()
        for each in (path, *list(path.parents)[:3]):
            found += [executable_in(each / name, windows) for name in (".venv", "venv")]
    return _executables(found)


def _on_path(environ: Mapping[str, str], windows: bool) -> Iterator[Path]:
    for folder in environ.get("PATH", "").split(";" if windows else ":"):
        if Path(folder).is_absolute():
            yield Path(folder) / (f"{NAME}.exe" if windows else NAME)


def _environments(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if environ.get(name):
            yield Path(environ[name])
    for name in (".venv", "venv", NAME, f"{NAME}/.venv"):
        yield home / name
    for parent in _tool_folders(environ, home):
        yield parent / NAME
    for name in _CONDAS:
        yield from sorted((home / name / "envs").glob("*"))
    try:
        lines = (home / ".conda" / "environments.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    yield from (Path(line.strip()) for line in lines if Path(line.strip()).is_absolute())


def _tool_folders(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    if environ.get("UV_TOOL_DIR"):
        yield Path(environ["UV_TOOL_DIR"])
    yield home / ".local" / "share" / "uv" / "tools"
    if environ.get("APPDATA"):
        yield Path(environ["APPDATA"]) / "uv" / "tools"
    if environ.get("PIPX_HOME"):
        yield Path(environ["PIPX_HOME"]) / "venvs"
    for folder in (home / ".local" / "share" / "pipx", home / ".local" / "pipx", home / "pipx"):
        yield folder / "venvs"


def _executables(paths: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(path for path in paths if path.is_file() and os.access(path, os.X_OK)))
