"""Interface of query strategies, and the registry of strategies by name."""

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
    """Scores and candidate cells of one chip.

    Attributes:
        score: (h, w) float32, higher values are queried first; None: regions are drawn at random.
        candidate: (h, w) bool, cells that may become queries.
        joinable: (h, w) bool, cells that ranking ``strong`` joins to regions, which must contain a candidate;
            None: regions consist of candidates alone.
    """

    score: Tensor | None
    candidate: Tensor
    joinable: Tensor | None = None


@dataclass(frozen=True)
class TrainingPool:
    """Training data and schedule of strategies that learn; integers are positions of chips.

    Attributes:
        pictures: returns the normalised chips at n positions, (n, channels, s, s) float32, s ≤ 128 pixels.
        keys: (scene, row, col) of the chips, by position.
        labelled: positions of the labelled chips.
        unlabelled: positions of the other chips.
        steps: training steps of the segmenter in this round.
        batch: labelled chips in each step, and as many unlabelled ones.
        device: of the training.
        progress: receives the completed share in 0..1; raises where the run must stop.
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
    """Base class of query strategies: they score the cells that the annotator may be asked to label.

    Attributes:
        name: value of ``active.strategy``.
        reason: reason of its queries, in a word or two for the annotator.
        order: order of the candidates of all chips: ``ranking`` follows ``active.ranking`` (strategies with a
            mask of candidates), ``score`` sorts by score, ``chips`` follows ``rank_chips``.
        needs_pooled: True if it uses ``ChipOutputs.pooled``.
        learns: True if ``learn`` must run before ``score``.
        pool_share: share of the chips, drawn at random, from which whole chips are chosen.
        per_chip: regions of each chip that come before all others; 0: no such number.
        passes: forward passes with dropout for ``ChipOutputs.votes``; 0: no votes.
        seed: of its random numbers.
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
            seed: of its random numbers.
            passes: members of the committee, for strategies with one; others ignore it.
        """
        self.seed = seed

    def learn(self, pool: TrainingPool) -> None:  # noqa: B027  # most have nothing to learn
        """Train the strategy's own networks before it scores; does nothing by default.

        Args:
            pool: chips, their labelled and unlabelled positions, and the schedule.
        """

    def regions(self, askable: NDArray[np.integer]) -> NDArray[np.int32] | None:
        """Divide a chip into the strategy's own regions.

        Args:
            askable: (h, w) integer, pixels of each cell that a query may contain.

        Returns:
            (h, w) int32, numbered from 1; None by default: ``active.granularity`` decides.
        """
        return None

    @abstractmethod
    def score(self, outputs: ChipOutputs) -> CellScores:
        """Score the cells of one chip, from this chip and the seed alone.

        Args:
            outputs: the networks' outputs on the chip.

        Returns:
            Scores and candidates on the chip's (h, w) cells.
        """

    def chip_vector(self, outputs: ChipOutputs) -> NDArray[np.float32] | None:
        """Describe the chip by a vector for ``rank_chips``.

        Args:
            outputs: the networks' outputs on the chip.

        Returns:
            (D,) float32; None by default, for strategies that do not rank chips.
        """
        return None

    def rank_chips(
        self, chips: Sequence[NDArray[np.float32]], labelled: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.int64]:
        """Order chips by their vectors, for strategies whose ``order`` is ``chips``.

        Args:
            chips: n vectors (D,) from ``chip_vector``.
            labelled: vectors (D,) of the labelled chips.

        Returns:
            (n,) int64 positions in ``chips``, first query first.

        Raises:
            NotImplementedError: the strategy does not rank chips.
        """
        raise NotImplementedError(f"{self.name} does not rank chips")

    def generator(self, key: ChipKey) -> np.random.Generator:
        """Make the random generator of one chip, independent of the order in which chips are scored.

        Args:
            key: (scene, row, col) of the chip.

        Returns:
            A generator seeded by the strategy's seed and the key.
        """
        return np.random.default_rng((self.seed, *key))


STRATEGIES: dict[str, type[Strategy]] = {}


def register[S: type[Strategy]](strategy: S) -> S:
    """Register a strategy by its name; a class decorator.

    Args:
        strategy: a subclass with a ``name``.

    Returns:
        The same class.

    Example:
        >>> @register
        ... class Lowest(Strategy):
        ...     name = "lowest_probability"
        ...     reason = "improbable"
        ...
        ...     def score(self, outputs: ChipOutputs) -> CellScores:
        ...         return CellScores(1 - outputs.probs.amax(0), outputs.askable > 0)
        >>> type(build_strategy("lowest_probability", seed=0, passes=0)).__name__
        'Lowest'
        >>> del STRATEGIES["lowest_probability"]
    """
    STRATEGIES[strategy.name] = strategy
    return strategy


def build_strategy(name: str, seed: int, passes: int) -> Strategy:
    """Build a strategy by name.

    Args:
        name: value of ``active.strategy``.
        seed: of the strategy's random numbers.
        passes: members of the committee, for strategies with one.

    Returns:
        The strategy, not trained yet.

    Raises:
        ConfigError: no strategy has that name.
    """
    factory: Callable[..., Strategy] | None = STRATEGIES.get(name)
    if factory is None:
        names = ", ".join(sorted(STRATEGIES))
        raise ConfigError(f"active.strategy: found '{name}', expected one of {names}")
    return factory(seed=seed, passes=passes)


def entropy(probs: Tensor) -> Tensor:
    """Compute the Shannon entropy over classes, divided by its maximum ln C.

    Args:
        probs: (C, h, w) float, class probabilities.

    Returns:
        (h, w) float in 0..1.
    """
    nats: Tensor = -(probs * probs.clamp_min(1e-12).log()).sum(0)
    return nats / float(np.log(len(probs)))
