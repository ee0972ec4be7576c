"""PLAR on one chip of 512 x 512 pixels: tsfal-geo beside a loop over cells, and beside NumPy and SciPy.

Run ``python benchmarks/plar.py`` (a minute or two on one thread). The chip has 128 x 128 cells, 6 classes and
an error mask of 20 %. F1 (at stride 16) and F2 have 256 channels each. Each side does the complete job: F1 on
F2's grid, class means and pooled Ledoit-Wolf covariance from the support, Euclidean and Mahalanobis
distances at both levels, medians, mixture, vote. In the first run all cells outside the mask are support
(an image without labels), in the second manual cells alone (``--manual``, 3 % of the image).

- loop: the first version that one writes. Once a level, vectorised: class means by ``mean``, pooled
  ``sklearn.covariance.LedoitWolf``, one ``inv``. Then, for each cell of the mask and each class, a call of
  ``scipy.spatial.distance.euclidean`` and one of ``mahalanobis``. Statistics in Python loops would be slower.
- cdist: the same statistics, and all cells at once with ``cdist`` (``mahalanobis`` with ``VI``).
- whitened: as cdist, but NumPy whitens first, so that ``cdist`` is Euclidean. We know no faster way in NumPy.
- tsfal-geo: ``tsfal_geo.refinement.plar.plar``, with votes, margins and masks.

NumPy's sides compute in float64, as ``cdist`` and the loop do for any input. All sides must vote alike; cells
whose two nearest classes are equally far, up to rounding, may differ. Then the sides run in turns (A B C A
B C) in one process, each after two runs that do not count. The table gives medians. With one thread the
ratios are of CPU time, since other processes disturb wall time. With ``--threads`` they are of wall time,
and valid only on a machine that runs nothing else.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, euclidean, mahalanobis
from sklearn.covariance import LedoitWolf

from tsfal_geo.config import PlarConfig
from tsfal_geo.refinement.plar import plar

CLASSES, CHANNELS, CELLS, COARSE = 6, 256, 128, 32
LAMBDAS = (0.3, 0.3)
Chip = dict[str, torch.Tensor]
Floats = NDArray[np.floating[Any]]
Votes = tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]
Side = Callable[[Chip], Votes]
WARM_UPS = 2
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def make_chip(share: float, manual: float, layout: str) -> Chip:
    """Draw features like those of a decoder: rectified, correlated, classes in patches."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, CLASSES, (CELLS // 8, CELLS // 8)).repeat(8, 0).repeat(8, 1)
    chip: Chip = {"pseudo": torch.from_numpy(truth).to(torch.uint8)}
    for name, side in (("f1", COARSE), ("f2", CELLS)):
        step = CELLS // side
        means, mix = rng.normal(size=(CLASSES, CHANNELS)), rng.normal(size=(24, CHANNELS)) / 3
        hidden = rng.normal(size=(side, side, 24)) @ mix + 0.3 * rng.normal(size=(side, side, CHANNELS))
        values = np.maximum(0.6 * means[truth[::step, ::step]] + hidden, 0).astype(np.float32)
        features = torch.from_numpy(values).permute(2, 0, 1)
        chip[name] = features if layout == "channels_last" else features.contiguous()
    mask = torch.from_numpy(rng.random((CELLS, CELLS)) < share)
    labelled = torch.from_numpy(rng.random((CELLS, CELLS)) < manual)
    chip["manual"] = torch.where(labelled, chip["pseudo"], 255).to(torch.uint8)
    chip["mask"] = mask & ~labelled
    chip["support"] = labelled if manual else ~mask
    return chip


def ours(chip: Chip) -> Votes:
    """Run tsfal-geo: nearest classes of the mask's cells by Euclidean and by Mahalanobis distance."""
    result = plar(
        chip["f1"],
        chip["f2"],
        chip["pseudo"],
        torch.ones(CELLS, CELLS),
        chip["mask"],
        chip["manual"],
        torch.tensor(LAMBDAS),
        PlarConfig(),
        CLASSES,
    )
    return result.euclid[chip["mask"]].numpy(), result.mahalanobis[chip["mask"]].numpy()


def upsample(features: Floats) -> Floats:
    """Upsample F1 (D, 32, 32) to the grid of cells, bilinear with half-pixel centres."""
    at = np.clip((np.arange(CELLS) + 0.5) * COARSE / CELLS - 0.5, 0, COARSE - 1)
    low = at.astype(int)
    high, part = np.minimum(low + 1, COARSE - 1), (at - low).astype(features.dtype)
    rows = features[:, low] * (1 - part)[:, None] + features[:, high] * part[:, None]
    upsampled: Floats = rows[:, :, low] * (1 - part) + rows[:, :, high] * part
    return upsampled


