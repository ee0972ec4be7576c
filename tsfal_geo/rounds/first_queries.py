"""First queries where nothing is labelled yet: chips that cover the space of the encoder's features."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize
from torch.utils.data import default_collate

from tsfal_geo.data.dataset import OrthoDataset
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.errors import ConfigError
from tsfal_geo.labels.model import Query
from tsfal_geo.labels.polygonise import region_polygon
from tsfal_geo.models.batchnorm import recalibrate_batch_norm
from tsfal_geo.models.segmenter import build_segmenter
from tsfal_geo.queries.budget import Budget, affordable
from tsfal_geo.queries.farthest import greedy_k_centre
from tsfal_geo.raster.chips import Chip, owned_part
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.inputs import Inputs
from tsfal_geo.rounds.open_workspace import FirstNetwork
from tsfal_geo.rounds.query_writer import QuerySelection
from tsfal_geo.rounds.round_budget import FIRST_SHARE
from tsfal_geo.rounds.round_rasters import write_number_raster

_BATCH = 4
_CALIBRATION_BATCHES = 8
REASON = "first labels: unlike the other chips"


def first_queries(
    context: RoundContext, number: int, budget: Budget, network: FirstNetwork | None = None
) -> QuerySelection:
    """Select whole chips, farthest from each other in feature space first (greedy k-centre).

    The features are mean and spread of the untrained network's encoder output; its batch norms take the
    statistics of these scenes. Pretrained weights tell kinds of ground apart; even random filters tell
    textures and brightness apart.

    Args:
        context: the workspace.
        number: of the round.
        budget: pixels that the queries may hold, and effort that their answers may take.
        network: built with the workspace; None, or one of another seed: a new one is built.

    Raises:
        ConfigError: the budget does not pay for one chip.
    """
    inputs = context.inputs
    wanted = max(1, round(FIRST_SHARE * len(inputs.chips)))
    if budget.most_queries is not None:
        wanted = min(wanted, budget.most_queries)
    context.reporter.say(f"Found no labels: selecting {wanted} of {len(inputs.chips)} chips to label first")
    vectors = _describe(context, network)
    described = np.flatnonzero(np.isfinite(vectors).all(1))
    order = described[greedy_k_centre(vectors[described], None, wanted)]
    pixels = np.array([np.count_nonzero(_own_valid_pixels(inputs, inputs.chips[i])[2]) for i in order])
    chosen = affordable(pixels, budget.remaining)
    if not len(chosen):
        least = min(pixels[pixels > 0].tolist(), default=0)
        raise ConfigError(
            f"active.budget: {budget.goal:.2%} are {budget.remaining} pixels, but the smallest of the first "
            f"chips has {least}; raise --budget, or take a smaller data.chip_size"
        )
    ranked = enumerate((inputs.chips[i] for i in order[np.sort(chosen)]), start=1)
    by_scene: dict[int, list[tuple[int, Chip]]] = {}
    for rank, chip in ranked:
        by_scene.setdefault(chip.scene, []).append((rank, chip))
    prefix = context.workspace.query_prefix(number)
    queries: list[Query] = []
    for index, scene in enumerate(inputs.scenes):
        parts = []
        for rank, chip in by_scene.get(index, ()):
            y, x, mask = _own_valid_pixels(inputs, chip)
            parts.append((y, x, mask * np.uint32(rank)))
            queries.append(
                Query(
                    qid=f"{prefix}{rank:06d}",
                    round=number,
                    scene=scene.name,
                    chip=f"{chip.row}-{chip.col}",
                    rank=rank,
                    score=1.0 / rank,
                    reason=REASON,
                    suggested=None,
                    pixels=int(np.count_nonzero(mask)),
                    geometry=region_polygon(mask, scene.grid, y, x),
                )
            )
        path = context.workspace.round_dir(number) / scene.name / "queries.tif"
        write_number_raster(path, scene, parts)
    return QuerySelection(sorted(queries, key=lambda query: query.rank), "coreset")


def _own_valid_pixels(inputs: Inputs, chip: Chip) -> tuple[int, int, NDArray[np.bool_]]:
    """Return first row, first column and validity (h, w) of the pixels that no other chip holds."""
    scene = inputs.scenes[chip.scene]
    part = owned_part(chip, scene.height, scene.width)
    valid = inputs.reader.read(chip.window).valid[part]
    return chip.y + part[0].start, chip.x + part[1].start, valid


def _spread(chips: int) -> range:
    """Return the first chips of a few batches, spread over all."""
    return range(0, chips, max(_BATCH, chips // _CALIBRATION_BATCHES))


@torch.inference_mode()
def _describe(context: RoundContext, first: FirstNetwork | None) -> NDArray[np.float32]:
    """Return a vector a chip, (chips, D) float32; NaN where a chip has no valid pixel."""
    inputs, seed = context.inputs, context.config.train.seed
    if first is not None and first.seed == seed:
        network = first.segmenter
    else:
        model = context.config.model
        network = build_segmenter(model, inputs.reader.channels, len(inputs.classes), seed)
    normaliser = Normaliser(inputs.normalisation)
    dataset = OrthoDataset(inputs.reader)
    batches = [inputs.chips[i : i + _BATCH] for i in _spread(len(inputs.chips))]
    recalibrate_batch_norm(
        network.encoder,
        (normaliser(default_collate([dataset.read_chip(chip) for chip in some])) for some in batches),
    )
    network.eval()
    vectors = []
    for done, chip in enumerate(inputs.chips, start=1):
        batch = default_collate([dataset.read_chip(chip)])
        deepest = network.encoder(normaliser(batch))[-1][0].flatten(1)
        centred = torch.cat((normalize(deepest.mean(1), dim=0), normalize(deepest.std(1), dim=0)))
        vectors.append(centred if batch["valid"].any() else torch.full_like(centred, torch.nan))
        context.reporter.progress(done / len(inputs.chips), "inspecting chips")
    return torch.stack(vectors).numpy()
