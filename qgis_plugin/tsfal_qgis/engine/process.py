"""Processes of the engine: their environment, their start, their output."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import QIODevice, QObject, QProcess, QProcessEnvironment

from ..compat import tr

START_MS = 30_000
# QGIS sets these for its own libraries; another Python with its own GDAL and PROJ must not see them.
_QGIS_ONLY = [
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONEXECUTABLE",
    "PYTHONSTARTUP",
    "VIRTUAL_ENV",
    "PROJ_LIB",
    "PROJ_DATA",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "GEOTIFF_CSV",
    "QT_PLUGIN_PATH",
    "QT_QPA_PLATFORM_PLUGIN_PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
]


def clean_environment() -> QProcessEnvironment:
    """Return the environment of this process without the variables of QGIS's own libraries."""
    environment = QProcessEnvironment.systemEnvironment()
    for name in _QGIS_ONLY:
        environment.remove(name)
    environment.insert("PYTHONUNBUFFERED", "1")
    environment.insert("PYTHONUTF8", "1")
    return environment


def new_process(parent: QObject | None = None) -> QProcess:
    """Make a process with the clean environment.

    Args:
        parent: its parent in Qt.

    Returns:
        The process, which is not started.
    """
    process = QProcess(parent)
    process.setProcessEnvironment(clean_environment())
    return process


def start_process(process: QProcess, command: Sequence[str]) -> None:
    """Start a process; returns before it runs.

    Args:
        process: the process.
        command: its program and arguments.
    """
    process.setProgram(command[0])
    process.setArguments(list(command[1:]))
    process.start(QIODevice.OpenModeFlag.ReadWrite)


def read_output(process: QProcess) -> tuple[bytes, bytes]:
    """Read the output of a process since the last call.

    Args:
        process: the process.

    Returns:
        Bytes of stdout and of stderr.
    """
    return bytes(process.readAllStandardOutput()), bytes(process.readAllStandardError())


def start_failure(process: QProcess) -> str:
    """Explain to the user why a process did not start.

    Args:
        process: the process.

    Returns:
        The reason and the remedy.
    """
    text = tr("{program} does not start: {reason}. Choose the engine under Settings ▸ Options ▸ TSFAL.")
    return text.format(program=process.program(), reason=process.errorString())
