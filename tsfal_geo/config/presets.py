"""Values that ``preset`` fills in: the paper as printed, its workable reading, or the best results.

All presets give the same keys, so that a change of the preset replaces all that the old one filled in.
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "literal": {
        "model": {"encoder": "mobilenet_v2"},
        "augment": {"colour": 0.0},
        "train": {"optimiser": "sgd", "class_weights": "none"},
        "tsf": {
            "teacher_weighting": "none",
            "cps_view": "mixed",
            "manual_to_friend": False,
            "absent_as_zero": True,
            "ramp": 0.0,
            "peer_weighting": "none",
            "pseudo_weight": 1.0,
            "align": False,
            "warmup_steps": 0,
        },
        "emd": {
            "kernel": 3,
            "loss": "pixels",
            "start": 0.0,
            "hold_out": 0.0,
            "manual_pixels": False,
            "threshold": 0.5,
        },
        "plar": {
            "covariance": "pinv",
            "support": "manual",
            "purity": 0.0,
            "scale_levels": False,
            "every_vote": True,
            "min_margin": 0.0,
            "lambda_mode": "fixed",
            "lambda_init": 0.5,
            "refined_weight": "one",
            "unresolved": "keep",
        },
        "active": {
            "granularity": "pixels",
            "ranking": "paper",
            "partly_labelled": False,
            "descent": "whole",
        },
    },
    "paper": {
        "model": {"encoder": "mobilenet_v2"},
        "augment": {"colour": 0.0},
        "train": {"optimiser": "sgd", "class_weights": "none"},
        "tsf": {
            "teacher_weighting": "ael",
            "cps_view": "mixed",
            "manual_to_friend": False,
            "absent_as_zero": True,
            "ramp": 0.0,
            "peer_weighting": "none",
            "pseudo_weight": 1.0,
            "align": False,
            "warmup_steps": None,
        },
        "emd": {
            "kernel": 3,
            "loss": "cells",
            "start": 0.1,
            "hold_out": 0.0,
            "manual_pixels": False,
            "threshold": 0.5,
        },
        "plar": {
            "covariance": "per_class_lw",
            "support": "auto",
            "purity": 0.75,
            "scale_levels": True,
            "every_vote": False,
            "lambda_mode": "learned",
            "lambda_init": 0.3,
            "min_margin": 0.0,
            "refined_weight": "one",
            "unresolved": "keep",
        },
        "active": {"granularity": "pixels", "ranking": "paper", "partly_labelled": False, "descent": "whole"},
    },
    "strong": {
        "model": {"encoder": "tu-tf_efficientnet_lite0"},
        "augment": {"colour": 0.5},
        "train": {"optimiser": "adamw", "class_weights": "inverse_sqrt"},
        "tsf": {
            "teacher_weighting": "ael",
            "cps_view": "unmixed",
            "manual_to_friend": True,
            "absent_as_zero": False,
            "ramp": 0.5,
            "peer_weighting": "confidence",
            "pseudo_weight": 0.25,
            "align": True,
            "warmup_steps": None,
        },
        "emd": {
            "kernel": 1,
            "loss": "cells",
            "start": 0.1,
            "hold_out": 0.0,
            "manual_pixels": True,
            "threshold": 0.8,
        },
        "plar": {
            "covariance": "pooled_lw",
            "support": "auto",
            "purity": 0.75,
            "scale_levels": True,
            "every_vote": False,
            "lambda_mode": "learned",
            "lambda_init": 0.3,
            "min_margin": 0.5,
            "refined_weight": "margin",
            "unresolved": "conf",
        },
        "active": {
            "granularity": "regions",
            "ranking": "strong",
            "partly_labelled": True,
            "descent": "round",
        },
    },
}

RATES: dict[str, dict[str, float]] = {
    "sgd": {"lr": 0.001, "head_lr_mult": 10.0, "weight_decay": 1e-4},
    "adamw": {"lr": 0.001, "head_lr_mult": 4.0, "weight_decay": 0.01},
}
"""Keys of ``train`` that belong to an optimiser: a good rate for one is far off for the other."""
