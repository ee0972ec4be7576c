"""The sections of the configuration as typed, validated, frozen models: every key with its default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from tsfal_geo.config.presets import RATES

Method = Literal[
    "tsf",
    "supervised",
    "mean_teacher",
    "cutmix",
    "cct",
    "gct",
    "cps",
    "ael",
    "ps_mt",
    "u2pl",
    "unimatch",
    "unimatch_v2",
    "deal",
    "s4al",
]
"""Ways to train; each is a module in ``tsfal_geo.training`` that registers itself under this name."""

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
"""Ways to choose queries; each is a class in ``tsfal_geo.queries.strategies``."""


class Frozen(BaseModel):
    """A model that nobody changes and that has no other keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ClassSpec(Frozen):
    """One class: the value it has in label files, its name and its colour."""

    id: int = Field(ge=0, le=254)
    name: str
    colour: tuple[int, int, int]


class DataConfig(Frozen):
    """What is read and how it is cut into chips."""

    bands: tuple[int, ...] | None = Field(None, description="1-based band numbers, in order; None: all bands")
    dsm: Literal["auto", "use", "ignore"] = Field(
        "ignore", description="height above local ground as an extra channel; auto: where every scene has one"
    )
    chip_size: int = Field(512, ge=64, description="pixels a side; a multiple of 32")
    edge: Literal["shift", "pad"] = Field("shift", description="last row/column of chips: shift back or pad")
    labelled: float | None = Field(None, gt=0, le=1, description="share of chips whose labels are used")
    labelled_list: Path | None = Field(
        None, description="text file with the names of the scenes whose labels are used, a line each"
    )

    @model_validator(mode="after")
    def _check(self) -> DataConfig:
        if self.chip_size % 32:
            raise ValueError(f"chip_size is {self.chip_size}, expected a multiple of 32")
        if self.bands is not None and (not self.bands or min(self.bands) < 1):
            raise ValueError("bands are counted from 1")
        if self.labelled is not None and self.labelled_list is not None:
            raise ValueError("labelled and labelled_list exclude each other; give one of them")
        return self


class ModelConfig(Frozen):
    """The segmentation network."""

    encoder: str = Field("mobilenet_v2", description="segmentation_models_pytorch or timm (tu-…) name")
    architecture: Literal["deeplabv3plus", "dpt"] | None = Field(
        None, description="head; None: dpt where the encoder is a vision transformer (tu-vit_…)"
    )
    weights: str | None = Field(
        "imagenet",
        description="'imagenet' (what the library has), a torchgeo weights name, or a file; None: random",
    )
    allow_random_init: bool = Field(
        False, description="go on with random weights where `weights` can't be had"
    )
    normalisation: Literal["scenes", "weights"] = Field(
        "scenes", description="mean and deviation of the training scenes, or those that `weights` expect"
    )
    freeze_encoder_bn: bool = Field(False, description="encoder batch norm keeps its pretrained statistics")
    output_stride: Literal[8, 16] = 16
    atrous_rates: tuple[int, int, int] = (6, 12, 18)
    separable: bool = Field(
        True, description="depthwise-separable 3x3s in head: ten times less work on a CPU"
    )
    projection_kernel: Literal[1, 3] = 1
    low_level_channels: int = 48
    decoder_convs: Literal[1, 2] = 2
    multi_grid: tuple[int, int, int] | None = Field(
        None, description="dilation factors in a ResNet's last stage"
    )
    aux_head: bool = False


class AugmentConfig(Frozen):
    """Weak augmentation of batches (kornia), and the colour part of the strong one."""

    scale: tuple[float, float] = (0.5, 2.0)
    flip: bool | Literal["horizontal"] = Field(
        True, description="horizontal: pictures with an up and a down are only mirrored"
    )
    rotate90: bool = True
    colour: float | None = Field(
        None, ge=0, le=1, description="strength of colour jitter on the mixed images"
    )


_SGD_ONLY = 0.01


