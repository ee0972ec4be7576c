"""PLAR on one 512 x 512 chip: tsfal-geo beside a per-pixel loop and beside vectorised NumPy and SciPy.

Run ``python benchmarks/plar.py`` (a minute or two on one thread). One chip has 128 x 128 cells, F1 and F2
with 256 channels each (F1 at stride 16), 6 classes and an error mask of 20 %. Each side does the whole job:
F1 on F2's grid, class means and pooled Ledoit-Wolf covariance from the support, Euclidean and Mahalanobis
distances at both levels, medians, mixture, vote. Once the support is all cells outside the mask (an image
that nobody has labelled yet), once manual cells alone (``--manual``, 3 % of the image).

- loop: what one writes down first. Per level, once and vectorised: class means by ``mean``, pooled
  ``sklearn.covariance.LedoitWolf``, one ``inv``; then for each cell of the mask and each class a call of
  ``scipy.spatial.distance.euclidean`` and one of ``mahalanobis``. Nothing in it is slowed down; statistics in
  Python loops would make it slower still;
- cdist: the same statistics, all cells at once with ``cdist`` (``mahalanobis`` with ``VI``);
- whitened: as cdist, but whitened by NumPy first, so that ``cdist`` is Euclidean: the best we could do in
  NumPy;
- tsfal-geo: ``tsfal_geo.refinement.plar.plar``, votes, margins and masks included.

NumPy's sides work in float64, which is what ``cdist`` and the loop compute in whatever they are given.
The sides must vote alike (cells whose two nearest classes are as far within rounding may differ). Then they
run in turns (A B C A B C …) in one process, each after two runs that do not count. The table gives medians.
With one thread the ratios are of CPU time, since wall time suffers from whatever else the machine does; with
``--threads`` they are of wall time, and mean something only on a machine that has these cores to itself.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial.distance import cdist, euclidean, mahalanobis
from sklearn.covariance import LedoitWolf

from tsfal_geo.config import PlarConfig
from tsfal_geo.refinement.plar import plar

CLASSES, CHANNELS, CELLS, COARSE = 6, 256, 128, 32
LAMBDAS = (0.3, 0.3)
WARM_UPS = 2
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def make_chip(share: float, manual: float, layout: str) -> dict[str, torch.Tensor]:
    """Features as a decoder gives them: rectified, correlated, classes in patches."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, CLASSES, (CELLS // 8, CELLS // 8)).repeat(8, 0).repeat(8, 1)
    chip = {"pseudo": torch.from_numpy(truth).to(torch.uint8)}
    for name, side in (("f1", COARSE), ("f2", CELLS)):
        step = CELLS // side
        means, mix = rng.normal(size=(CLASSES, CHANNELS)), rng.normal(size=(24, CHANNELS)) / 3
        hidden = rng.normal(size=(side, side, 24)) @ mix + 0.3 * rng.normal(size=(side, side, CHANNELS))
        values = np.maximum(0.6 * means[truth[::step, ::step]] + hidden, 0).astype(np.float32)
        features = torch.from_numpy(values).permute(2, 0, 1)
        chip[name] = features if layout == "channels_last" else features.contiguous()
    mask = torch.from_numpy(rng.random((CELLS, CELLS)) < share)
    asked = torch.from_numpy(rng.random((CELLS, CELLS)) < manual)
    chip["manual"] = torch.where(asked, chip["pseudo"], 255).to(torch.uint8)
    chip["mask"] = mask & ~asked
    chip["support"] = asked if manual else ~mask
    return chip


