"""The cost of a round of queries beside one plain forward pass of the teacher over the same chips.

    python benchmarks/round.py --raster sample_tiles --weights FILE [--chip 512] [--rounds 3]

A network (``model.encoder`` of the default configuration) is trained for some minutes on small chips, so that
its confidence and its error mask decoder are those of a network that knows something; then, in turns:

- forward: read every chip, normalise it, one forward pass in the precision that rounds use;
- round: ``tsfal_geo.rounds.asking.select_queries``, a round after its training: read and inspect every chip
  with its surroundings, error mask decoder, PLAR, regions, ranking, the rasters of every scene; then
  ``queries.gpkg``.

CPU seconds of the process, medians; one thread. ``extra`` is (round - forward) / forward.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
import warnings
from itertools import batched
from pathlib import Path

import rasterio
import torch
from torch.utils.data import default_collate

from tsfal_geo.config import Config, load_config
from tsfal_geo.data.dataset import OrthoDataset
from tsfal_geo.inference.compute import choose_compute
from tsfal_geo.labels.effort import measure_effort
from tsfal_geo.labels.history import take_snapshot
from tsfal_geo.queries.budget import Budget
from tsfal_geo.reporting import SilentReporter
from tsfal_geo.rounds import inspection, loop
from tsfal_geo.rounds import round as rounds
from tsfal_geo.rounds.asking import select_queries
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.open_workspace import open_workspace
from tsfal_geo.rounds.pools import RoundLabels, label_pools
from tsfal_geo.rounds.query_writer import QuerySelection
from tsfal_geo.rounds.request import Request
from tsfal_geo.rounds.round_budget import round_budget
from tsfal_geo.rounds.training import TrainedRound, load_round
from tsfal_geo.workspace.folder import WorkspaceFolder

BATCH = 4


def train_small(root: Path, raster: Path, config: Config) -> None:
    """Round 0 on small chips."""
    loop.train(Request(root, raster, None, config))


def open_round(root: Path, trained: Path, raster: Path, config: Config) -> RoundContext:
    """A workspace with large chips that has the networks of ``trained`` as its round 0."""
    context = open_workspace(Request(root, raster, None, config), SilentReporter()).context
    shutil.copytree(trained / "rounds" / "000", root / "rounds" / "000")
    context.workspace.update(round=0, status="waiting")
    context.workspace.round_dir(1).mkdir()
    return context


def forward(context: RoundContext, trained: TrainedRound) -> None:
    """Every chip once through the teacher."""
    compute, module = choose_compute(), trained.module.eval()
    dataset = OrthoDataset(context.inputs.reader)
    with (
        torch.inference_mode(),
        torch.autocast(compute.device.type, compute.dtype, enabled=compute.dtype is not None),
    ):
        for chips in batched(context.inputs.chips, BATCH):
            samples = default_collate([dataset.read_chip(chip) for chip in chips])
            module.predictor(module.prepared(module.normaliser(samples)))


def full_round(
    context: RoundContext, trained: TrainedRound, labels: RoundLabels, budget: Budget
) -> QuerySelection:
    """All that a round does after its training."""
    selection = select_queries(context, 1, trained, labels, budget)
    context.store.write_queries(1, selection.queries)
    return selection


def mask_share(context: RoundContext) -> float:
    """Share of the scenes' pixels in the error mask."""
    inside = total = 0
    for scene in context.inputs.scenes:
        with rasterio.open(context.workspace.round_dir(1) / scene.name / "error_mask.tif") as dataset:
            values = dataset.read(1)
        inside += int(((values > 0) & (values < 255)).sum())
        total += values.size
    return inside / total


def main() -> None:
    """Train, measure in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--raster", type=Path, default=Path("sample_tiles"))
    parser.add_argument("--weights", help="file with the encoder's weights; left out: random")
    parser.add_argument("--chip", type=int, default=512)
    parser.add_argument("--steps", type=int, default=600, help="of the training on 128-pixel chips")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--keep", type=Path, help="folder for the trained workspace; used again if it is there"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    common = {"data.labelled": 0.15, "model.weights": options.weights, "active.oracle": False}
    small = {
        "data.chip_size": 128,
        "train.steps": options.steps,
        "train.optimiser": "sgd",
        "train.lr": 0.02,
        "train.head_lr_mult": 2.0,
        "train.val_every": options.steps,
        "tsf.bank_momentum": 0.99,
        "tsf.warmup_steps": options.steps * 3 // 4,
    }
    with tempfile.TemporaryDirectory() as folder:
        trained_root = options.keep or Path(folder) / "trained"
        if not WorkspaceFolder.exists(trained_root):
            train_small(trained_root, options.raster, load_config(None, {**common, **small}))
        config = load_config(None, {**common, "data.chip_size": options.chip, "export.batch": BATCH})
        context = open_round(Path(folder) / "round", trained_root, options.raster, config)
        snapshot = take_snapshot(context.store, 1)
        labels = rounds._read_labels(context, snapshot, None)
        trained = load_round(context, 1, labels, label_pools(context.inputs, labels, config, 1))
        effort = measure_effort(snapshot.snapshot, context.store.scenes)
        budget = round_budget(context, 1, labels.spent, effort, 0, training=True)
        seconds: dict[str, list[float]] = {"forward": [], "round": []}
        for turn in range(options.rounds + 1):
            begin = time.process_time()
            forward(context, trained)
            middle = time.process_time()
            selection = full_round(context, trained, labels, budget)
            end = time.process_time()
            if turn:
                seconds["forward"].append(middle - begin)
                seconds["round"].append(end - middle)
            print(f"turn {turn}: forward {middle - begin:.2f}, round {end - middle:.2f}", flush=True)
        plain, full = (statistics.median(values) for values in seconds.values())
        print(
            f"\n{len(context.inputs.chips)} chips of {options.chip}, halo {inspection.HALO}, "
            f"{mask_share(context):.0%} of the pixels in the error mask, {len(selection.queries)} queries; "
            f"load {os.getloadavg()[0]:.1f}\n\n| side | CPU s | times forward |\n|---|---|---|"
        )
        for name, value in (("forward", plain), ("round", full), ("extra", full - plain)):
            print(f"| {name} | {value:.2f} | {value / plain:.2f} |")


if __name__ == "__main__":
    main()
