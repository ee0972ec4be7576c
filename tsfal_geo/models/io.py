"""Models on disk: weights in ``model.safetensors``, their description in ``model.json``, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tsfal_geo import atomic
from tsfal_geo.config import ClassSpec, ModelConfig
from tsfal_geo.errors import WeightsError
from tsfal_geo.models.segmenter import Segmenter, build_segmenter

SCHEMA_VERSION = 1
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "model.json"
_PACKAGES = ("tsfal-geo", "torch", "segmentation-models-pytorch", "timm")


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


class ModelCard(BaseModel):
    """The description of a model: all that its use requires, and its origin.

    Attributes:
        schema_version: version of this file's format.
        model: configuration of the network.
        in_channels: channels of its input, height included.
        classes: the classes in index order.
        normalisation: `tsfal_geo.raster.stats.Normalisation` as a dict.
        bands: 1-based bands of the scenes, in the order of the channels; None: all bands.
        dsm: True if the last channel is the height above ground, in metres before normalisation.
        chip_size: side of the training chips in pixels.
        seed: of the training.
        round: number of the round that trained it, from 0.
        metrics: results of its last validation.
        versions: versions of the packages that trained it, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    model: ModelConfig
    in_channels: int = Field(ge=1)
    classes: tuple[ClassSpec, ...]
    normalisation: dict[str, Any]
    bands: tuple[int, ...] | None
    dsm: bool
    chip_size: int
    seed: int
    round: int = 0
    metrics: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=_versions)


def save_model(
    folder: Path, segmenter: Segmenter, card: ModelCard, parts: Mapping[str, nn.Module] | None = None
) -> None:
    """Write a model into a folder; the card is written last, so that a folder with a card is complete.

    Args:
        folder: created if it does not exist.
        segmenter: the network, usually the teacher.
        card: its description.
        parts: further modules to save with it by name, such as the refiner; see `load_part`.
    """
    tensors = dict(segmenter.state_dict())
    for name, module in (parts or {}).items():
        tensors.update({f"{name}/{key}": value for key, value in module.state_dict().items()})
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    with atomic.replace_file(Path(folder) / WEIGHTS_NAME) as temporary:
        save_file(plain, temporary)
    atomic.write_text(Path(folder) / CARD_NAME, card.model_dump_json(indent=2))


def load_model(folder: Path) -> tuple[Segmenter, ModelCard]:
    """Read a model that `save_model` wrote.

    Args:
        folder: with ``model.safetensors`` and ``model.json``.

    Returns:
        The network, on the CPU and in eval mode, and its description.

    Raises:
        WeightsError: a file is missing, damaged or of a newer schema, weights and description disagree, or a
            weight is NaN or infinite.
    """
    card = load_card(folder)
    # All weights come from the folder; pretrained ones must not be loaded first.
    cfg = card.model.model_copy(update={"weights": None})
    segmenter = build_segmenter(cfg, card.in_channels, len(card.classes), card.seed)
    path = Path(folder) / WEIGHTS_NAME
    tensors = {key: value for key, value in _read(path).items() if "/" not in key}
    _fill(segmenter, tensors, path)
    _require_finite(tensors, path)
    return segmenter.eval(), card


def load_card(folder: Path) -> ModelCard:
    """Read a model's description without its weights.

    Args:
        folder: of the model.

    Raises:
        WeightsError: the card is missing, damaged or of a newer schema.
    """
    path = Path(folder) / CARD_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        schema = values.get("schema_version") if isinstance(values, dict) else None
        if isinstance(schema, int) and schema > SCHEMA_VERSION:
            raise WeightsError(
                f"{path}: schema {schema}, this version reads up to {SCHEMA_VERSION}; update tsfal-geo"
            )
        return ModelCard.model_validate(values)
    except (FileNotFoundError, NotADirectoryError):
        raise WeightsError(f"{path}: no model there; train one first (tsfal-geo train)") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WeightsError(
            f"{path}: not a model card ({where}: {first['msg']}); save the model again"
        ) from None
    except ValueError as error:
        raise WeightsError(f"{path}: damaged, not readable as JSON ({error}); restore the file") from None


def load_part(folder: Path, name: str, module: nn.Module) -> bool:
    """Load a module that was saved with a model.

    Args:
        folder: of the model.
        name: of the module among `save_model`'s parts.
        module: of the same structure; its weights change in place.

    Returns:
        False if the model has no part of that name; the module is then unchanged.

    Raises:
        WeightsError: the file is missing or damaged, or the part has other shapes.
    """
    tensors = part_tensors(folder, name)
    if tensors:
        _fill(module, tensors, Path(folder) / WEIGHTS_NAME)
    return bool(tensors)


def part_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """Read the tensors of a module that was saved with a model.

    Args:
        folder: of the model.
        name: of the module among `save_model`'s parts.

    Returns:
        Tensors by their key in the module's state dict; empty if the model has no part of that name.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    prefix = f"{name}/"
    found = _read(Path(folder) / WEIGHTS_NAME)
    return {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise WeightsError(f"{path}: missing, though its card is there; train again or restore it") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged ({error}); train again or restore the file") from error


def _fill(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    expected = module.state_dict()
    odd = sorted(expected.keys() ^ tensors.keys())
    if odd:
        state = "missing" if odd[0] in expected else "not part of the network"
        raise WeightsError(f"{path}: '{odd[0]}' is {state} ({len(odd)} in all); it belongs to another card")
    for key, value in tensors.items():
        if value.shape != expected[key].shape:
            raise WeightsError(
                f"{path}: '{key}' has shape {tuple(value.shape)}, the card expects "
                f"{tuple(expected[key].shape)}; it belongs to another card"
            )
    module.load_state_dict(tensors)


def _require_finite(tensors: dict[str, Tensor], path: Path) -> None:
    """Refuse weights that would make a map of one class at confidence 0."""
    for key, value in tensors.items():
        if not value.isfinite().all():
            raise WeightsError(
                f"{path}: '{key}' holds NaN or infinite weights, expected finite ones; "
                "train the round again, or restore the file"
            )
