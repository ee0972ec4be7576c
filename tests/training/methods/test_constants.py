"""The constants of the compared systems, as their authors give them (see docs/methods.md)."""

import importlib

import pytest

METHODS = "tsfal_geo.training.methods"
CONSTANTS = {
    f"{METHODS}.mean_teacher": {"WEIGHT": 100.0, "RAMP": 5 / 45, "NOISE": 0.15},
    f"{METHODS}.cutmix": {"WEIGHT": 20.0, "CONFIDENCE": 0.97},
    f"{METHODS}.cct": {"WEIGHT": 30.0, "RAMP": 0.1, "COPIES": 2},
    f"{METHODS}.gct": {"CONSISTENCY": 100.0, "RAMP": 3 / 20, "CORRECTION": 1.0, "DETECTION": 10.0,
                       "DETECTOR_LR": 1e-4, "DETECTOR_BETAS": (0.9, 0.99)},
    f"{METHODS}.cps": {"WEIGHT": 5.0},
    f"{METHODS}.ps_mt": {"DECAY": 0.996, "THRESHOLD": 0.6, "WEIGHT": 3.0, "RAMP": 12 / 450},
    f"{METHODS}.u2pl": {"UNRELIABLE": 0.2, "CONTRAST_WEIGHT": 1.0},
    f"{METHODS}.contrast": {"ANCHORS": 256, "NEGATIVES": 50},
    f"{METHODS}.unimatch": {"THRESHOLD": 0.0, "DROPOUT": 0.5, "LABELLED_WEIGHT": 1 / 2,
                            "STRONG_WEIGHT": 1 / 8, "FEATURE_WEIGHT": 1 / 4},
    f"{METHODS}.unimatch_v2": {"THRESHOLD": 0.95, "UNTOUCHED": 0.5, "LABELLED_WEIGHT": 1 / 2,
                               "STRONG_WEIGHT": 1 / 4},
    f"{METHODS}.s4al": {"DECAY": 0.99, "CONFIDENT": 0.97, "COLD_START": 0.1, "COLD_WEIGHT": 1.5,
                        "REPLAY": 500, "PASTED": 3},
    "tsfal_geo.queries.strategies.qbc": {"DROPOUT": 0.2},
}  # fmt: skip


@pytest.mark.parametrize("module", CONSTANTS)
def test_constants_are_the_authors(module):
    found = importlib.import_module(module)
    assert {name: getattr(found, name) for name in CONSTANTS[module]} == CONSTANTS[module]
