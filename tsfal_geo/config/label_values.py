"""Values of label files and the classes that they mean: ``255=building``, ``1-9=tree``, ``255,0,0=road``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tsfal_geo.errors import ConfigError

NO_CLASS = "ignore"
"""The meaning of values that stand for no class."""

_EXPECTED = (
    "expected VALUE=CLASS such as 255=building, 1-9=tree for a range, 255,0,0=road for a colour, or 7=ignore"
)
_NUMBERS = re.compile(r"(-?\d+)(?:-(-?\d+))?")
_COLOUR = re.compile(r"(\d{1,3}),(\d{1,3}),(\d{1,3})")


@dataclass(frozen=True)
class LabelValue:
    """The class that an id, a range of ids or a colour of label files means.

    Attributes:
        meaning: name or id of the class, or `NO_CLASS`.
        low: smallest id; None for a colour.
        high: largest id; None for a colour.
        colour: 8-bit RGB; None for ids.
    """

    meaning: str
    low: int | None = None
    high: int | None = None
    colour: tuple[int, int, int] | None = None

    @property
    def key(self) -> str:
        """The value as the configuration writes it."""
        if self.colour is not None:
            return ",".join(map(str, self.colour))
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"

    def covers(self, value: int) -> bool:
        """Tell whether an id of a label file is one of these.

        Args:
            value: the id.
        """
        return self.low is not None and self.high is not None and self.low <= value <= self.high


def parse_label_values(values: Mapping[str, str]) -> tuple[LabelValue, ...]:
    """Parse the configuration's ``label_values``.

    Args:
        values: meaning by value, both as text.

    Returns:
        The values in their order.

    Raises:
        ConfigError: a value is no id, range or colour, a class has no name, or two values overlap.
    """
    parsed: list[LabelValue] = []
    for key, meaning in values.items():
        value = _parse(key.replace(" ", ""), meaning.strip())
        for earlier in parsed:
            if _overlap(earlier, value):
                raise ConfigError(
                    f"label_values: {key} and {earlier.key} hold the same value; give every value one class"
                )
        parsed.append(value)
    return tuple(parsed)


def parse_map_options(items: Iterable[str]) -> dict[str, str]:
    """Parse ``--map`` items.

    Args:
        items: texts ``VALUE=CLASS``.

    Returns:
        Meaning by value, for ``label_values`` of the configuration.

    Raises:
        ConfigError: an item is not of that form.
    """
    values: dict[str, str] = {}
    for item in items:
        key, found, meaning = item.partition("=")
        if not found or key.strip() in values:
            raise ConfigError(f"--map {item}: {_EXPECTED}, each value once")
        values[key.strip()] = meaning.strip()
    parse_label_values(values)
    return values


def _parse(key: str, meaning: str) -> LabelValue:
    colour, numbers = _COLOUR.fullmatch(key), _NUMBERS.fullmatch(key)
    if meaning and colour:
        red, green, blue = (int(part) for part in colour.groups())
        if max(red, green, blue) <= 255:
            return LabelValue(meaning, colour=(red, green, blue))
    if meaning and numbers:
        low = int(numbers[1])
        high = low if numbers[2] is None else int(numbers[2])
        if low <= high:
            return LabelValue(meaning, low, high)
    raise ConfigError(f"label_values: found {key}={meaning}, {_EXPECTED}")


def _overlap(first: LabelValue, second: LabelValue) -> bool:
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return first.colour is not None and first.colour == second.colour
    return first.low <= second.high and second.low <= first.high
