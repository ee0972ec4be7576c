"""Sections of the configuration on semi-supervised and active learning: every key with its meaning.

Equations are those of the paper (Ma, Karakus, Rosin, arXiv 2501.19227).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tsfal_geo.config.sections import Frozen

QueryStrategy = Literal[
    "plar",
    "emd",
    "random",
    "entropy",
    "margin",
    "coreset",
    "qbc",
    "vaal",
    "deal_ds",
    "deal_de",
    "s4al",
]
"""Names of the query strategies, as classes of `tsfal_geo.queries.strategies` register them."""


class TsfConfig(Frozen):
    """Teacher, student and friend (equations 1 to 4), and the adaptive augmentation of AEL."""

    ema_decay: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="largest decay of the teacher's moving average; short trainings average over a tenth "
        "of their steps",
    )
    teacher_weighting: Literal["none", "ael", "threshold"] = Field(
        "ael",
        description="weight of the teacher's labels in equation 2; ael: squared confidence on sampled "
        "pixels; threshold: 1 from `confidence_threshold` on",
    )
    confidence_threshold: float = Field(
        0.95, ge=0, le=1, description="confidence that `teacher_weighting: threshold` requires"
    )
    cps_view: Literal["mixed", "unmixed"] | None = Field(
        None,
        description="images on which student and friend label for each other in equation 3: mixed, or "
        "unmixed and mixed afterwards",
    )
    manual_to_friend: bool | None = Field(
        None,
        description="annotators' labels of unlabelled chips also replace the labels that student and friend "
        "give each other; false: they teach the student alone, through the teacher",
    )
    absent_as_zero: bool | None = Field(
        None,
        description="confidence bank: a class that a batch lacks counts as probability 0, as in AEL's code; "
        "false: it keeps its value",
    )
    bank_momentum: float = Field(
        0.999, ge=0, lt=1, description="share of the old value that a step keeps in the confidence bank"
    )
    ramp: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of the steps after the warm-up over which the unlabelled losses rise to their "
        "full weight",
    )
    peer_weighting: Literal["none", "confidence"] | None = Field(
        None, description="weight of the labels that student and friend give each other in equation 3"
    )
    pseudo_weight: float | None = Field(
        None,
        ge=0,
        description="weight of pseudo-labels; annotators' labels and the votes of PLAR that rest on them "
        "have weight 1",
    )
    align: bool | None = Field(
        None, description="align the class shares of pseudo-labels with those of the labelled chips"
    )
    cutmix: bool = Field(True, description="adaptive CutMix of unlabelled chips")
    copy_paste: bool = Field(True, description="adaptive copy-paste of rare classes onto labelled chips")
    copy_paste_probability: float = Field(
        0.5, ge=0, le=1, description="share of the labelled chips that are pasted onto"
    )
    copy_paste_classes: int = Field(3, ge=1, description="draws of a class for each pasted chip")
    component_min_area: float = Field(
        0.005, ge=0, le=1, description="smallest object that CutMix pastes, as a share of the chip's area"
    )
    presence_min_area: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of a chip from which on CutMix counts a predicted class as present",
    )
    warmup_steps: int | None = Field(
        None, ge=0, description="first steps on labelled chips alone; null: the method's own (TSF: 5 %)"
    )


class EmdConfig(Frozen):
    """Error mask decoder (equation 5)."""

    enabled: bool = Field(True, description="train the decoder, and use it in error masks")
    kernel: Literal[1, 3] | None = Field(
        None, description="side of the decoder's first convolution; 1 takes a sixth of the work of 3"
    )
    loss: Literal["pixels", "cells"] | None = Field(
        None,
        description="equation 5; pixels: its mean over all labelled pixels; cells: balanced between right "
        "and wrong, on cells that one class fills",
    )
    lr: float = Field(1e-3, gt=0, description="learning rate of the decoder's AdamW")
    weight_decay: float = Field(1e-4, ge=0, description="weight decay of the decoder's AdamW")
    start: float = Field(
        0.1, ge=0, le=1, description="share of the steps after which the decoder starts to train"
    )
    threshold: float | None = Field(
        None, gt=0, lt=1, description="error probability from which on a cell is in the error mask"
    )
    hold_out: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of the labelled chips that are held out of the segmenter's training, and train "
        "the decoder alone",
    )
    manual_pixels: bool | None = Field(
        None, description="also supervise the decoder on annotators' labels of unlabelled chips"
    )


class PlarConfig(Frozen):
    """Pseudo-label auto-refinement (equations 6 to 9)."""

    enabled: bool = Field(True, description="refine pseudo-labels in the error mask by votes")
    confidence: float = Field(
        0.7, ge=0, le=1, description="teacher's confidence below which a pixel is in the error mask"
    )
    covariance: Literal["pinv", "per_class_lw", "per_class_oas", "rda", "pooled_lw", "diag"] = Field(
        "pooled_lw",
        description="estimate of the covariances in equation 8: pseudo-inverse; Ledoit–Wolf or OAS "
        "shrinkage, a class; regularised discriminant analysis; Ledoit–Wolf, pooled; diagonal",
    )
    scale_levels: bool | None = Field(
        None, description="divide the distances of each feature level by their median in equations 7 and 9"
    )
    every_vote: bool | None = Field(
        None,
        description="write every agreed vote; false: none for a lone class with support, and none against a "
        "pseudo-label whose class has no support; chips without support take statistics of others",
    )
    logdet: bool = Field(False, description="add log|Σ| of the class to the squared Mahalanobis distance")
    support: Literal["auto", "manual", "reliable", "both"] = Field(
        "auto",
        description="cells that the class statistics come from; auto: annotators' cells if there are "
        "enough, else also reliable pseudo-labels; manual: annotators' cells alone",
    )
    min_manual_cells: int = Field(
        16, ge=1, description="annotators' cells in a chip that are enough for `support: auto`"
    )
    min_class_cells: int = Field(
        16, ge=1, description="reliable cells that a class needs to take part in votes"
    )
    reliable_confidence: float = Field(
        0.9,
        ge=0,
        le=1,
        description="confidence from which on a pseudo-label outside the error mask is reliable",
    )
    purity: float = Field(
        0.75, ge=0, le=1, description="share of a cell's 16 pixels that one class must fill to label the cell"
    )
    min_margin: float | None = Field(
        None,
        ge=0,
        le=1,
        description="margin below which an agreed vote is a candidate for a query instead; 0.5 is the median "
        "of the chip",
    )
    lambda_mode: Literal["learned", "fixed"] = Field(
        "learned", description="weights λ of the two feature levels in the distances"
    )
    lambda_init: float = Field(0.3, ge=0, le=1, description="λ at the start, or throughout if fixed")
    weight_lr: float = Field(1e-3, gt=0, description="learning rate of the module that learns λ")
    refined_weight: Literal["one", "margin"] | None = Field(
        None, description="weight of a refined label in the loss: 1, or the margin of its vote"
    )
    unresolved: Literal["keep", "ignore", "conf"] | None = Field(
        None,
        description="pseudo-labels in the error mask without an agreed vote: kept, ignored, or weighted by "
        "confidence",
    )


class ActiveConfig(Frozen):
    """Rounds, budget and queries."""

    strategy: QueryStrategy = Field("plar", description="query strategy")
    budget: float | None = Field(
        None,
        gt=0,
        le=1,
        description="labelled share at the end; null: 0.09 more than at the start, or no limit where "
        "`answers` or `minutes` is given",
    )
    answers: int | None = Field(None, ge=1, description="annotators' answers at the end; null: no limit")
    minutes: float | None = Field(
        None, gt=0, description="minutes of annotators' time at the end; null: no limit"
    )
    rounds: int = Field(3, ge=0, description="rounds of queries that share the budget; 0: no queries")
    round_steps: float = Field(
        0.5, gt=0, description="steps of a later round that continues, as a share of the first round's"
    )
    descent: Literal["round", "whole"] | None = Field(
        None,
        description="learning rate falls to 0 in every round, or once over all planned rounds: better at "
        "the end of short trainings, but only the last round's map is finished",
    )
    retrain: Literal["continue", "scratch"] = Field(
        "continue", description="later rounds continue with the networks, or start from pretrained weights"
    )
    granularity: Literal["pixels", "regions", "chips"] = Field(
        "regions", description="unit of a query; chips: the image-level protocol"
    )
    min_region: int = Field(
        64, ge=1, description="pixels below which a candidate region is merged or dropped"
    )
    max_region: int = Field(4096, ge=16, description="pixels above which a candidate region is divided")
    ranking: Literal["paper", "strong"] | None = Field(
        None,
        description="order of the candidates of plar and emd; paper: cells, chip after chip in random order; "
        "strong: segments, the most doubtful first",
    )
    partly_labelled: bool | None = Field(
        None,
        description="chips that people labelled by less than half also supervise; false: only with methods "
        "that use no unlabelled chips",
    )
    image_cap: float = Field(
        2.0,
        gt=0,
        description="largest share of a round's budget for one chip, in even shares (ranking strong)",
    )
    qbc_passes: int = Field(10, ge=1, description="forward passes of the committee of qbc")
    oracle: bool = Field(False, description="the folder's labels answer the queries: for simulations")
    oracle_answers: Literal["exact", "key", "mixed", "point"] = Field(
        "exact",
        description="answers of the oracle; exact: polygons of all classes; key: the dominant class; mixed: "
        "the dominant class, with polygons on top where they pay; point: the class of one pixel",
    )
    oracle_purity: float = Field(
        0.75, gt=0, le=1, description="share of the dominant class below which `oracle_answers: key` skips"
    )
    oracle_error: float = Field(0.0, ge=0, le=1, description="share of the oracle's labels of a wrong class")
    oracle_unsure: float = Field(
        0.0, ge=0, le=1, description="share of the queries that the oracle cannot tell"
    )
