"""The trainings of a table: which there are, and running them, several at a time, from where they stopped."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tsfal_geo.active.ablation import FIRST, MODES, slug
from tsfal_geo.active.branching import begin, branch_off
from tsfal_geo.active.loop import Reporter, Request, train
from tsfal_geo.bench.tables import Changes, Row, Table
from tsfal_geo.config import Config, load_config
from tsfal_geo.errors import Cancelled
from tsfal_geo.workspace.atomic import write_text
from tsfal_geo.workspace.layout import Workspace

_COST = "cost.json"


@dataclass(frozen=True)
class Job:
    """One training, or a row's rounds.

    Attributes:
        row: the system's name.
        share: name of the labelled share; empty in tables without.
        seed: of everything random.
        request: what is trained, and where.
        first: the training that it begins with a copy of; None: it begins by itself.
    """

    row: str
    share: str
    seed: int
    request: Request
    first: Request | None

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        root = self.request.root
        return Workspace.exists(root) and Workspace.open(root).state.status == "done"


@dataclass(frozen=True)
class Data:
    """Where a table's pictures are.

    Attributes:
        raster: training scenes.
        report: the scenes whose mIoU is reported.
        lists: folder of the dataset's own lists of labelled scenes (``1_16.txt`` …); None without.
        base: the dataset's configuration.
    """

    raster: Path
    report: Path
    lists: Path | None
    base: Config

    def is_of(self, table: Table) -> bool:
        """Whether they have the classes of the dataset that the paper's table is about."""
        return tuple(spec.name for spec in self.base.classes or ()) == table.classes


def jobs_of(
    table: Table,
    data: Data,
    out: Path,
    seeds: Sequence[int],
    rows: Sequence[str],
    changes: Changes,
    most_rounds: int | None = None,
) -> list[Job]:
    """The jobs of a table, the seeds one after the other, so that a table can be read before all are done.

    Args:
        table: which.
        data: where its pictures are.
        out: runs are in its ``runs/``.
        seeds: of the runs.
        rows: names of the rows wanted.
        changes: what the user sets; they win over the table's, the rows' own win over them.
        most_rounds: of rows that have a number of their own; None: as many as they have.

    Raises:
        ConfigError: keys or values that no configuration has.
    """
    base = load_config(None, {**table.base, **changes}, data.base)
    jobs = []
    for seed in seeds:
        for row in table.rows:
            if row.name not in rows:
                continue
            for share in table.shares or ("",):
                config = _row_config(base, row, seed, most_rounds)
                config = _with_share(config, table, share, data)
                name = "-".join(slug(part) for part in (row.name, share, str(seed)) if part)
                request = Request(out / "runs" / name, data.raster, data.report, config)
                first = None
                if row.shares_first and config.active.rounds:
                    alone = load_config(None, {"train.seed": seed, **MODES[FIRST]}, base)
                    first = replace(request, root=out / "runs" / f"first-{seed}", config=alone)
                jobs.append(Job(row.name, share, seed, request, first))
    return jobs


def _row_config(base: Config, row: Row, seed: int, most_rounds: int | None) -> Config:
    changes = dict(row.changes)
    steps = base.train.steps
    if changes.get("active.rounds", base.active.rounds) == 0 and row.shares_first:
        # A row without queries trains as long as those that go on after them.
        steps += base.active.rounds * max(1, round(steps * base.active.round_steps))
    changes["train.steps"] = max(1, round(steps * row.steps))
    if most_rounds is not None and changes.get("active.rounds", 0) > most_rounds:
        changes["active.rounds"] = most_rounds
    return load_config(None, {"active.oracle": True, "train.seed": seed, **changes}, base)


def _with_share(config: Config, table: Table, share: str, data: Data) -> Config:
    if not share:
        return config
    listed = None if data.lists is None else data.lists / f"{share.replace('/', '_')}.txt"
    if listed is not None and listed.exists():
        return load_config(None, {"data.labelled_list": str(listed)}, config)
    return load_config(None, {"data.labelled": table.shares[share]}, config)


def run_jobs(jobs: Sequence[Job], workers: int, reporter: Reporter) -> Iterator[Job]:
    """Run what is not done yet; gives each job as it ends, done ones first.

    Args:
        jobs: of one table.
        workers: processes; with several GPUs each has one of them to itself.
        reporter: is told of progress.

    Raises:
        UserError: as training raises.
        Cancelled: asked to stop; the next call goes on from there.
    """
    yield from (job for job in jobs if job.done)
    waiting = [job for job in jobs if not job.done]
    firsts = {job.first.root: job.first for job in waiting if job.first is not None}
    if workers == 1:
        for job in waiting:
            reporter.say(f"— {_name(job)} —")
            execute(job, reporter)
            yield job
        return
    context = multiprocessing.get_context("spawn")
    places = context.Queue()
    devices = _devices()
    for number in range(workers):
        places.put(devices[number % len(devices)] if devices else None)
    with ProcessPoolExecutor(workers, context, prepare_worker, (places,)) as pool:
        for future in as_completed([pool.submit(_begin_quietly, first) for first in firsts.values()]):
            future.result()
        futures = {pool.submit(_execute_quietly, job): job for job in waiting}
        for future in as_completed(futures):
            if reporter.stop.is_set():
                pool.shutdown(cancel_futures=True)
                raise Cancelled
            future.result()
            reporter.say(f"done: {_name(futures[future])}")
            yield futures[future]


def execute(job: Job, reporter: Reporter) -> None:
    """Run a job to its end and note what it cost, if it ran in one go."""
    whole = not Workspace.exists(job.request.root)
    if job.first is not None:
        branch_off(job.request, job.first, reporter)
    begun = _clock()
    train(job.request, reporter)
    if whole:
        write_text(job.request.root / _COST, json.dumps({"seconds": _clock() - begun}))


def cost(job: Job) -> float | None:
    """Seconds an optimisation step (reading and one validation included), of one core or of the GPU.

    None where the run was stopped in between.
    """
    path = job.request.root / _COST
    if not path.exists():
        return None
    workspace = Workspace.open(job.request.root)
    steps = sum(
        json.loads((workspace.round_dir(n) / "metrics.json").read_text(encoding="utf-8")).get("steps", 0)
        for n in range(workspace.current_round + 1)
    )
    seconds: float = json.loads(path.read_text(encoding="utf-8"))["seconds"]
    return seconds / steps


def _clock() -> float:
    import torch

    return time.monotonic() if torch.cuda.is_available() else time.process_time()


def _name(job: Job) -> str:
    return ", ".join(part for part in (job.row, job.share, f"seed {job.seed}") if part)


class _Quiet:
    """A reporter for processes whose output nobody reads."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    def event(self, event: dict[str, Any]) -> None: ...
    def progress(self, fraction: float, stage: str) -> None: ...
    def say(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...
    def artefact(self, kind: str, path: Path) -> None: ...
    def result(self, values: dict[str, Any]) -> None: ...
    def log_to(self, runs: Path) -> None: ...


def _execute_quietly(job: Job) -> None:
    execute(job, _Quiet())


def _begin_quietly(first: Request) -> None:
    begin(first, _Quiet())


def _devices() -> list[str]:
    """The GPUs that may be used, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]


def prepare_worker(places: Any) -> None:
    """Give this process its GPU before anything asks for one, and let it end with the process that began it.

    A pool's worker whose parent was killed would go on training, or wait for ever.
    """
    device = places.get()
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: Any) -> None:
    parent.join()
    os._exit(1)
