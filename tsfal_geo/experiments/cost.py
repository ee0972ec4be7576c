"""Costs of optimisation steps: measured run by run, and compared between methods on the same machine."""

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
    """Run a training and record its machine and, unless an earlier call began it, its seconds.

    Seconds are wall-clock time with a GPU, and processor time of this process without one.

    Args:
        root: the run's folder, which gets ``cost.json``.
        run: the training, which runs to its end.
        from_start: True if no earlier call did a part of the training.
    """
    begun = _clock()
    run()
    seconds = _clock() - begun if from_start else None
    write_text(root / _FILE, json.dumps({"machine": machine(), "seconds": seconds}))


def machine() -> str:
    """Name the machine of this process.

    Returns:
        The processor's model and, if PyTorch sees one, the GPU's.
    """
    import torch

    lines = _CPUS.read_text(encoding="utf-8").splitlines() if _CPUS.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    name = next(names, platform.processor() or platform.machine())
    return f"{name}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else name


def machine_of(job: ExperimentJob) -> str | None:
    """Read the machine on which a job ended.

    Args:
        job: a finished job.

    Returns:
        The machine's name; None without a record.
    """
    return _recorded(job).get("machine")


def cost(job: ExperimentJob) -> float | None:
    """Compute the seconds of an optimisation step, including reading, validation and query selection.

    Args:
        job: a finished job. If it shares its first training, only its later rounds count.

    Returns:
        Seconds per step, as `measured` counts them; None for a run that was stopped in between.
    """
    seconds: float | None = _recorded(job).get("seconds")
    if seconds is None:
        return None
    rounds = sorted((job.request.root / "rounds").glob("*/metrics.json"))
    own = rounds if job.first is None else rounds[1:]
    steps = sum(json.loads(path.read_text(encoding="utf-8")).get("steps", 0) for path in own)
    return seconds / steps if steps else None


def relative_costs(
    jobs: Sequence[ExperimentJob], order: Sequence[str]
) -> tuple[str | None, Mapping[str, float]]:
    """Compare each row's cost of a step with the cost in the reference row, the first row with a measurement.

    The comparison is between runs on the same machine. A row without a run on a machine of the reference row
    has no cost.

    Args:
        jobs: the finished jobs.
        order: names of the rows, the preferred reference row first.

    Returns:
        The name of the reference row, None without any measurement; and the mean ratio of costs by row.
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


def _recorded(job: ExperimentJob) -> dict[str, Any]:
    path = job.request.root / _FILE
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return values


def _clock() -> float:
    import torch

    return time.monotonic() if torch.cuda.is_available() else time.process_time()
