"""Build a training module from configuration and data."""

from __future__ import annotations

from collections.abc import Sequence

from tsfal_geo.config import Config
from tsfal_geo.data.module import TsfDataModule
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.models.start import build_network
from tsfal_geo.raster.stats import Normalisation
from tsfal_geo.training.methods import method_named
from tsfal_geo.training.module import SegmentationModule
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.refiner_protocol import Refiner
from tsfal_geo.training.supervised_branch import SupervisedBranch


def build_module(
    config: Config,
    datamodule: TsfDataModule,
    statistics: Normalisation,
    class_names: Sequence[str],
    class_counts: Sequence[int],
    *,
    bands: int,
    refiner: Refiner | None = None,
    generation: int = 0,
    first: Segmenter | None = None,
) -> SegmentationModule:
    """Build the module that ``config.train.method`` names.

    All networks of a module have the same pretrained encoder, or that of the model that they start from; the
    head of such a model goes to the first network alone. With the training seed s the heads of the first
    two are drawn from seeds 2s and 2s + 1, so that no run's friend is another run's student.

    Args:
        config: the configuration.
        datamodule: gives chips for mixing and pasting.
        statistics: mean and deviation of each channel of the training scenes.
        class_names: C names in index order.
        class_counts: (C,) labelled pixels of each class.
        bands: number of image bands among the channels; heights come after them.
        refiner: error mask decoder and PLAR of the active-learning rounds.
        generation: number of rounds that trained before this one.
        first: the network of seed 2s if the caller has already built it; None: it is built here.

    Returns:
        The module, in train mode.

    Raises:
        ConfigError: the encoder or the method does not exist.
        WeightsError: the encoder's weights cannot be loaded.
    """
    normaliser = Normaliser(statistics)
    channels, seed = len(statistics.mean), 2 * config.train.seed
    unlabelled = datamodule.unlabelled

    def network(number: int) -> Segmenter:
        if number == 0 and first is not None:
            return first
        return build_network(config.model, channels, class_names, seed + number, with_head=number == 0)

    inputs = ModuleInputs(
        config=config,
        normaliser=normaliser,
        class_names=class_names,
        branch=SupervisedBranch(config, normaliser, datamodule, class_counts),
        network=network,
        class_counts=class_counts,
        bands=bands,
        unlabelled_chips=len(unlabelled.chips) if unlabelled is not None else 0,
        refiner=refiner,
        generation=generation,
    )
    return method_named(config.train.method)(inputs)
