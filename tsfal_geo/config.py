"""The whole configuration as typed, validated, frozen models: YAML in, resolved YAML out.

Every key has one meaning and one default; ``preset`` chooses between the paper's literal reading and the
values recommended for results wherever the two differ (``None`` defaults are filled in from the preset).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tsfal_geo.errors import ConfigError

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
"""Ways to train; each is a module in ``tsfal_geo.ssl`` that registers itself under this name."""

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
"""Ways to choose queries; each is a class in ``tsfal_geo.active.strategies``."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ClassSpec(_Frozen):
    """One class: the value it has in label files, its name and its colour."""

    id: int = Field(ge=0, le=254)
    name: str
    colour: tuple[int, int, int]


class DataConfig(_Frozen):
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


class ModelConfig(_Frozen):
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


class AugmentConfig(_Frozen):
    """Weak augmentation of batches (kornia), and the colour part of the strong one."""

    scale: tuple[float, float] = (0.5, 2.0)
    flip: bool | Literal["horizontal"] = Field(
        True, description="horizontal: pictures with an up and a down are only mirrored"
    )
    rotate90: bool = True
    colour: float | None = Field(
        None, ge=0, le=1, description="strength of colour jitter on the mixed images"
    )


class TrainConfig(_Frozen):
    """Optimisation."""

    method: Method = "tsf"
    steps: int = Field(20_000, ge=1, description="optimisation steps of the first round")
    batch_labelled: int = Field(2, ge=1)
    batch_unlabelled: int = Field(2, ge=1)
    optimiser: Literal["sgd", "adamw"] = Field(
        "sgd", description="adamw: what vision transformers are fine-tuned with, at a far lower lr"
    )
    lr: float = Field(0.001, gt=0)
    head_lr_mult: float = Field(10.0, gt=0)
    layer_decay: float | None = Field(
        None, gt=0, le=1, description="vision transformers: a block's rate, in rates of the next block"
    )
    momentum: float = Field(0.9, description="of sgd")
    weight_decay: float = 1e-4
    poly_power: float = 0.9
    ohem: bool = False
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


class TsfConfig(_Frozen):
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
    peer_weight: float | None = Field(
        None, ge=0, description="of pseudo-labels that student and friend give each other; people's count 1"
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


class EmdConfig(_Frozen):
    """Error mask decoder."""

    enabled: bool = True
    lr: float = 1e-3
    weight_decay: float = 1e-4
    start: float = Field(0.1, description="share of the round's steps before it trains")
    threshold: float = 0.5
    hold_out: float | None = Field(None, ge=0, lt=1, description="share of labelled chips kept for EMD alone")
    manual_pixels: bool | None = Field(None, description="also supervise on manually labelled pixels")


class PlarConfig(_Frozen):
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


class ActiveConfig(_Frozen):
    """Rounds, budget and queries."""

    strategy: QueryStrategy = "plar"
    budget: float | None = Field(
        None, gt=0, le=1, description="labelled share at the end; None: 0.09 more than at the start"
    )
    rounds: int = Field(3, ge=0, description="rounds of queries over which the budget is spread; 0: none")
    round_steps: float = Field(
        0.5, gt=0, description="length of each later round that goes on, in lengths of the first"
    )
    round_lr: float = Field(
        1.0, gt=0, le=1, description="highest rate of each later round that goes on, in those of the first"
    )
    retrain: Literal["continue", "scratch"] = Field(
        "continue", description="later rounds go on with the networks, or start from the pretrained weights"
    )
    granularity: Literal["pixels", "regions", "chips"] = Field(
        "regions", description="what one query is; chips: the image-level protocol"
    )
    min_region: int = Field(64, ge=1, description="pixels; smaller candidate regions are merged or dropped")
    max_region: int = Field(4096, ge=16, description="pixels; larger candidate regions are cut")
    ranking: Literal["paper", "strong"] | None = None
    image_cap: float = Field(2.0, description="strong: a chip's share of the round's budget, in even shares")
    qbc_passes: int = 10
    oracle: bool = False


class ExportConfig(_Frozen):
    """Wall-to-wall prediction."""

    window: Annotated[int, Field(ge=64, multiple_of=4)] | Literal["scene"] | None = Field(
        None, description="pixels a side; None: the chip size; scene: no windows, the scene as one image"
    )
    overlap: float = Field(0.25, ge=0, lt=0.75, description="share of a window shared with its neighbour")
    batch: int | None = Field(
        None, ge=1, description="windows at a time; None: by the device; halved where memory is short"
    )


_PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {
        "augment": {"colour": 0.0},
        "tsf": {
            "cps_view": "mixed",
            "absent_as_zero": True,
            "ramp": 0.0,
            "peer_weighting": "none",
            "peer_weight": 1.0,
            "align": False,
        },
        "emd": {"hold_out": 0.0, "manual_pixels": False},
        "plar": {"min_margin": 0.0, "refined_weight": "one", "unresolved": "keep"},
        "active": {"ranking": "paper"},
    },
    "strong": {
        "augment": {"colour": 0.5},
        "tsf": {
            "cps_view": "unmixed",
            "absent_as_zero": False,
            "ramp": 0.5,
            "peer_weighting": "confidence",
            "peer_weight": 0.25,
            "align": True,
        },
        "emd": {"hold_out": 0.0, "manual_pixels": True},
        "plar": {"min_margin": 0.5, "refined_weight": "margin", "unresolved": "conf"},
        "active": {"ranking": "strong"},
    },
}