def statistics_of(chip: Chip) -> list[tuple[Floats, Floats, Floats]]:
    """Compute query cells (n, D), class means (C, D) and pooled covariance (D, D) of both levels, float64."""
    mask, supporting = chip["mask"].numpy().ravel(), chip["support"].numpy().ravel()
    own = chip["pseudo"].numpy().ravel()[supporting]
    found = []
    for level in (upsample(chip["f1"].numpy()), chip["f2"].numpy()):
        x = level.reshape(CHANNELS, -1).T.astype(np.float64)
        support = x[supporting]
        means = np.stack([support[own == c].mean(0) for c in range(CLASSES)])
        covariance = LedoitWolf(assume_centered=True).fit(support - means[own]).covariance_
        covariance += 1e-6 * np.trace(covariance) / CHANNELS * np.eye(CHANNELS)
        found.append((x[mask], means, covariance))
    return found


def vote(euclids: list[Floats], mahals: list[Floats]) -> Votes:
    """Divide levels by their medians, mix them, and return the nearest classes."""
    nearest = []
    for (first, second), share in zip((euclids, mahals), LAMBDAS, strict=True):
        mixed = share * first / np.median(first) + (1 - share) * second / np.median(second)
        nearest.append(mixed.argmin(1))
    return nearest[0], nearest[1]


def loop(chip: Chip) -> Votes:
    """Compute one distance a call, for each cell and class."""
    euclids, mahals = [], []
    for x, means, covariance in statistics_of(chip):
        inverse = np.linalg.inv(covariance)
        euclids.append(np.array([[euclidean(cell, mean) for mean in means] for cell in x]))
        mahals.append(np.array([[mahalanobis(cell, mean, inverse) for mean in means] for cell in x]))
    return vote(euclids, mahals)


def vectorised(chip: Chip) -> Votes:
    """Compute all cells at once."""
    levels = statistics_of(chip)
    return vote(
        [cdist(x, means) for x, means, _ in levels],
        [cdist(x, means, "mahalanobis", VI=np.linalg.inv(covariance)) for x, means, covariance in levels],
    )


def whitened(chip: Chip) -> Votes:
    """Compute all cells at once, whitened by the Cholesky factor."""
    levels = statistics_of(chip)
    mahals = []
    for x, means, covariance in levels:
        factor = np.linalg.inv(np.linalg.cholesky(covariance)).T
        mahals.append(cdist(x @ factor, means @ factor))
    return vote([cdist(x, means) for x, means, _ in levels], mahals)


def check_alike(sides: dict[str, Side], chip: Chip) -> None:
    """Compare the sides' votes with the loop's; end the run if one cell in a thousand differs."""
    expected = loop(chip)
    for name, side in sides.items():
        for kind, found, by_loop in zip(("Euclid", "Mahalanobis"), side(chip), expected, strict=True):
            alike = float((found == by_loop).mean())
            print(f"{name}: {alike:.2%} of {len(found)} cells as the loop ({kind})")
            if alike < 0.999:
                raise SystemExit(f"{name} differs from the loop")


def measure(sides: dict[str, Side], chip: Chip, rounds: int) -> dict[str, tuple[float, float]]:
    """Return the median CPU and wall seconds of each side, run in turns."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            # These fill the caches, and let the BLAS threads of the side before stop spinning.
            for _ in range(WARM_UPS):
                side(chip)
            cpu, wall = time.process_time(), time.perf_counter()
            side(chip)
            times[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    return {
        name: (statistics.median(c for c, _ in runs), statistics.median(w for _, w in runs))
        for name, runs in times.items()
    }


def main() -> None:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mask", type=float, default=0.2, help="share of cells in the error mask")
    parser.add_argument("--manual", type=float, default=0.03, help="share of manual cells in the image")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch and of NumPy's BLAS")
    parser.add_argument("--layout", choices=["channels_last", "channels_first"], default="channels_last")
    options = parser.parse_args()
    _use_threads(options.threads)
    kind = 0 if options.threads == 1 else 1
    sides: dict[str, Side] = {"loop": loop, "cdist": vectorised, "whitened": whitened, "tsfal-geo": ours}
    rows = []
    for support, manual in (("reliable", 0.0), ("manual", options.manual)):
        chip = make_chip(options.mask, manual, options.layout)
        check_alike(sides, chip)
        found = measure(sides, chip, options.rounds)
        best = found["tsfal-geo"]
        rows += [
            f"| {support} | {n} | {times[0]:.3f} | {times[1]:.3f} | {times[kind] / best[kind]:.1f} |"
            for n, times in found.items()
        ]
    print(
        f"\n{options.threads} thread(s), load {os.getloadavg()[0]:.1f}, "
        f"medians of {options.rounds} rounds in turns\n"
    )
    print(f"| support | side | CPU s | wall s | times tsfal-geo's {('CPU', 'wall')[kind]} |")
    print("|---|---|---|---|---|")
    print("\n".join(rows))


def _use_threads(count: int) -> None:
    torch.set_num_threads(count)
    # BLAS reads this once, when it starts, so the process starts anew.
    if os.environ.get("OMP_NUM_THREADS") != str(count):
        os.environ.update(dict.fromkeys(_THREADS, str(count)))
        os.execv(sys.executable, [sys.executable, *sys.argv])


if __name__ == "__main__":
    main()
