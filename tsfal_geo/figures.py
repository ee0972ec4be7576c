"""Figures as text: formatted for people, and as JSON for programs."""

from __future__ import annotations

import json
import math
from typing import Any


def figure(value: float | None, form: str = "") -> str:
    """Format a figure for people.

    Args:
        value: the figure; None: not known.
        form: format specification, such as ``.1f``.

    Returns:
        The figure; a dash where it is not known.
    """
    return "–" if value is None else format(value, form)


def json_text(values: Any, indent: int | None = None) -> str:
    """Write values as JSON, in which numbers that JSON does not have (NaN and infinities) are null.

    Args:
        values: JSON values.
        indent: of nested values; None: all on one line.

    Returns:
        The text, which every JSON parser reads.
    """
    return json.dumps(_finite(values), ensure_ascii=False, indent=indent, allow_nan=False)


def _finite(values: Any) -> Any:
    if isinstance(values, float):
        return values if math.isfinite(values) else None
    if isinstance(values, dict):
        return {key: _finite(value) for key, value in values.items()}
    return [_finite(value) for value in values] if isinstance(values, list | tuple) else values