class Config(_Frozen):
    """Everything a run depends on."""

    preset: Literal["paper", "strong"] = "strong"
    classes: tuple[ClassSpec, ...] | None = Field(
        None, description="the class map; None: taken from the label files, else Vaihingen's"
    )
    ignore_colours: tuple[tuple[int, int, int], ...] = Field(
        (), description="colours of RGB label files that mean no class; of use with `classes`"
    )
    ignore_ids: tuple[Annotated[int, Field(ge=0, le=255)], ...] = Field(
        (), description="ids in label files that mean no class, besides 255"
    )
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    tsf: TsfConfig = TsfConfig()
    emd: EmdConfig = EmdConfig()
    plar: PlarConfig = PlarConfig()
    active: ActiveConfig = ActiveConfig()
    export: ExportConfig = ExportConfig()

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        preset = _PRESETS.get(values.get("preset", "strong"))
        if preset is None:
            return values
        values = dict(values)
        for section, defaults in preset.items():
            given = values.get(section) or {}
            if isinstance(given, dict):
                filled = {k: v for k, v in defaults.items() if given.get(k) is None}
                values[section] = {**given, **filled}
        return values

    def to_yaml(self) -> str:
        """The resolved configuration as YAML text."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_config(
    path: Path | None = None, overrides: dict[str, Any] | None = None, base: Config | None = None
) -> Config:
    """Read a YAML file, apply dotted overrides, validate.

    Args:
        path: YAML file; None for ``base``, or the defaults where that is None too.
        base: configuration to start from where no file is given.
        overrides: ``{"train.steps": 100, …}``; None is a value too (of optional keys).

    Raises:
        ConfigError: unreadable file, unknown key, value out of range.
    """
    values: dict[str, Any] = base.model_dump(mode="json") if base is not None and path is None else {}
    if path is not None:
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        except FileNotFoundError:
            raise ConfigError(f"{path}: no such configuration file; see configs/ for examples") from None
        except yaml.YAMLError as error:
            reason = str(error).replace("\n", " ")
            raise ConfigError(f"{path}: not readable as YAML ({reason}); mend the file") from None
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: found {type(values).__name__}, expected a mapping of sections")
    if (overrides or {}).get("preset") not in (None, values.get("preset")):
        values = _without_preset(values)
    for key, value in (overrides or {}).items():
        _set(values, key, value)
    return _validate(values, str(path) if path else "configuration")


def parse_set(items: tuple[str, ...]) -> dict[str, Any]:
    """Turn ``--set`` items ``a.b=value`` (value in YAML) into overrides.

    Raises:
        ConfigError: an item without ``=``.
    """
    result = {}
    for item in items:
        key, found, text = item.partition("=")
        if not found:
            raise ConfigError(f"--set {item}: expected key=value, such as --set train.lr=0.01")
        result[key.strip()] = yaml.safe_load(text)
    return result


def _without_preset(values: dict[str, Any]) -> dict[str, Any]:
    filled = _PRESETS.get(str(values.get("preset")), {})
    return {
        section: {k: v for k, v in content.items() if k not in filled.get(section, {})}
        if isinstance(content, dict)
        else content
        for section, content in values.items()
    }


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    for part in path:
        child = values.setdefault(part, {})
        if not isinstance(child, dict):
            raise ConfigError(f"{dotted}: '{part}' is not a section of the configuration")
        values = child
    values[last] = value


def _validate(values: dict[str, Any], source: str) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "configuration"
        if first["type"] == "extra_forbidden":
            raise ConfigError(
                f"{source}: unknown key '{key}'; see docs/configuration.md for the keys"
            ) from None
        raise ConfigError(f"{source}: {key} is {first.get('input')!r}: {first['msg']}") from None