class TrainConfig(Frozen):
    """Optimisation."""

    method: Method = "tsf"
    steps: int = Field(20_000, ge=1, description="optimisation steps of the first round")
    batch_labelled: int = Field(2, ge=1)
    batch_unlabelled: int = Field(2, ge=1)
    optimiser: Literal["sgd", "adamw"] = Field(
        "adamw", description="each has an lr, head_lr_mult and weight_decay of its own where none is given"
    )
    lr: float = Field(RATES["adamw"]["lr"], gt=0, description="of the encoder at the first step")
    head_lr_mult: float = Field(RATES["adamw"]["head_lr_mult"], gt=0, description="the head's rate, in lr")
    layer_decay: float | None = Field(
        None, gt=0, le=1, description="vision transformers: a block's rate, in rates of the next block"
    )
    momentum: float = Field(0.9, description="of sgd")
    weight_decay: float = RATES["adamw"]["weight_decay"]
    poly_power: float = 0.9
    ohem: bool = False
    class_weights: Literal["none", "inverse_sqrt"] | None = Field(
        None, description="in the loss on labels; inverse_sqrt: 1/√share of the labelled pixels"
    )
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    channels_last: bool = True
    val_every: int | None = Field(None, ge=1, description="steps between validations; None: ten a round")
    checkpoint_every: int = Field(200, ge=1, description="steps between resume checkpoints")
    seed: int = 0
    num_workers: int | None = Field(None, ge=0, description="None: chosen by the number of cores")
    devices: int | Literal["auto"] = "auto"
    num_nodes: int = 1
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    strategy: str = "auto"

    @field_validator("lr")
    @classmethod
    def _of_the_optimiser(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("optimiser") == "adamw" and value >= _SGD_ONLY:
            raise ValueError(
                f"adamw expects about {RATES['adamw']['lr']} and less than {_SGD_ONLY}; lower it, or set "
                "train.optimiser=sgd, whose rate it may be"
            )
        return value


class TsfConfig(Frozen):
    """Teacher-Student-Friend (method: eqs. 1 to 4, adaptive augmentation)."""

    ema_decay: float = Field(0.99, ge=0, lt=1, description="at most; short trainings average over a tenth")
    teacher_weighting: Literal["none", "ael", "threshold"] = "ael"
    confidence_threshold: float = 0.95
    cps_view: Literal["mixed", "unmixed"] | None = None
    absent_as_zero: bool | None = None
    bank_momentum: float = 0.999
    ramp: float | None = Field(
        None, ge=0, le=1, description="share of the steps after the warm-up in which unlabelled losses rise"
    )
    peer_weighting: Literal["none", "confidence"] | None = Field(
        None, description="confidence: student and friend believe each other as far as each is sure"
    )
    pseudo_weight: float | None = Field(
        None,
        ge=0,
        description="of TSF's pseudo-labels, the teacher's and the peers'; people's labels and votes count 1",
    )
    align: bool | None = Field(
        None, description="pseudo-labels as frequent, class by class, as the labelled chips' pixels"
    )
    cutmix: bool = True
    copy_paste: bool = True
    copy_paste_probability: float = 0.5
    copy_paste_classes: int = 3
    component_min_area: float = Field(0.005, description="share of the image; below it no box of the class")
    presence_min_area: float = 0.01
    warmup_steps: int | None = Field(
        None, ge=0, description="steps of any method on labelled images alone; None: its own (TSF 5 %)"
    )


class EmdConfig(Frozen):
    """Error mask decoder."""

    enabled: bool = True
    lr: float = 1e-3
    weight_decay: float = 1e-4
    start: float = Field(0.1, description="share of the training's steps before it trains")
    threshold: float | None = Field(
        None, gt=0, lt=1, description="error probability from which on the decoder puts a cell into the mask"
    )
    hold_out: float | None = Field(None, ge=0, lt=1, description="share of labelled chips kept for EMD alone")
    manual_pixels: bool | None = Field(None, description="also supervise on manually labelled pixels")


class PlarConfig(Frozen):
    """Pseudo-label auto-refinement."""

    enabled: bool = True
    confidence: float = Field(0.7, description="below it a pixel is in the error mask")
    covariance: Literal["pinv", "per_class_lw", "per_class_oas", "rda", "pooled_lw", "diag"] = "pooled_lw"
    logdet: bool = False
    support: Literal["auto", "manual", "reliable", "both"] = "auto"
    min_manual_cells: int = 16
    min_class_cells: int = 16
    reliable_confidence: float = 0.9
    purity: float = 0.75
    min_margin: float | None = Field(
        None,
        ge=0,
        le=1,
        description="votes less clear go to the query pool; ½ is an image's median agreed vote",
    )
    lambda_mode: Literal["learned", "fixed"] = "learned"
    lambda_init: float = 0.3
    weight_lr: float = 1e-3
    refined_weight: Literal["one", "margin"] | None = None
    unresolved: Literal["keep", "ignore", "conf"] | None = None


class ActiveConfig(Frozen):
    """Rounds, budget and queries."""

    strategy: QueryStrategy = "plar"
    budget: float | None = Field(
        None, gt=0, le=1, description="labelled share at the end; None: 0.09 more than at the start"
    )
    rounds: int = Field(3, ge=0, description="rounds of queries over which the budget is spread; 0: none")
    round_steps: float = Field(
        0.5, gt=0, description="length of each later round that goes on, in lengths of the first"
    )
    descent: Literal["round", "whole"] | None = Field(
        None,
        description="the rate falls to 0 in each round, or once over all planned rounds: better in the end "
        "where trainings are short, but only the last round's map is finished",
    )
    retrain: Literal["continue", "scratch"] = Field(
        "continue", description="later rounds go on with the networks, or start from the pretrained weights"
    )
    granularity: Literal["pixels", "regions", "chips"] = Field(
        "regions", description="what one query is; chips: the image-level protocol"
    )
    min_region: int = Field(64, ge=1, description="pixels; smaller candidate regions are merged or dropped")
    max_region: int = Field(4096, ge=16, description="pixels; larger candidate regions are cut")
    ranking: Literal["paper", "strong"] | None = Field(
        None,
        description="how plar and emd ask: candidate cells, chip after chip in random order (paper), or "
        "whole segments that hold candidates, the most doubtful first (strong)",
    )
    image_cap: float = Field(2.0, description="strong: a chip's share of the round's budget, in even shares")
    qbc_passes: int = 10
    oracle: bool = False


class ExportConfig(Frozen):
    """Wall-to-wall prediction."""

    window: Annotated[int, Field(ge=64, multiple_of=4)] | Literal["scene"] | None = Field(
        None, description="pixels a side; None: the chip size; scene: no windows, the scene as one image"
    )
    overlap: float = Field(0.25, ge=0, lt=0.75, description="share of a window shared with its neighbour")
    batch: int | None = Field(
        None, ge=1, description="windows at a time; None: by the device; halved where memory is short"
    )
