"""Reading of configurations: YAML and overrides to validated values; errors name the file and the key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from tsfal_geo.config.configuration import Config
from tsfal_geo.config.invalid import invalid
from tsfal_geo.config.presets import PRESETS, RATES
from tsfal_geo.config.sections import ModelConfig
from tsfal_geo.errors import ConfigError

# A date such as 2020-13-45 or a tag such as !!int x is a ValueError, deep nesting a RecursionError.
_UNREADABLE = (yaml.YAMLError, ValueError, RecursionError)


def load_config(
    path: Path | None = None, overrides: Mapping[str, Any] | None = None, base: Config | None = None
) -> Config:
    """Read a YAML file, apply overrides, validate.

    Args:
        path: YAML file; None for ``base``, or the defaults if that is None too.
        overrides: values by dotted key, ``{"train.steps": 9}``, or by section, ``{"train": {"steps": 9}}``
            and ``{"train": TrainConfig(steps=9)}``. Keys that a section does not give keep their values.
            None is a value of optional keys.
        base: configuration to start from if there is no file.

    Returns:
        The configuration, with the preset's values filled in.

    Raises:
        ConfigError: the file cannot be read, a key does not exist, or a value is out of range.

    Example:
        >>> load_config(None, {"preset": "paper", "train.steps": 100}).train.optimiser
        'sgd'
    """
    changes = dotted_keys(overrides or {})
    values: dict[str, Any] = {}
    if path is not None:
        values = _read_yaml(Path(path))
    elif base is not None:
        values = base.model_dump(mode="json")
    if changes.get("preset") not in (None, values.get("preset")):
        values = _without_preset(values, str(changes["preset"]))
    if (optimiser := changes.get("train.optimiser")) is not None:
        values = _without_rates(values, str(optimiser))
    if (encoder := changes.get("model.encoder")) is not None:
        values = _without_weights(values, str(encoder))
    for key, value in changes.items():
        _set(values, key, value)
    return validated(values, str(path) if path else "configuration")


def parse_set(items: tuple[str, ...]) -> dict[str, Any]:
    """Turn ``--set`` items into overrides.

    Args:
        items: texts ``a.b=value``, each value in YAML.

    Returns:
        Values by dotted key, for `load_config`.

    Raises:
        ConfigError: an item has no key or no ``=``, or its value is not YAML.
    """
    result = {}
    for item in items:
        key, found, text = item.partition("=")
        if not found or not key.strip():
            raise ConfigError(f"--set {item}: expected key=value, such as --set train.lr=0.0005")
        try:
            result[key.strip()] = yaml.safe_load(text)
        except _UNREADABLE:
            raise ConfigError(
                f"--set {item[:80]}: '{text[:80]}' is not readable as YAML; "
                "expected such as 3, [1, 2] or 'text'"
            ) from None
    return result


def read_overrides(path: Path) -> dict[str, Any]:
    """Read the keys that a YAML file sets, as overrides of another configuration.

    Args:
        path: YAML file of a configuration.

    Returns:
        Values by dotted key, for `load_config`.

    Raises:
        ConfigError: the file cannot be read, a key does not exist, or a value is out of range.
    """
    values = _read_yaml(path)
    validated(values, str(path))
    return dotted_keys(values)


def dotted_keys(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Give every value of a configuration its dotted key.

    Args:
        sections: values by dotted key or by section; an instance of a section gives the keys that were set.

    Returns:
        Values by dotted key, in the order given.
    """
    flat: dict[str, Any] = {}
    for key, value in sections.items():
        section = value.model_dump(mode="json", exclude_unset=True) if isinstance(value, BaseModel) else value
        if isinstance(section, Mapping):
            flat |= {f"{key}.{name}": item for name, item in section.items()}
        else:
            flat[key] = value
    return flat


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file; see configs/ for examples") from None
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: not readable as text ({error}); expected YAML in UTF-8") from None
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"{path}: not readable as YAML ({reason}); mend the file") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: found {type(values).__name__}, expected a mapping of sections")
    return values


def _without_preset(values: dict[str, Any], new: str) -> dict[str, Any]:
    """Drop the values that the old preset filled in; any other value was the user's choice and stays."""
    filled = PRESETS.get(str(values.get("preset")), {})
    values = _without_rates(values, PRESETS.get(new, {}).get("train", {}).get("optimiser"))
    values = _without_weights(values, PRESETS.get(new, {}).get("model", {}).get("encoder"))
    return {
        section: dict(item for item in content.items() if item not in filled.get(section, {}).items())
        if isinstance(content, dict)
        else content
        for section, content in values.items()
    }


def _without_rates(values: dict[str, Any], optimiser: str | None) -> dict[str, Any]:
    """Drop the rates of the stored optimiser if another one takes over."""
    train = values.get("train")
    if not isinstance(train, dict) or train.get("optimiser") in (None, optimiser):
        return values
    rates = RATES.get(str(train["optimiser"]), {})
    return {**values, "train": {k: v for k, v in train.items() if k not in rates}}


def _without_weights(values: dict[str, Any], encoder: str | None) -> dict[str, Any]:
    """Drop the default weights of the stored encoder, and their normalisation, if another one takes over."""
    model = values.get("model")
    if not isinstance(model, dict) or model.get("encoder") in (None, encoder):
        return values
    old = ModelConfig(encoder=str(model["encoder"]))
    filled = {"weights": old.weights, "normalisation": old.normalisation}
    if model.get("weights") != old.weights:
        return values
    return {**values, "model": dict(item for item in model.items() if item not in filled.items())}


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    for part in path:
        child = values.setdefault(part, {})
        if not isinstance(child, dict):
            raise ConfigError(f"{dotted}: '{part}' is not a section of the configuration")
        values = child
    values[last] = value


def validated(values: Any, source: str) -> Config:
    """Make a configuration of plain values.

    Args:
        values: a mapping of sections to mappings of keys to values.
        source: name of the origin in errors, such as a file.

    Returns:
        The configuration, with the preset's values filled in.

    Raises:
        ConfigError: a key does not exist, or a value is out of range.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise invalid(error, source) from None
