"""YAML and dotted overrides in, a validated configuration out; errors name the file and the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tsfal_geo.config.configuration import Config
from tsfal_geo.config.presets import PRESETS, RATES
from tsfal_geo.errors import ConfigError

_CLASSES = "expected a list of classes, each such as {id: 0, name: water, colour: [0, 0, 255]}"
_SECTION = "expected keys with values, see docs/configuration.md"


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
        except (UnicodeDecodeError, OSError) as error:
            raise ConfigError(f"{path}: not readable as text ({error}); expected YAML in UTF-8") from None
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: found {type(values).__name__}, expected a mapping of sections")
    if (overrides or {}).get("preset") not in (None, values.get("preset")):
        values = _without_preset(values, str((overrides or {})["preset"]))
    optimiser = (overrides or {}).get("train.optimiser")
    if optimiser is not None:
        values = _without_rates(values, str(optimiser))
    for key, value in (overrides or {}).items():
        _set(values, key, value)
    return validated(values, str(path) if path else "configuration")


def parse_set(items: tuple[str, ...]) -> dict[str, Any]:
    """Turn ``--set`` items ``a.b=value`` (value in YAML) into overrides.

    Raises:
        ConfigError: an item without a key or ``=``, or whose value is not YAML.
    """
    result = {}
    for item in items:
        key, found, text = item.partition("=")
        if not found or not key.strip():
            raise ConfigError(f"--set {item}: expected key=value, such as --set train.lr=0.0005")
        try:
            result[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(
                f"--set {item}: '{text}' is not readable as YAML; expected such as 3, [1, 2] or 'text'"
            ) from None
    return result


def _without_preset(values: dict[str, Any], new: str) -> dict[str, Any]:
    """Drop what the old preset filled in; a value other than the preset's was somebody's choice and stays."""
    filled = PRESETS.get(str(values.get("preset")), {})
    values = _without_rates(values, PRESETS.get(new, {}).get("train", {}).get("optimiser"))
    return {
        section: dict(item for item in content.items() if item not in filled.get(section, {}).items())
        if isinstance(content, dict)
        else content
        for section, content in values.items()
    }


def _without_rates(values: dict[str, Any], optimiser: str | None) -> dict[str, Any]:
    """Drop what belongs to the stored optimiser where another takes over."""
    train = values.get("train")
    if not isinstance(train, dict) or train.get("optimiser") in (None, optimiser):
        return values
    rates = RATES.get(str(train["optimiser"]), {})
    return {**values, "train": {k: v for k, v in train.items() if k not in rates}}


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
        values: by section and key.
        source: what the error names, such as a file.

    Raises:
        ConfigError: unknown key, value out of range.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "configuration"
        if first["type"] == "extra_forbidden":
            raise ConfigError(
                f"{source}: unknown key '{key}'; take it out, or see docs/configuration.md for the keys"
            ) from None
        found = "missing" if first["type"] == "missing" else f"{first.get('input')!r}"
        raise ConfigError(
            f"{source}: {key} is {found}: {_expectation(first['type'], key, first['msg'])}"
        ) from None


def _expectation(kind: str, key: str, message: str) -> str:
    """What was expected, for mistakes that the validator words for programmers."""
    if kind in ("missing", "model_type", "tuple_type") and key.split(".")[0] == "classes":
        return _CLASSES
    if kind in ("missing", "model_type"):
        return _SECTION
    if kind == "tuple_type":
        return "expected a list, such as [1, 2, 3]"
    return message.removeprefix("Value error, ").replace("Input should be", "expected")
