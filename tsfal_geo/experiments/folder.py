"""A table's folder: it keeps to one source and one configuration, also where several machines share it."""

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
from tsfal_geo.errors import Cancelled, ConfigError, UserError
from tsfal_geo.experiments.jobs import ExperimentJob
from tsfal_geo.reporting import Reporter
from tsfal_geo.workspace.folder import WorkspaceFolder

_SOURCE = "source.json"
_POLL_SECONDS = 0.5

# Where a run computes, and how it is watched, not what it computes.
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
    """What a folder's runs were made of.

    Attributes:
        table: name of the table.
        data: absolute path of the data; None: made up.
        quick: with tiny networks.
    """

    table: str
    data: str | None
    quick: bool

    def __str__(self) -> str:
        parts = ["bench", self.table, *(["--data", self.data] if self.data else [])]
        return " ".join(parts + ["--quick"] * self.quick)


@contextmanager
def claimed(out: Path, source: TableSource, reporter: Reporter) -> Iterator[None]:
    """Hold a folder while its data are made ready, and note then of what its runs are made, once and for all.

    Raises:
        UserError: they are made of something else.
        Cancelled: asked to stop while waiting.
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
    """What is done to a table's folder by one call at a time."""
    return held(out / ".lock", reporter)


def _read(path: Path) -> TableSource:
    try:
        return TableSource(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}); remove it, or give another --out") from None


def _made_before(out: Path, source: TableSource) -> TableSource:
    """What a folder without a note shows of its source: of made-up data there is a fixture."""
    if (out / "fixture").exists():
        return replace(source, data=None, quick=True)
    used = (out / "runs").exists() or (out / "data").exists()
    return TableSource(source.table, "…", False) if used and source.data is None else source


def check(jobs: Iterable[ExperimentJob]) -> None:
    """Look whether runs, and first trainings that they share, have the configurations that they would get.

    Args:
        jobs: begun or not.

    Raises:
        ConfigError: one has another.
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
        return f"{key} would be others"
    return f"{key} was {old[key]} and would be {new[key]}"


def _flat(config: Config) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for section, content in config.model_dump(mode="json").items():
        if isinstance(content, dict):
            flat |= {f"{section}.{key}": value for key, value in content.items()}
        else:
            flat[section] = content
    # The list is the dataset's own; its path is as --data was typed.
    if flat["data.labelled_list"] is not None:
        flat["data.labelled_list"] = Path(flat["data.labelled_list"]).name
    return {key: value for key, value in flat.items() if key not in _TRIVIAL}


@contextmanager
def held(path: Path, reporter: Reporter) -> Iterator[None]:
    """Hold a lock, after those who have it, on whatever machine; the operating system frees a dead one's.

    Raises:
        Cancelled: asked to stop while waiting.
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
