"""What each table runs: its dataset, its network, its rows (method, sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.datasets.cityscapes import CLASSES as CITYSCAPES
from tsfal_geo.experiments.ablation import MODES

Changes = Mapping[str, Any]
"""Dotted configuration keys to values."""


@dataclass(frozen=True)
class Row:
    """One system.

    Attributes:
        name: as printed.
        changes: what distinguishes it from the table's configuration.
        steps: its optimisation steps (a round's, where it starts from scratch), in those of the table.
        shares_first: its first training is that of ``ours``, so that the rows differ by their queries alone;
            without queries it trains as long as ``ours`` does in all its rounds.
    """

    name: str
    changes: Changes
    steps: float = 1.0
    shares_first: bool = False


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: as typed.
        title: one line.
        dataset: the adapter that the paper's data need.
        classes: names of that dataset's classes.
        options: the adapter's.
        report_on: the split whose mIoU is reported; nothing is selected on it.
        base: the configuration, over the dataset's own.
        rows: the systems.
        shares: columns of a table whose rows are trained at several labelled shares; where empty the columns
            are labelled share, mIoU and the classes.
    """

    name: str
    title: str
    dataset: str
    classes: tuple[str, ...]
    options: Changes
    report_on: Literal["val", "test"]
    base: Changes
    rows: tuple[Row, ...]
    shares: Mapping[str, float] = field(default_factory=dict)


_RESNET101 = {
    "model.encoder": "tu-resnet101c",
    "model.output_stride": 8,
    "model.atrous_rates": (12, 24, 36),
    "model.separable": False,
    "model.projection_kernel": 3,
    "model.low_level_channels": 256,
    "model.multi_grid": (2, 2, 4),
    "model.aux_head": True,
}
_MOBILENET = {"model.encoder": "mobilenet_v2", "model.separable": False}
_AERIAL = {
    **_MOBILENET,
    "preset": "paper",
    "train.steps": 20_000,
    "data.labelled": 0.15,
    "active.budget": 0.24,
    "active.rounds": 3,
    "active.granularity": "pixels",
}


# 200 epochs over the unlabelled pictures of the 1/16 split, two a step; every system and share has as many.
_SSL_STEPS = 278_900
_SSL_ROWS = tuple(
    Row(name, {"train.method": method})
    for name, method in (
        ("SupOnly", "supervised"),
        ("MT", "mean_teacher"),
        ("CutMix", "cutmix"),
        ("CCT", "cct"),
        ("GCT", "gct"),
        ("CPS", "cps"),
        ("AEL", "ael"),
        ("PS-MT", "ps_mt"),
        ("U2PL", "u2pl"),
        ("UniMatch", "unimatch"),
        ("UniMatch V2", "unimatch_v2"),
        ("TSF", "tsf"),
    )
)


# SGD of DEAL and S4AL, without the adaptive augmentation that came later.
_OWN_TRAINING = {
    "train.optimiser": "sgd",
    "train.lr": 0.01,
    "train.head_lr_mult": 10.0,
    "train.weight_decay": 5e-4,
    "train.ohem": False,
    "train.class_weights": "none",
    "tsf.copy_paste": False,
}


def _image_level(name: str, strategy: str, steps: float, method: str = "supervised") -> Row:
    """A system under the protocol of DEAL: 10 % of the images, 5 % more six times, from scratch each time."""
    changes = {
        "train.method": method,
        **_OWN_TRAINING,
        "train.batch_labelled": 8,
        "data.labelled": 0.10,
        "active.strategy": strategy,
        "active.granularity": "chips",
        "active.retrain": "scratch",
        "active.budget": 0.40,
        "active.rounds": 6,
        "emd.enabled": False,
        "plar.enabled": False,
    }
    return Row(name, changes, steps)


def _same_trainer(name: str, strategy: str) -> Row:
    """A strategy with our trainer, budget and first training, without refinement."""
    changes = {"active.strategy": strategy, "emd.enabled": False, "plar.enabled": False}
    return Row(name, changes, shares_first=True)


def _active_rows(image_steps: float, s4al_steps: float) -> tuple[Row, ...]:
    """All rows of a table of active learning; lengths in those of the table's own first training.

    ``image_steps`` make the authors' 100 epochs over the last round's 40 % of the images, eight a step.
    """
    own = [
        _image_level("Random", "random", image_steps),
        _image_level("Entropy", "entropy", image_steps),
        _image_level("Core-Set", "coreset", image_steps),
        _image_level("VAAL", "vaal", image_steps),
        _image_level("QBC", "qbc", image_steps),
        _image_level("DEAL", "deal_ds", image_steps, "deal"),
        Row(
            "S4AL",
            {
                "train.method": "s4al",
                **_OWN_TRAINING,
                "data.labelled": 0.10,
                "active.strategy": "s4al",
                "active.retrain": "scratch",
                "active.budget": 0.16,
                "active.rounds": 4,
                "emd.enabled": False,
                "plar.enabled": False,
            },
            s4al_steps,
        ),
    ]
    fair = [
        _same_trainer("TSF + random", "random"),
        _same_trainer("TSF + entropy", "entropy"),
        _same_trainer("TSF + core-set", "coreset"),
        _same_trainer("TSF + VAAL", "vaal"),
        _same_trainer("TSF + QBC", "qbc"),
        # With TSF the error mask decoder's probability is DEAL's difficulty.
        Row("TSF + DEAL", {"active.strategy": "deal_ds", "plar.enabled": False}, shares_first=True),
        _same_trainer("TSF + S4AL's cells", "s4al"),
        Row("ours", {}, shares_first=True),
        Row("all labels", dict(MODES["full supervision"]), shares_first=True),
    ]
    return (*own, *fair)


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "table1",
            "Semi-supervised systems at several labelled shares, mIoU",
            "cityscapes",
            CITYSCAPES.names,
            {"protocol": "ssl", "chip_size": 768},
            "val",
            {
                **_RESNET101,
                "preset": "paper",
                "train.ohem": True,
                "train.steps": _SSL_STEPS,
                "active.rounds": 0,
            },
            _SSL_ROWS,
            {"1/16": 1 / 16, "1/8": 1 / 8, "1/4": 1 / 4, "1/2": 1 / 2},
        ),
        Table(
            "table2",
            "Active-learning systems on street pictures, IoU",
            "cityscapes",
            CITYSCAPES.names,
            {"protocol": "al"},
            "test",
            {
                **_MOBILENET,
                "preset": "paper",
                "train.ohem": True,
                "train.steps": 90_000,
                "data.labelled": 0.15,
                "active.budget": 0.16,
                "active.rounds": 2,
                "active.granularity": "pixels",
            },
            _active_rows(0.15, 1.0),
        ),
        Table(
            "table3",
            "Active-learning systems on aerial pictures, IoU",
            "vaihingen",
            VAIHINGEN.names,
            {},
            "test",
            _AERIAL,
            _active_rows(0.0625, 0.5),
        ),
        Table(
            "table4",
            "What each module adds, IoU",
            "vaihingen",
            VAIHINGEN.names,
            {},
            "test",
            _AERIAL,
            tuple(Row(name, changes, shares_first=True) for name, changes in MODES.items()),
        ),
    )
}
QUICK: Changes = {
    "data.chip_size": 64,
    "model.encoder": "tu-mobilenetv2_035",
    "model.output_stride": 16,
    "model.multi_grid": None,
    "model.weights": None,
    "model.aux_head": False,
    "model.decoder_convs": 1,
    "model.separable": True,
    "model.low_level_channels": 16,
    "train.steps": 4,
    "train.lr": 0.01,
    "train.head_lr_mult": 1.0,
    "tsf.warmup_steps": 0,
    "active.rounds": 1,
    "active.granularity": "regions",
    "active.min_region": 16,
    "active.max_region": 256,
}
"""Seconds a run: shows that every row runs to its end, not what it is worth."""

PAPER: Mapping[tuple[str, str, str], float] = {
    ("table1", "TSF", "1/16"): 75.59,
    ("table1", "TSF", "1/8"): 77.86,
    ("table1", "TSF", "1/4"): 79.50,
    ("table1", "TSF", "1/2"): 80.32,
    ("table2", "S4AL", "mIoU"): 64.80,
    ("table2", "ours", "mIoU"): 65.90,
    # With 40 % of the labels; "ours" with 24 %.
    ("table3", "Random", "mIoU"): 54.22,
    ("table3", "ours", "mIoU"): 61.47,
    # With the first 15 % alone.
    ("table4", "TSF", "mIoU"): 53.91,
    ("table4", "all", "mIoU"): 61.47,
}
"""(table, row, column) to per cent."""
