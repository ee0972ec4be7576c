"""The inputs that every training method is built from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tsfal_geo.config import Config
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.training.refiner_protocol import Refiner
from tsfal_geo.training.supervised_branch import SupervisedBranch


@dataclass(frozen=True)
class ModuleInputs:
    """Everything that a training module is built from.

    Attributes:
        config: the configuration; each method reads the sections that concern it.
        normaliser: turns batches of pixels into network input.
        class_names: C names in index order.
        branch: augmentation and loss of the labelled chips; its source also gives CutMix partners.
        network: builds the run's network number 0, 1, …: the same pretrained encoder, another random head.
        class_counts: (C,) labelled pixels of each class.
        bands: number of image bands among the input's channels; colour jitter leaves heights unchanged.
        unlabelled_chips: number of unlabelled chips; with 0 the stream has no unlabelled batches.
        refiner: error mask decoder and PLAR of the active-learning rounds; used by TSF alone.
        generation: number of rounds that trained before this one.
    """

    config: Config
    normaliser: Normaliser
    class_names: Sequence[str]
    branch: SupervisedBranch
    network: Callable[[int], Segmenter]
    class_counts: Sequence[int]
    bands: int
    unlabelled_chips: int
    refiner: Refiner | None = None
    generation: int = 0
