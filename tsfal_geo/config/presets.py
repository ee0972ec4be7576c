"""Values that ``preset`` fills in: the paper's literal reading, or those recommended for results."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {
        "model": {"encoder": "mobilenet_v2"},
        "augment": {"colour": 0.0},
        "train": {"optimiser": "sgd", "class_weights": "none"},
        "tsf": {
            "cps_view": "mixed",
            "absent_as_zero": True,
            "ramp": 0.0,
            "peer_weighting": "none",
            "pseudo_weight": 1.0,
            "align": False,
        },
        "emd": {"hold_out": 0.0, "manual_pixels": False, "threshold": 0.5},
        "plar": {
            "covariance": "per_class_lw",
            "min_margin": 0.0,
            "refined_weight": "one",
            "unresolved": "keep",
        },
        "active": {"granularity": "pixels", "ranking": "paper", "descent": "whole"},
    },
    "strong": {
        "model": {"encoder": "tu-tf_efficientnet_lite0"},
        "augment": {"colour": 0.5},
        "train": {"optimiser": "adamw", "class_weights": "inverse_sqrt"},
        "tsf": {
            "cps_view": "unmixed",
            "absent_as_zero": False,
            "ramp": 0.5,
            "peer_weighting": "confidence",
            "pseudo_weight": 0.25,
            "align": True,
        },
        "emd": {"hold_out": 0.0, "manual_pixels": True, "threshold": 0.8},
        "plar": {
            "covariance": "pooled_lw",
            "min_margin": 0.5,
            "refined_weight": "margin",
            "unresolved": "conf",
        },
        "active": {"granularity": "regions", "ranking": "strong", "descent": "round"},
    },
}

RATES: dict[str, dict[str, float]] = {
    "sgd": {"lr": 0.001, "head_lr_mult": 10.0, "weight_decay": 1e-4},
    "adamw": {"lr": 0.001, "head_lr_mult": 4.0, "weight_decay": 0.01},
}
"""Keys of ``train`` that belong to an optimiser: a good rate for one is far off for the other."""
