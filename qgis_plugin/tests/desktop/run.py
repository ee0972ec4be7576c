"""Runs a driver script in the real QGIS desktop under Xvfb, in a profile of its own, and judges it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tsfal_geo import plugin

_HERE = Path(__file__).parent
_SCREEN = "1600x1000x24"
_INI = "[PythonPlugins]\n{plugin}=true\n\n[qgis]\ncheckVersion=false\n"
_ENGINE = "[tsfal]\nengine={engine}\n"
_FOREIGN = ("PYTHON", "PROJ", "GDAL", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "QT_", "QGIS", "DISPLAY", "WAYLAND")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        exit_code: of QGIS; None if it was killed because it took too long.
        verdict: contents of the driver's ``verdict.json``; empty if it wrote none.
        log: output of QGIS.
        out: folder of the pictures.
    """

    exit_code: int | None
    verdict: dict = field(default_factory=dict)
    log: str = ""
    out: Path = Path()

    @property
    def ok(self):
        """True if the driver reports success and QGIS ended with code 0; neither is enough alone."""
        return self.exit_code == 0 and self.verdict.get("ok") is True

    def __str__(self):
        verdict = json.dumps(self.verdict, indent=1, ensure_ascii=False)
        return f"exit code {self.exit_code}, pictures in {self.out}\n{verdict}\n{self.log[-6000:]}"


def run(driver, out, *, workspace="", engine="", seconds=180):
    """Start QGIS with a driver script and wait.

    Args:
        driver: the script for ``qgis --code``.
        out: folder of the pictures, ``verdict.json`` and ``qgis.log``; older ones are removed.
        workspace: the workspace for the driver.
        engine: command of the engine, the plugin's setting.
        seconds: time after which QGIS and all its processes are killed.
    """
    out.mkdir(parents=True, exist_ok=True)
    for old in [*out.glob("*.png"), *out.glob("verdict.json"), *out.glob("qgis.log")]:
        old.unlink()
    with tempfile.TemporaryDirectory(prefix="tsfal-desktop-") as scratch, display() as number:
        home = Path(scratch)
        profile = home / "profiles" / "ci"
        plugin.install(plugin.source(), profile)
        (profile / "QGIS").mkdir()
        ini = _INI.format(plugin=plugin.NAME) + (_ENGINE.format(engine=engine) if engine else "")
        (profile / "QGIS" / "QGIS3.ini").write_text(ini, encoding="utf-8")
        environment = clean_environment(home) | {
            "DISPLAY": f":{number}",
            "PYTHONPATH": str(_HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TSFAL_E2E_OUT": str(out.resolve()),
            "TSFAL_E2E_WORKSPACE": str(workspace),
            "TSFAL_E2E_ENGINE": engine,
        }
        words = ["qgis", "--nologo", "--noversioncheck", "--profiles-path", str(home), "--profile", "ci"]
        code = _wait([*words, "--code", str(driver)], environment, out / "qgis.log", seconds)
    return Outcome(code, _verdict(out), (out / "qgis.log").read_text(errors="replace"), out)


def clean_environment(home):
    """The environment without another Python, QGIS or screen; ``home`` is for all that is written."""
    (home / "run").mkdir(mode=0o700, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
    path = "/usr/local/bin:/usr/bin:/bin"
    return kept | {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "PATH": path, "LC_ALL": "C.UTF-8"}


@contextmanager
def display():
    """A screen that nobody else has: its number."""
    reading, writing = os.pipe()
    words = ["Xvfb", "-displayfd", str(writing), "-screen", "0", _SCREEN, "-nolisten", "tcp"]
    server = subprocess.Popen(words, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise RuntimeError(f"Xvfb ended with {server.wait()}")
        yield number
    finally:
        server.terminate()
        server.wait()


def _wait(words, environment, log, seconds):
    with log.open("wb") as stream:
        process = subprocess.Popen(
            words,
            env=environment,
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _verdict(out):
    try:
        return json.loads((out / "verdict.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def main():
    """``run.py DRIVER OUT [WORKSPACE [ENGINE]]``."""
    driver, out, *more = sys.argv[1:]
    workspace, engine = (*more, "", "")[:2]
    outcome = run(Path(driver), Path(out), workspace=workspace, engine=engine)
    print(outcome)
    sys.exit(not outcome.ok)


if __name__ == "__main__":
    main()
