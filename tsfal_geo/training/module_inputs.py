"""What every way to train is built of, and the register of the ways by name."""

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
    """What a training module is put together from.

    Attributes:
        config: the whole configuration.
        normaliser: makes network input of batches.
        class_names: in index order.
        branch: the labelled chips' views and loss; its source gives partners as well.
        network: builds the run's first, second, … network (0, 1, …): same pretrained encoder, other head.
        class_counts: (C,) labelled pixels of each class.
        bands: image bands among the input's channels (colour jitter leaves heights alone).
        unlabelled_chips: number of unlabelled chips; 0: there are no unlabelled batches.
        refiner: error mask and PLAR of the active loop; only TSF has a place for it.
        generation: rounds of the active loop that trained before this one.
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
