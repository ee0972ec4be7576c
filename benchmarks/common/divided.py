"""``maps.py dask``: wall time of one export, undivided and divided; a thread each process."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from chips import write_raster
from common.load import load
from common.networks import BATCH, OVERLAP, WINDOW, save_mobilenet

from tsfal_geo.inference.network import Network, open_network
from tsfal_geo.mapping.compatibility import open_scenes
from tsfal_geo.mapping.outputs.blocks import MappingJob, assemble, run_local
from tsfal_geo.mapping.outputs.cluster import connect, run_on
from tsfal_geo.mapping.outputs.rasters import export_scene
from tsfal_geo.mapping.scene import Settings
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.write import BLOCK

SETTINGS = Settings(WINDOW, OVERLAP, BATCH)


def divided(options: argparse.Namespace) -> None:
    """Print a table. Workers import what they need and load the model in that time, as they do for people."""
    torch.set_num_threads(1)
    side = max(BLOCK, options.size // 2 // BLOCK * BLOCK)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "town").mkdir()
        write_raster(folder / "town" / "town.tif", options.size)
        save_mobilenet(folder / "model")
        (scene,) = discover(folder / "town")
        network = open_network(folder / "model")
        reader = open_scenes([scene], network.card, "uint8")

        def job(out: str) -> MappingJob:
            return MappingJob(folder / "model", scene, "uint8", folder / out, SETTINGS, threads=1, side=side)

        sides = {
            "one process, undivided": lambda: undivided(reader, network, folder / "maps"),
            "one process, in blocks": lambda: in_blocks(job("blocks")),
            "1 worker": lambda: on_workers(job("one"), 1),
            "2 workers": lambda: on_workers(job("two"), 2),
        }
        print(f"\n{options.size}², windows of {WINDOW}, blocks of {side}²; {load()}\n")
        print("| side | wall s | of which the cluster's start | ratio | bytes as in blocks |\n|-|-:|-:|-:|-|")
        found = {name: timed(run) for name, run in sides.items()}
    first, expected = found["one process, undivided"][0], found["one process, in blocks"][2]
    for name, (seconds, start, content) in found.items():
        same = "yes" if content == expected else "no"
        print(f"| {name} | {seconds:.1f} | {start:.1f} | {seconds / first:.2f} | {same} |")


def timed(run: Callable[[], tuple[float, Path]]) -> tuple[float, float, bytes]:
    start = time.perf_counter()
    ready, path = run()
    return time.perf_counter() - start, ready, path.read_bytes()


def undivided(reader: SceneReader, network: Network, out: Path) -> tuple[float, Path]:
    return 0.0, export_scene(reader, 0, network, out, SETTINGS).classes


def _assembled(job: MappingJob) -> Path:
    files = assemble(job)
    assert files is not None
    return files.classes


def in_blocks(job: MappingJob) -> tuple[float, Path]:
    for _ in run_local(job):
        pass
    return 0.0, _assembled(job)


def on_workers(job: MappingJob, workers: int) -> tuple[float, Path]:
    start = time.perf_counter()
    with connect(None, workers) as client:
        ready = time.perf_counter() - start
        for _ in run_on(client, job):
            pass
        return ready, _assembled(job)
