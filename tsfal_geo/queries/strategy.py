"""The one interface of query strategies, and their register."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsfal_geo.errors import ConfigError
from tsfal_geo.queries.chip_outputs import ChipKey, ChipOutputs


@dataclass(frozen=True)
class CellScores:
    """A strategy's view of one chip.

    Attributes:
        score: (h, w) float32, higher: ask first; None: no preference, regions are drawn at random.
        candidate: (h, w) bool: cells that may become queries at all.
        joinable: (h, w) bool: cells that a region takes along with the candidates among them, in ``strong``;
            None: a region is of candidates alone.
    """

    score: Tensor | None
    candidate: Tensor
    joinable: Tensor | None = None


@dataclass(frozen=True)
class TrainingPool:
    """What a strategy may learn from; chips are named by their positions.

    Attributes:
        pictures: normalised chips at the given positions, at most 128 pixels a side, (n, channels, s, s).
        keys: (scene, row, col) by position.
        labelled: chips that are labelled.
        unlabelled: chips that are not.
        steps: of the segmenter's training in this round.
        batch: labelled chips, and unlabelled ones, in each of its steps.
        device: where to train.
        progress: to be told the share done; raises where the run shall stop.
    """

    pictures: Callable[[Sequence[int]], Tensor]
    keys: Sequence[ChipKey]
    labelled: Sequence[int]
    unlabelled: Sequence[int]
    steps: int
    batch: int
    device: torch.device
    progress: Callable[[float], None]


class Strategy(ABC):
    """Chooses what a person is asked.

    Attributes:
        name: as in ``active.strategy``.
        reason: why it asks, in a word or two for the person who is asked.
        order: how candidates of all chips are brought into one order: by ``ranking`` as configured
            (strategies that have a mask of candidates), by ``score``, or chip by chip as ``rank_chips`` says.
        passes: forward passes with dropout that it wants as ``ChipOutputs.votes``.
        needs_pooled: whether it wants ``ChipOutputs.pooled``.
        learns: whether ``learn`` must come before anything is scored.
        pool_share: share of the chips, drawn at random, among which it chooses whole chips.
        per_chip: regions that it asks of each chip before a further one of any; 0: no such number.
    """

    name: ClassVar[str]
    reason: ClassVar[str]
    order: ClassVar[Literal["ranking", "score", "chips"]] = "score"

    needs_pooled: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    pool_share: ClassVar[float] = 1.0
    per_chip: ClassVar[int] = 0
    passes: int = 0

    def __init__(self, seed: int = 0, passes: int = 0) -> None:
        """Build a strategy.

        Args:
            seed: of what is random in it.
            passes: for strategies that ask a committee.
        """
        self.seed = seed

    def learn(self, material: TrainingPool) -> None:  # noqa: B027  # most have nothing to learn
        """Train what the strategy itself learns, before it scores; nothing by default."""

    def regions(self, askable: NDArray[np.integer]) -> NDArray[np.int32] | None:
        """Its own regions of a chip, (h, w) numbered from 1; None: as ``active.granularity`` says.

        Args:
            askable: pixels of each cell that may be asked, (h, w).
        """
        return None

    @abstractmethod
    def score(self, outputs: ChipOutputs) -> CellScores:
        """Score the cells of one chip; the result depends on this chip, the seed, and nothing else."""

    def chip_vector(self, outputs: ChipOutputs) -> NDArray[np.float32] | None:
        """A vector for the whole chip, kept for ``rank_chips``; None if not needed."""
        return None

    def rank_chips(
        self, chips: Sequence[NDArray[np.float32]], labelled: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.int64]:
        """Order of chips (positions) by their vectors, given those of labelled chips; for order ``chips``."""
        raise NotImplementedError(f"{self.name} does not rank chips")

    def generator(self, key: ChipKey) -> np.random.Generator:
        """Random numbers for one chip: the same whatever chips were looked at before."""
        return np.random.default_rng((self.seed, *key))


STRATEGIES: dict[str, type[Strategy]] = {}


def register[S: type[Strategy]](strategy: S) -> S:
    """Class decorator: make a strategy known by its name."""
    STRATEGIES[strategy.name] = strategy
    return strategy


def build_strategy(name: str, seed: int, passes: int) -> Strategy:
    """Build a strategy by name.

    Raises:
        ConfigError: no strategy of that name.
    """
    factory: Callable[..., Strategy] | None = STRATEGIES.get(name)
    if factory is None:
        known = ", ".join(sorted(STRATEGIES))
        raise ConfigError(f"active.strategy: found '{name}', expected one of {known}")
    return factory(seed=seed, passes=passes)


def entropy(probs: Tensor) -> Tensor:
    """Shannon entropy over classes in 0..1: (C, h, w) to (h, w)."""
    return -(probs * probs.clamp_min(1e-12).log()).sum(0) / np.log(len(probs))
