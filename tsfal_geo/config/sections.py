"""Sections of the configuration on data, networks, training and maps: every key with its meaning.

`tsfal_geo.config.methods` has the sections on semi-supervised and active learning.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tsfal_geo.config.invalid import invalid
from tsfal_geo.config.presets import RATES

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _ModelType
else:
    _ModelType = type(BaseModel)

Method = Literal[
    "tsf",
    "instant",
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
"""Names of the training methods, as modules of `tsfal_geo.training.methods` register them."""

BUNDLED = "bundled"
"""The name of the weights that are installed with tsfal-geo."""

BUNDLED_ENCODER = "tu-tf_efficientnet_lite0"
"""The encoder that the bundled weights belong to."""

INSTANT_WINDOW = 640
"""Pixels a side of the blocks, with their surroundings, whose features the instant model learns."""

_SGD_ONLY = 0.01
"""Learning rates from here on suit SGD, and let AdamW diverge."""


Positive = Annotated[int, Field(ge=1)]
Byte = Annotated[int, Field(ge=0, le=255)]


class _RaisesConfigError(_ModelType):
    """Metaclass of the sections: a section that is made in Python with a wrong value is a user's mistake."""

    def __call__(cls, *args: Any, **values: Any) -> Any:
        # Sections inside a configuration do not come here, so that their errors name the whole key.
        try:
            return super().__call__(*args, **values)
        except ValidationError as error:
            raise invalid(error, cls.__name__) from None


