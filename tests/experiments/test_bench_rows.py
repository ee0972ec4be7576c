"""Every row of ``bench``: its method, steps, budget and protocol, and every published figure, written out."""

import pytest

from tsfal_geo.config import load_config
from tsfal_geo.experiments.tables import PAPER, TABLES

SSL = {
    "SupOnly": "supervised", "MT": "mean_teacher", "CutMix": "cutmix", "CCT": "cct", "GCT": "gct",
    "CPS": "cps",
    "AEL": "ael", "PS-MT": "ps_mt", "U2PL": "u2pl", "UniMatch": "unimatch", "UniMatch V2": "unimatch_v2",
    "TSF": "tsf",
}  # fmt: skip
IMAGE_LEVEL = {
    "Random": ("supervised", "random"), "Entropy": ("supervised", "entropy"),
    "Core-Set": ("supervised", "coreset"), "VAAL": ("supervised", "vaal"), "QBC": ("supervised", "qbc"),
    "DEAL": ("deal", "deal_ds"),
}  # fmt: skip
SAME_TRAINER = {
    "TSF + random": "random", "TSF + entropy": "entropy", "TSF + core-set": "coreset", "TSF + VAAL": "vaal",
    "TSF + QBC": "qbc", "TSF + DEAL": "deal_ds", "TSF + S4AL's cells": "s4al", "ours": "plar",
}  # fmt: skip
# Steps of the table, multiples of the image-level rows and of S4AL, start, end and rounds of ours, the split.
ACTIVE = {
    "table2": (90_000, 0.15, 1.0, 0.15, 0.16, 2, "test"),
    "table3": (20_000, 0.0625, 0.5, 0.15, 0.24, 3, "test"),
}
MODES = {
    "TSF": ("tsf", "plar", 0, True, True), "TSF+random": ("tsf", "random", 3, False, False),
    "+AL": ("tsf", "emd", 3, False, False), "+AL+EMD": ("tsf", "emd", 3, True, False),
    "+AL+PLAR": ("tsf", "plar", 3, False, True), "all": ("tsf", "plar", 3, True, True),
    "full supervision": ("supervised", "plar", 0, True, True),
}  # fmt: skip
FIGURES = {
    ("table1", "TSF", "1/16"): 75.59, ("table1", "TSF", "1/8"): 77.86, ("table1", "TSF", "1/4"): 79.5,
    ("table1", "TSF", "1/2"): 80.32, ("table2", "S4AL", "mIoU"): 64.8, ("table2", "ours", "mIoU"): 65.9,
    ("table3", "Random", "mIoU"): 54.22, ("table3", "ours", "mIoU"): 61.47,
    ("table4", "TSF", "mIoU"): 53.91, ("table4", "all", "mIoU"): 61.47,
}  # fmt: skip


def rows(table):
    return {
        row.name: (row, load_config(None, {**TABLES[table].base, **row.changes}))
        for row in TABLES[table].rows
    }


def test_figures_of_the_paper():
    assert dict(PAPER) == FIGURES


def test_table_1_trains_every_method_alike():
    table = TABLES["table1"]
    assert (table.dataset, dict(table.options), table.report_on) == (
        "cityscapes", {"protocol": "ssl", "chip_size": 768}, "val"
    )  # fmt: skip
    assert dict(table.shares) == {"1/16": 1 / 16, "1/8": 1 / 8, "1/4": 1 / 4, "1/2": 1 / 2}
    found = {}
    for name, (row, config) in rows("table1").items():
        found[name] = config.train.method
        assert (row.steps, row.shares_first, config.train.steps) == (1.0, False, 278_900)
        assert (config.active.rounds, config.train.ohem, config.preset) == (0, True, "paper")
        assert (config.model.encoder, config.model.output_stride) == ("tu-resnet101c", 8)
        assert (config.train.optimiser, config.train.lr, config.train.batch_labelled) == ("sgd", 0.001, 2)
    assert found == SSL


@pytest.mark.parametrize("table", ACTIVE)
def test_active_learning_rows_have_their_protocols(table):
    steps, image_steps, s4al_steps, start, end, count, split = ACTIVE[table]
    assert TABLES[table].report_on == split
    made = rows(table)
    assert set(made) == {*IMAGE_LEVEL, "S4AL", *SAME_TRAINER, "all labels"}
    for name, (method, strategy) in IMAGE_LEVEL.items():
        row, config = made[name]
        active, train = config.active, config.train
        assert (train.method, active.strategy, row.steps, train.steps) == (
            method,
            strategy,
            image_steps,
            steps,
        )
        assert (config.data.labelled, active.budget, active.rounds) == (0.1, 0.4, 6), name
        assert (active.granularity, active.retrain, row.shares_first) == ("chips", "scratch", False)
        assert (train.optimiser, train.lr, train.weight_decay, train.batch_labelled) == ("sgd", 0.01, 5e-4, 8)
        assert not (config.emd.enabled or config.plar.enabled or config.tsf.copy_paste or train.ohem)
    row, config = made["S4AL"]
    assert (config.train.method, config.active.strategy, row.steps) == ("s4al", "s4al", s4al_steps)
    assert (config.data.labelled, config.active.budget, config.active.rounds) == (0.1, 0.16, 4)
    assert (config.active.retrain, config.train.lr) == ("scratch", 0.01)
    for name, strategy in SAME_TRAINER.items():
        row, config = made[name]
        assert (config.train.method, config.active.strategy, row.steps) == ("tsf", strategy, 1.0)
        assert (config.data.labelled, config.active.budget, config.active.rounds) == (start, end, count), name
        assert (row.shares_first, config.active.retrain, config.train.steps) == (True, "continue", steps)
        assert config.active.granularity == "pixels"
        assert config.plar.enabled == (name == "ours")
        assert config.emd.enabled == (name in ("ours", "TSF + DEAL"))
    row, config = made["all labels"]
    assert (config.train.method, config.data.labelled, config.active.rounds) == ("supervised", 1.0, 0)


def test_table_4_adds_one_module_a_row():
    found = {}
    for name, (row, config) in rows("table4").items():
        active = config.active
        found[name] = (
            config.train.method, active.strategy, active.rounds, config.emd.enabled, config.plar.enabled
        )  # fmt: skip
        assert (row.steps, row.shares_first, config.train.steps, active.budget) == (1.0, True, 20_000, 0.24)
        assert config.data.labelled == (1.0 if name == "full supervision" else 0.15)
    assert found == MODES
