"""What a run's steps cost, on which machine, and how the systems of a table compare in it."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from tsfal_geo.atomic import write_text
from tsfal_geo.experiments.jobs import ExperimentJob

_FILE = "cost.json"
_CPUS = Path("/proc/cpuinfo")


def measured(root: Path, run: Callable[[], object], *, from_start: bool) -> None:
    """Run a training and note beside it on which machine it ran and, where it ran in one go, what it cost.

    Args:
        root: the run's folder.
        run: the training, to its end.
        from_start: nothing of it was done before.
    """
    begun = _clock()
    run()
    seconds = _clock() - begun if from_start else None
    write_text(root / _FILE, json.dumps({"machine": machine(), "seconds": seconds}))


def machine() -> str:
    """The processor and, where there is one, the GPU of this process."""
    import torch

    lines = _CPUS.read_text(encoding="utf-8").splitlines() if _CPUS.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    name = next(names, platform.processor() or platform.machine())
    return f"{name}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else name


def machine_of(job: ExperimentJob) -> str | None:
    """Where a finished job ended; None where that was not noted."""
    return _noted(job).get("machine")


def cost(job: ExperimentJob) -> float | None:
    """Seconds an optimisation step (reading, one validation and asking included), of one core or of the GPU.

    None where the run was stopped in between. Of rows that share their first training the later rounds count.
    """
    seconds: float | None = _noted(job).get("seconds")
    if seconds is None:
        return None
    rounds = sorted((job.request.root / "rounds").glob("*/metrics.json"))
    own = rounds if job.first is None else rounds[1:]
    steps = sum(json.loads(path.read_text(encoding="utf-8")).get("steps", 0) for path in own)
    return seconds / steps if steps else None


def relative_costs(
    jobs: Sequence[ExperimentJob], order: Sequence[str]
) -> tuple[str | None, Mapping[str, float]]:
    """Each row's cost of a step in those of the first row that was measured.

    Runs are compared with runs on the same machine; a row that shares none with the first row is left out.

    Args:
        jobs: finished ones.
        order: names of the rows, the one to compare with first.

    Returns:
        The row compared with, None where nothing was measured, and the costs.
    """
    seconds: dict[str, dict[str | None, list[float]]] = {}
    for job in jobs:
        value = cost(job)
        if value is not None:
            seconds.setdefault(job.row, {}).setdefault(machine_of(job), []).append(value)
    reference = next((row for row in order if row in seconds), None)
    if reference is None:
        return None, {}
    baseline = {host: mean(values) for host, values in seconds[reference].items()}
    ratios = {
        row: [
            value / baseline[host] for host, values in hosts.items() if host in baseline for value in values
        ]
        for row, hosts in seconds.items()
    }
    return reference, {row: mean(values) for row, values in ratios.items() if values}


def _noted(job: ExperimentJob) -> dict[str, Any]:
    path = job.request.root / _FILE
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return values


def _clock() -> float:
    import torch

    return time.monotonic() if torch.cuda.is_available() else time.process_time()
