"""Messages on invalid configurations: one line that names the key, the finding and the expectation."""

from __future__ import annotations

import reprlib

from pydantic import ValidationError

from tsfal_geo.errors import ConfigError

# A few aliases in YAML make a value whose text has hundreds of megabytes.
_ECHO = reprlib.Repr(maxlevel=2, maxlist=6, maxtuple=6, maxdict=6, maxstring=200, maxother=100)
_CLASSES = "expected a list of classes, each such as {id: 0, name: water, colour: [0, 0, 255]}"
_SECTION = "expected keys with values, see docs/configuration.md"


def invalid(error: ValidationError, source: str) -> ConfigError:
    """Make the error for users of a validator's error.

    Args:
        error: of pydantic; its first finding is named.
        source: name of the values' origin, such as a file.

    Returns:
        The error, to be raised.
    """
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "configuration"
    if first["type"] == "extra_forbidden":
        return ConfigError(
            f"{source}: unknown key '{key}'; take it out, or see docs/configuration.md for the keys"
        )
    found = "missing" if first["type"] == "missing" else _ECHO.repr(first.get("input"))
    return ConfigError(f"{source}: {key} is {found}: {_expectation(first['type'], key, first['msg'])}")


def _expectation(kind: str, key: str, message: str) -> str:
    """The expected value in words for users, where the validator's are for programmers."""
    if kind in ("missing", "model_type", "tuple_type") and key.split(".")[0] == "classes":
        return _CLASSES
    if kind in ("missing", "model_type"):
        return _SECTION
    if kind == "tuple_type":
        return "expected a list, such as [1, 2, 3]"
    return message.removeprefix("Value error, ").replace("Input should be", "expected")
