"""Measure a live session: opening, an answer until its map is written, the next query, a fit from scratch.

    python benchmarks/live.py [--rasters sample_tiles] [--answers 200] [--view 1024]
    python benchmarks/live.py --desktop      # key to screen, in the real QGIS under Xvfb

The oracle answers by the label rasters, one query after the other, as a person would. Seconds are medians and
95th percentiles over the answers; the session fits in the background, as in the plugin.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tsfal_geo import create_workspace
from tsfal_geo.config import load_config
from tsfal_geo.live.session import LiveSession
from tsfal_geo.raster.chips import Window
from tsfal_geo.rounds.oracle import Oracle

HOME = Path(__file__).parents[1]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rasters", type=Path, default=HOME / "sample_tiles")
    parser.add_argument("--config", type=Path, default=HOME / "configs" / "cpu_demo.yaml")
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--view", type=int, default=1024)
    parser.add_argument("--desktop", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "ws"
        changes = {
            "train.method": "instant",
            "data.labelled": 0.0,
            "active.oracle": False,
            "active.answers": 4 * options.answers,
        }
        create_workspace(root, options.rasters, config=load_config(options.config, changes)).train()
        if options.desktop:
            desktop(root, Path(folder) / "pictures")
        else:
            measure(root, options.answers, options.view)


def measure(root: Path, answers: int, view: int) -> None:
    """Answer queries, and print a table.

    Args:
        root: the workspace.
        answers: number of answers.
        view: pixels of a side of the window that is mapped.
    """
    begun = time.perf_counter()
    seconds: dict[str, list[float]] = {name: [] for name in ("next", "follow", "map", "write", "total")}
    with LiveSession(root, background=True) as session:
        opened = time.perf_counter() - begun
        context = session._round.context
        config = load_config(None, {"active.oracle_answers": "mixed"}, context.config)
        oracle = Oracle(context.inputs, config.active, 0)
        for _ in range(answers):
            marks = [time.perf_counter()]
            queries = session.next(1)
            marks.append(time.perf_counter())
            if not queries:
                break
            ((labels, decision),) = oracle.answers(queries)
            context.store.add("anna", labels, [decision])
            committed = time.perf_counter()
            with session.first():
                session.poll()
                followed = time.perf_counter()
                if session.model.model.classifier is None:
                    continue
                found = session.map(queries[0].scene, Window(0, 0, 0, view, view))
                mapped = time.perf_counter()
                session.write(found)
            written = time.perf_counter()
            for name, value in (
                ("next", marks[1] - marks[0]),
                ("follow", followed - committed),
                ("map", mapped - followed),
                ("write", written - mapped),
                ("total", written - committed),
            ):
                seconds[name].append(value)
            # A person looks at the next query meanwhile; the background has this time.
            time.sleep(0.5)
        begun = time.perf_counter()
        session.refit()
        refit = time.perf_counter() - begun
        cells = session.state()["cells"]
    count = len(seconds["total"])
    print(f"open {opened:.2f} s; fit from scratch, {count} answers, {cells} cells: {refit:.2f} s")
    print("| step | median (s) | 95 % (s) |\n|---|---:|---:|")
    for name, values in seconds.items():
        print(f"| {name} | {np.median(values):.3f} | {np.quantile(values, 0.95):.3f} |")
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


def desktop(root: Path, pictures: Path) -> None:
    """Answer in the real QGIS, and print what its driver measured.

    Args:
        root: the workspace.
        pictures: folder for the pictures.
    """
    scripts = HOME / "qgis_plugin" / "tests" / "desktop"
    engine = Path(sys.executable).with_name("tsfal-geo")
    words = [sys.executable, str(scripts / "run.py"), str(scripts / "live.py"), str(pictures), str(root)]
    subprocess.run([*words, str(engine)], check=True, stdout=subprocess.DEVNULL)
    verdict = json.loads((pictures / "verdict.json").read_text(encoding="utf-8"))
    for step in verdict["steps"]:
        print(step)


if __name__ == "__main__":
    main()
