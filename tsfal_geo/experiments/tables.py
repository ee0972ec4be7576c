"""Definitions of the tables of Ma, Karakus, Rosin 2025: dataset, network and rows.

The rows of other methods follow their papers, as `tsfal_geo.training.methods` and
`tsfal_geo.queries.strategies` cite them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.datasets.cityscapes import CLASSES as CITYSCAPES
from tsfal_geo.experiments.ablation import MODES

Changes = Mapping[str, Any]
"""Configuration values by dotted key."""


@dataclass(frozen=True)
class Row:
    """A row of a table: a method with its configuration.

    Attributes:
        name: the name in the printed table.
        changes: configuration changes to the table's configuration.
        steps: the row's optimisation steps, as a multiple of the table's; in a round, if rounds start from
            scratch.
        shares_first: True if the row shares the first training of ``ours``, so that rows differ by their
            queries alone. A row without queries gets the steps of all rounds of ``ours``.
    """

    name: str
    changes: Changes
    steps: float = 1.0
    shares_first: bool = False


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        name: the name on the command line.
        title: the caption, in one line.
        dataset: name of the adapter of the paper's data.
        classes: names of that dataset's classes.
        options: the adapter's options.
        report_on: the split whose mIoU the table reports; no checkpoint is selected on it.
        base: configuration changes to the dataset's configuration.
        rows: the rows.
        shares: labelled shares, 0 to 1, by the names of the columns. If empty, the columns are labelled
            share, mIoU and the classes.
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

# SGD as in DEAL (Xie et al. 2020) and S4AL (Rangnekar et al. 2023), without the later adaptive augmentation.
_OWN_TRAINING = {
    "train.optimiser": "sgd",
    "train.lr": 0.01,
    "train.head_lr_mult": 10.0,
    "train.weight_decay": 5e-4,
    "train.ohem": False,
    "train.class_weights": "none",
    "tsf.copy_paste": False,
}

# 200 epochs over the unlabelled images of the 1/16 split, two a step; all methods and shares have as many.
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


def _image_level(name: str, strategy: str, steps: float, method: str = "supervised") -> Row:
    """Make a row with DEAL's protocol (Xie et al. 2020): 10 % of the images, then six rounds from scratch."""
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
    """Make a row with TSF's training, our budget and our first training, and without refinement."""
    changes = {"active.strategy": strategy, "emd.enabled": False, "plar.enabled": False}
    return Row(name, changes, shares_first=True)


def _active_rows(image_steps: float, s4al_steps: float) -> tuple[Row, ...]:
    """Make all rows of an active-learning table; steps are multiples of the table's.

    ``image_steps`` amount to DEAL's 100 epochs over the last round's 40 % of the images, eight a step.
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
        # With TSF, the error mask decoder's probability stands for DEAL's difficulty.
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
            "Semi-supervised methods at several labelled shares, mIoU",
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
            "Active-learning methods on street images, IoU",
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
            "Active-learning methods on aerial images, IoU",
            "vaihingen",
            VAIHINGEN.names,
            {},
            "test",
            _AERIAL,
            _active_rows(0.0625, 0.5),
        ),
        Table(
            "table4",
            "Contribution of each module, IoU",
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
"""Changes for runs of a few seconds, which show that every row runs to its end, not its accuracy."""

PAPER: Mapping[tuple[str, str, str], float] = {
    ("table1", "TSF", "1/16"): 75.59,
    ("table1", "TSF", "1/8"): 77.86,
    ("table1", "TSF", "1/4"): 79.50,
    ("table1", "TSF", "1/2"): 80.32,
    ("table2", "S4AL", "mIoU"): 64.80,
    ("table2", "ours", "mIoU"): 65.90,
    # "Random" has 40 % of the labels, "ours" 24 %.
    ("table3", "Random", "mIoU"): 54.22,
    ("table3", "ours", "mIoU"): 61.47,
    # "TSF" has the initial 15 % of the labels alone.
    ("table4", "TSF", "mIoU"): 53.91,
    ("table4", "all", "mIoU"): 61.47,
}
"""Figures of Ma, Karakus, Rosin 2025, Tables 1 to 4, in per cent, by (table, row, column)."""
