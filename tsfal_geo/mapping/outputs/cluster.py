"""Blocks on the workers of a Dask cluster: local processes, or those of a scheduler that runs already.

A task is one block, which writes its own file and returns a few bytes. Two tasks a worker are in flight, so
that the scheduler's graph stays small however large the scene is. Dask gives the task of a lost worker to
another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tsfal_geo.errors import UserError
from tsfal_geo.mapping.outputs.blocks import MappingJob, predict_block
from tsfal_geo.mapping.windowed import Block

if TYPE_CHECKING:
    from distributed import Client

_AHEAD = 2  # tasks a worker that are in flight
_RETRIES = 3


@contextmanager
def connect(scheduler: str | None, workers: int) -> Iterator[Client]:
    """Connect to a cluster, or start one.

    Args:
        scheduler: address such as ``tcp://host:8786``; None starts local processes.
        workers: number of local processes, of one thread each.

    Yields:
        A client; it is closed, and local processes end, when the context is left.

    Raises:
        UserError: Dask is not installed, or the scheduler does not answer.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise UserError("--workers and --scheduler need Dask: pip install 'tsfal-geo[dask]'") from None
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=20)
        except (OSError, ValueError) as error:
            raise UserError(f"--scheduler {scheduler}: does not answer ({error})") from None
        with client:
            yield client
        return
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, memory_limit=0, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def run_on(client: Client, job: MappingJob) -> Iterator[Block]:
    """Predict the open blocks of a job on a cluster's workers.

    Args:
        client: of `connect`.
        job: the scene's job; its paths must be valid on every worker.

    Yields:
        Each block, once it has its file.

    Raises:
        UserError: as `predict_block`, on any of the workers.
    """
    from distributed import as_completed

    waiting = iter(job.open_blocks())
    block_of = {}
    workers = max(1, sum(client.nthreads().values()))

    def submit() -> bool:
        block = next(waiting, None)
        if block is None:
            return False
        future = client.submit(predict_block, job, block, pure=False, retries=_RETRIES)
        block_of[future.key] = block
        running.add(future)
        return True

    running = as_completed()
    for _ in range(_AHEAD * workers):
        submit()
    for future in running:
        future.result()
        yield block_of.pop(future.key)
        submit()
