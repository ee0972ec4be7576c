"""Write docs/configuration.md from the models of the configuration: one table for each section."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tsfal_geo.config import Config
from tsfal_geo.config.presets import PRESETS, RATES

_HEAD = """# Configuration

`python scripts/config_docs.py` makes this page from the code, and a test compares the two.

Every key can be set in a YAML file (`--config FILE`, examples in `configs/`), on the command line
(`--set train.lr=0.0005`), or in Python (`tsfal_geo.Config(train={"lr": 0.0005})`). Defaults are those of
`preset: strong`. The last two tables list the keys that `preset` and `train.optimiser: sgd` change.
"""
_TABLE = "| key | default | values | meaning |\n|---|---|---|---|"
_WORDS = {int: "integer", float: "number", str: "text", Path: "path", NoneType: "null"}
_LIMITS = {"ge": "from", "gt": "above", "le": "up to", "lt": "below", "multiple_of": "divisible by"}


def render() -> str:
    """Write the page.

    Returns:
        The page as Markdown.
    """
    config = Config()
    fields = Config.model_fields
    sections = [name for name in fields if isinstance(getattr(config, name), BaseModel)]
    top = [_row(name, getattr(config, name), fields[name]) for name in fields if name not in sections]
    parts = [_HEAD, _TABLE, *top]
    for name in sections:
        section = getattr(config, name)
        parts += [f"\n## {name}\n\n{type(section).__doc__}\n", _TABLE]
        parts += [
            _row(f"{name}.{key}", getattr(section, key), field)
            for key, field in type(section).model_fields.items()
        ]
    parts.append(f"\n## presets\n\n| key | {' | '.join(PRESETS)} |\n|---|{'---|' * len(PRESETS)}")
    for name, keys in PRESETS["literal"].items():
        for key in keys:
            values = " | ".join(_value(preset[name][key]) for preset in PRESETS.values())
            parts.append(f"| `{name}.{key}` | {values} |")
    parts.append("\n## optimisers\n\n| key | sgd | adamw |\n|---|---|---|")
    parts += [
        f"| `train.{key}` | {_value(value)} | {_value(RATES['adamw'][key])} |"
        for key, value in RATES["sgd"].items()
    ]
    return "\n".join(parts) + "\n"


def _row(key: str, default: object, field: FieldInfo) -> str:
    """A line of a table. A key that a preset fills in takes null as well, as if it were not given."""
    section, _, name = key.partition(".")
    words = [*dict.fromkeys(_alternatives(field.annotation, field.metadata))]
    if name in PRESETS["literal"].get(section, {}):
        words = [word for word in words if word != "null"]
    meaning = str(field.description).replace("|", "\\|")
    return f"| `{key}` | {_value(default)} | {_listed(words)} | {meaning} |"


def _value(value: object) -> str:
    """A value as YAML writes it on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    if isinstance(plain, float):
        return f"`{plain}`"
    return f"`{yaml.safe_dump(plain, default_flow_style=True).removesuffix('...\n').strip()}`"


def _alternatives(annotation: Any, limits: Sequence[object] = ()) -> Iterator[str]:
    """The values that a key takes, in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        for part in inner:
            yield from _alternatives(part, limits)
    elif origin is Literal:
        yield from (f"`{value}`" for value in inner)
    elif origin is tuple:
        words = _listed([*_alternatives(inner[0])])
        some = "" if inner[-1] is Ellipsis else f"{len(inner)} "
        yield f"list of {some}{_plural(words)}"
    elif origin is dict:
        yield "mapping of text to text"
    elif hasattr(annotation, "__metadata__"):
        yield from _alternatives(inner[0], _flat(annotation.__metadata__))
    elif annotation is bool:
        yield from ("`true`", "`false`")
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield f"mapping of {_listed([f'`{key}`' for key in annotation.model_fields], 'and')}"
    else:
        ends = ", ".join(_ends(limits)) if annotation in (int, float) else ""
        yield f"{_WORDS[annotation]} ({ends})" if ends else _WORDS[annotation]


def _plural(words: str) -> str:
    """``list of 3 integers`` as ``lists of 3 integers``."""
    first, *rest = words.split(" ", 1)
    return " ".join([f"{first}s", *rest])


def _flat(metadata: Sequence[Any]) -> list[object]:
    return [
        limit for item in metadata for limit in (item.metadata if isinstance(item, FieldInfo) else [item])
    ]


def _ends(limits: Sequence[object]) -> Iterator[str]:
    for limit in limits:
        yield from (
            f"{word} {getattr(limit, name)}" for name, word in _LIMITS.items() if hasattr(limit, name)
        )


def _listed(words: Sequence[str], conjunction: str = "or") -> str:
    return f" {conjunction} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath("docs", "configuration.md").write_text(render(), encoding="utf-8")