def ours(chip: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """tsfal-geo: nearest class by Euclid and by Mahalanobis of the mask's cells."""
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


def enlarge(features: np.ndarray) -> np.ndarray:
    """F1 (D, 32, 32) on the grid of cells, bilinear with half-pixel centres."""
    at = np.clip((np.arange(CELLS) + 0.5) * COARSE / CELLS - 0.5, 0, COARSE - 1)
    low = at.astype(int)
    high, part = np.minimum(low + 1, COARSE - 1), (at - low).astype(features.dtype)
    rows = features[:, low] * (1 - part)[:, None] + features[:, high] * part[:, None]
    return rows[:, :, low] * (1 - part) + rows[:, :, high] * part


def statistics_of(chip: dict[str, torch.Tensor]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Query cells (n, D), class means (C, D) and pooled covariance (D, D) of both levels, float64."""
    mask, known = chip["mask"].numpy().ravel(), chip["support"].numpy().ravel()
    own = chip["pseudo"].numpy().ravel()[known]
    found = []
    for level in (enlarge(chip["f1"].numpy()), chip["f2"].numpy()):
        x = level.reshape(CHANNELS, -1).T.astype(np.float64)
        support = x[known]
        means = np.stack([support[own == c].mean(0) for c in range(CLASSES)])
        covariance = LedoitWolf(assume_centered=True).fit(support - means[own]).covariance_
        covariance += 1e-6 * np.trace(covariance) / CHANNELS * np.eye(CHANNELS)
        found.append((x[mask], means, covariance))
    return found


def vote(euclids: list[np.ndarray], mahals: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Levels divided by their medians, mixed; nearest classes."""
    nearest = []
    for (first, second), share in zip((euclids, mahals), LAMBDAS, strict=True):
        mixed = share * first / np.median(first) + (1 - share) * second / np.median(second)
        nearest.append(mixed.argmin(1))
    return nearest[0], nearest[1]


def loop(chip: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """A cell and a class at a time."""
    euclids, mahals = [], []
    for x, means, covariance in statistics_of(chip):
        inverse = np.linalg.inv(covariance)
        euclids.append(np.array([[euclidean(cell, mean) for mean in means] for cell in x]))
        mahals.append(np.array([[mahalanobis(cell, mean, inverse) for mean in means] for cell in x]))
    return vote(euclids, mahals)


def vectorised(chip: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """All cells at once."""
    levels = statistics_of(chip)
    return vote(
        [cdist(x, means) for x, means, _ in levels],
        [cdist(x, means, "mahalanobis", VI=np.linalg.inv(covariance)) for x, means, covariance in levels],
    )


def whitened(chip: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """All cells at once, whitened by the Cholesky factor."""
    levels = statistics_of(chip)
    mahals = []
    for x, means, covariance in levels:
        factor = np.linalg.inv(np.linalg.cholesky(covariance)).T
        mahals.append(cdist(x @ factor, means @ factor))
    return vote([cdist(x, means) for x, means, _ in levels], mahals)


def check_alike(sides: dict[str, Callable], chip: dict[str, torch.Tensor]) -> None:
    """All sides vote as the loop does; more than one cell in a thousand that differs ends the run."""
    expected = loop(chip)
    for name, side in sides.items():
        for kind, found, wanted in zip(("Euclid", "Mahalanobis"), side(chip), expected, strict=True):
            alike = float((found == wanted).mean())
            print(f"{name}: {alike:.2%} of {len(found)} cells as the loop ({kind})")
            if alike < 0.999:
                raise SystemExit(f"{name} differs from the loop")


def measure(
    sides: dict[str, Callable], chip: dict[str, torch.Tensor], rounds: int
) -> dict[str, tuple[float, float]]:
    """Median CPU and wall seconds of each side, in turns."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            # Caches, and the threads of the side before: those of NumPy's BLAS spin for a while after it.
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
    sides = {"loop": loop, "cdist": vectorised, "whitened": whitened, "tsfal-geo": ours}
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
    # BLAS reads this once, when it starts: NumPy's side must have as many.
    if os.environ.get("OMP_NUM_THREADS") != str(count):
        os.environ.update(dict.fromkeys(_THREADS, str(count)))
        os.execv(sys.executable, [sys.executable, *sys.argv])


if __name__ == "__main__":
    main()