class Frozen(BaseModel, metaclass=_RaisesConfigError):
    """Base of the sections: immutable, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class ClassSpec(Frozen):
    """One class: its value in label files, its name and its colour."""

    id: int = Field(ge=0, le=254, description="value in label files and maps")
    name: str = Field(min_length=1, description="name in legends and tables")
    colour: tuple[Byte, Byte, Byte] = Field(description="red, green and blue, 0 to 255")


class DataConfig(Frozen):
    """Rasters, and how they are cut into chips."""

    bands: tuple[int, ...] | None = Field(
        None, description="band numbers, counted from 1, in the network's order; null: all bands"
    )
    dsm: Literal["auto", "use", "ignore"] = Field(
        "ignore",
        description="height above local ground as an extra channel; auto: if every scene has a surface model",
    )
    crs: str | None = Field(
        None, description="CRS of rasters that have a place but declare no CRS, such as EPSG:25832"
    )
    aoi: Path | None = Field(
        None,
        description="vector file with the area of interest: pixels outside are neither asked nor trained on "
        "nor mapped; null: the whole scenes",
    )
    chip_size: int = Field(512, ge=64, description="side of a chip in pixels; a multiple of 32")
    edge: Literal["shift", "pad"] = Field(
        "shift", description="chips of the last row and column: shifted back into the scene, or padded"
    )
    labelled: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of the labelled chips whose labels are used; 0: none, to start from queries; "
        "null: all",
    )
    labelled_list: Path | None = Field(
        None, description="text file that names the scenes whose labels are used, one a line"
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


def _weights_of_encoder(given: dict[str, Any]) -> str:
    return BUNDLED if given.get("encoder") == BUNDLED_ENCODER else "imagenet"


def _normalisation_of_weights(given: dict[str, Any]) -> Literal["scenes", "weights"]:
    return "weights" if given.get("weights") == BUNDLED else "scenes"


class ModelConfig(Frozen):
    """The segmentation network."""

    encoder: str = Field(
        BUNDLED_ENCODER, description="name in segmentation_models_pytorch, or in timm with the prefix tu-"
    )
    architecture: Literal["deeplabv3plus", "dpt", "instant"] | None = Field(
        None,
        description="head; null: dpt for vision transformers (tu-vit_…), else deeplabv3plus; instant: 1×1 "
        "convolutions on all features, which train.method=instant fits in seconds",
    )
    scales: tuple[Annotated[int, Field(ge=1, le=4)], ...] = Field(
        (1, 2),
        min_length=1,
        description="architecture instant: enlargements of the image whose features are used together; 2 "
        "costs four times as much as 1",
    )
    weights: str | None = Field(
        default_factory=_weights_of_encoder,
        description="pretrained weights: bundled (come with the installation; the default of their encoder), "
        "imagenet (the default of other encoders), a name in torchgeo, or a file; null: random weights",
    )
    start: str | None = Field(
        None, description="model to start from (folder or zip), set by train --from; null: none"
    )
    allow_random_init: bool = Field(
        False, description="continue with random weights if the pretrained weights are not available"
    )
    normalisation: Literal["scenes", "weights"] = Field(
        default_factory=_normalisation_of_weights,
        description="mean and deviation of the bands: those of the training scenes, or those of the "
        "pretrained weights (the default of the bundled ones)",
    )
    freeze_encoder_bn: bool = Field(
        False, description="keep the pretrained statistics of the encoder's batch norms"
    )
    output_stride: Literal[8, 16] = Field(
        16, description="pixels a cell of the encoder's last features; 8 is finer and slower"
    )
    atrous_rates: tuple[Positive, Positive, Positive] = Field(
        (6, 12, 18), description="dilations of the three ASPP convolutions"
    )
    separable: bool = Field(
        True, description="depthwise-separable 3×3 convolutions in the head: a tenth of the work on a CPU"
    )
    projection_kernel: Literal[1, 3] = Field(
        1, description="kernel of the ASPP projection; 3 also replaces element by channel dropout"
    )
    low_level_channels: int = Field(
        48, ge=1, description="channels that the decoder takes of the encoder's stride-4 features"
    )
    decoder_convs: Literal[1, 2] = Field(2, description="3×3 convolutions of the decoder")
    multi_grid: tuple[Positive, Positive, Positive] | None = Field(
        None, description="factors on the dilations of the three blocks of a ResNet's last stage"
    )
    aux_head: bool = Field(
        False, description="auxiliary classifier on the middle features, weighted 0.4 in the supervised loss"
    )


class AugmentConfig(Frozen):
    """Augmentation of training batches."""

    scale: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = Field(
        (0.5, 2.0), description="smallest and largest factor of the random scaling"
    )
    flip: bool | Literal["horizontal"] = Field(
        True, description="random flips; horizontal: left to right only, for pictures with an up and a down"
    )
    rotate90: bool = Field(True, description="random quarter turns")
    colour: float | None = Field(
        None, ge=0, le=1, description="strength of the colour jitter on mixed images; 0: none"
    )


class TrainConfig(Frozen):
    """Optimisation."""

    method: Method = Field("tsf", description="training method")
    steps: int = Field(20_000, ge=1, description="optimisation steps of the first round")
    seconds: float | None = Field(
        None,
        gt=0,
        description="time of a round's training on this machine, from which its steps are chosen by measured "
        "speed; null: `steps` holds",
    )
    batch_labelled: int = Field(2, ge=1, description="labelled chips a step and device")
    batch_unlabelled: int = Field(2, ge=1, description="unlabelled chips a step and device")
    optimiser: Literal["sgd", "adamw"] = Field(
        "adamw", description="brings its own lr, head_lr_mult and weight_decay where they are not given"
    )
    lr: float = Field(
        RATES["adamw"]["lr"], gt=0, description="learning rate of the encoder at the first step"
    )
    head_lr_mult: float = Field(
        RATES["adamw"]["head_lr_mult"], gt=0, description="learning rate of the head, as a multiple of lr"
    )
    layer_decay: float | None = Field(
        None,
        gt=0,
        le=1,
        description="vision transformers: learning rate of a block, as a share of the next block's",
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd")
    weight_decay: float = Field(RATES["adamw"]["weight_decay"], ge=0, description="weight decay")
    poly_power: float = Field(
        0.9, ge=0, description="exponent p of the schedule: the rate falls as (1 − share of steps done)^p"
    )
    ohem: bool = Field(
        False,
        description="supervised loss on hard pixels only: online hard example mining, as the compared "
        "methods use on Cityscapes",
    )
    class_weights: Literal["none", "inverse_sqrt"] | None = Field(
        None,
        description="weights of the classes in the supervised loss; inverse_sqrt: 1/√share of the labelled "
        "pixels",
    )
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        "auto",
        description="arithmetic, as Lightning names it; auto: bf16-mixed if the device computes it, "
        "else 32-true",
    )
    channels_last: bool = Field(
        True, description="memory layout of images and weights; faster on most devices"
    )
    val_every: int | None = Field(
        None, ge=1, description="steps between validations; null: ten validations a round"
    )
    checkpoint_every: int = Field(200, ge=1, description="steps between checkpoints to resume from")
    seed: int = Field(0, ge=0, description="seed of every random draw")
    num_workers: int | None = Field(
        None, ge=0, description="processes that read chips; null: chosen by the number of cores"
    )
    devices: int | Literal["auto"] = Field("auto", description="devices a node")
    num_nodes: int = Field(1, ge=1, description="machines")
    accelerator: Literal["auto", "cpu", "gpu"] = Field("auto", description="kind of device")
    strategy: str = Field(
        "auto", description="how devices share a training, as Lightning names it; auto: DDP from two on"
    )

    @field_validator("lr")
    @classmethod
    def _suits_optimiser(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("optimiser") == "adamw" and value >= _SGD_ONLY:
            raise ValueError(
                f"adamw expects about {RATES['adamw']['lr']} and less than {_SGD_ONLY}; lower it, or set "
                "train.optimiser=sgd, whose rate it may be"
            )
        return value


class ExportConfig(Frozen):
    """Prediction of wall-to-wall maps."""

    window: Annotated[int, Field(ge=64, multiple_of=4)] | Literal["scene"] | None = Field(
        None,
        description="side of a prediction window in pixels; null: the chip size, or 640 with the method "
        "instant; scene: the scene as one image",
    )
    overlap: float = Field(
        0.25, ge=0, lt=0.75, description="share of a window's side that it has in common with its neighbour"
    )
    batch: int | None = Field(
        None,
        ge=1,
        description="windows a batch; null: chosen by the device; halved if memory runs out",
    )
    backend: Literal["auto", "pytorch", "openvino", "onnx"] = Field(
        "auto",
        description="runtime of windows on a CPU; auto: PyTorch for small folders, else OpenVINO if it is "
        "installed, else ONNX Runtime where PyTorch has no bfloat16",
    )

    @property
    def side(self) -> int | None:
        """Side of a prediction window in pixels; None: the network's own, or the scene as one image."""
        return None if self.window == "scene" else self.window
