"""The folder of a table: all its runs have one source and one configuration, also on several machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tsfal_geo.atomic import write_text
from tsfal_geo.config import Config
from tsfal_geo.config.reading import dotted_keys
from tsfal_geo.errors import Cancelled, ConfigError, UserError
from tsfal_geo.experiments.jobs import ExperimentJob
from tsfal_geo.reporting import Reporter
from tsfal_geo.workspace.folder import WorkspaceFolder

_SOURCE = "source.json"
_POLL_SECONDS = 0.5

# These keys say where a run computes and how it is observed; its results do not depend on them.
_TRIVIAL = {
    "train.accelerator",
    "train.num_workers",
    "train.channels_last",
    "train.checkpoint_every",
    "export.window",
    "export.overlap",
    "export.batch",
}


@dataclass(frozen=True)
class TableSource:
    """The source of a folder's runs.

    Attributes:
        table: name of the table.
        data: absolute path of the data; None: a synthetic fixture.
        quick: True for tiny networks.
    """

    table: str
    data: str | None
    quick: bool

    def __str__(self) -> str:
        parts = ["bench", self.table, *(["--data", self.data] if self.data else [])]
        return " ".join(parts + ["--quick"] * self.quick)


@contextmanager
def claimed(out: Path, source: TableSource, reporter: Reporter) -> Iterator[None]:
    """Lock a folder while the caller prepares its data, and then record the source of its runs for good.

    Args:
        out: the table's folder.
        source: the source of the caller's runs.
        reporter: receives a line if another process holds the lock.

    Raises:
        UserError: the folder's runs have another source, or its record is damaged.
        Cancelled: the reporter was asked to stop while waiting for the lock.
    """
    path = out / _SOURCE
    with table_lock(out, reporter):
        recorded = _read(path) if path.exists() else _made_before(out, source)
        if recorded != source:
            raise UserError(
                f"{out}: holds runs of `{recorded}`, asked for `{source}`; give another --out, or, if the "
                f"data moved, remove {path}"
            )
        yield
        if not path.exists():
            write_text(path, json.dumps(asdict(source)))


def table_lock(out: Path, reporter: Reporter) -> AbstractContextManager[None]:
    """Make the lock for changes of a table's folder, which one process holds at a time.

    Args:
        out: the table's folder.
        reporter: receives a line if another process holds the lock.

    Returns:
        A context manager, which raises as `held` does.
    """
    return held(out / ".lock", reporter)


def _read(path: Path) -> TableSource:
    try:
        return TableSource(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}); remove it, or give another --out") from None


def _made_before(out: Path, source: TableSource) -> TableSource:
    """Infer the source of a folder without a record: only runs on synthetic data leave a fixture."""
    if (out / "fixture").exists():
        return replace(source, data=None, quick=True)
    used = (out / "runs").exists() or (out / "data").exists()
    return TableSource(source.table, "…", False) if used and source.data is None else source


def check(jobs: Iterable[ExperimentJob]) -> None:
    """Check that runs on disk, and the first trainings that they share, have the jobs' configurations.

    Args:
        jobs: the jobs, with or without a run on disk.

    Raises:
        ConfigError: a run on disk has another configuration.
        WorkspaceError: a run's folder is not a readable workspace.
    """
    used: dict[Path, Config] = {}
    for job in jobs:
        if job.begun:
            used[job.request.root] = job.request.config
        if job.first is not None and WorkspaceFolder.exists(job.first.root):
            used[job.first.root] = job.first.config
    for root, now in used.items():
        found = _difference(WorkspaceFolder.open(root).config, now)
        if found is not None:
            raise ConfigError(
                f"{root}: {found} now; give the options that this run had, or start over with another --out"
            )


def _difference(before: Config, now: Config) -> str | None:
    old, new = _flat(before), _flat(now)
    key = next((key for key in new if old[key] != new[key]), None)
    if key is None:
        return None
    if isinstance(new[key], list):
        return f"{key} would be different"
    return f"{key} was {old[key]} and would be {new[key]}"


def _flat(config: Config) -> dict[str, Any]:
    flat = dotted_keys(config.model_dump(mode="json"))
    # The dataset defines the list's content; its path depends on the spelling of --data.
    if flat["data.labelled_list"] is not None:
        flat["data.labelled_list"] = Path(flat["data.labelled_list"]).name
    return {key: value for key, value in flat.items() if key not in _TRIVIAL}


@contextmanager
def held(path: Path, reporter: Reporter) -> Iterator[None]:
    """Hold a file lock, after all processes that hold it on any machine.

    The operating system releases the lock of a process that dies.

    Args:
        path: the lock's file, whose folder is made if needed.
        reporter: receives a line if another process holds the lock.

    Raises:
        Cancelled: the reporter was asked to stop while waiting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    announced = False
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_POLL_SECONDS)
        except Timeout:
            if reporter.stop.is_set():
                raise Cancelled from None
            if not announced:
                reporter.say(f"Waiting for another process that holds {path} …")
            announced = True
    try:
        yield
    finally:
        lock.release()
