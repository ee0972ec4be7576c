"""Write docs/configuration.md from the configuration's models: one table a section."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from tsfal_geo.config import Config
from tsfal_geo.config.presets import PRESETS, RATES

_HEAD = """# Configuration

Made by `python scripts/config_docs.py`; a test keeps it true. Every key can be set in a YAML file
(`--config FILE`, examples in `configs/`) or on the command line (`--set train.lr=0.0005`). Defaults are those
of `preset: strong`; `preset: paper` and `train.optimiser: sgd` change the keys of the last two tables.
"""


def render() -> str:
    """The page's text."""
    config = Config()
    parts = [_HEAD]
    for name, field in Config.model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            parts.append(
                f"\n## {name}\n\n{type(value).__doc__}\n\n| key | default | meaning |\n|---|---|---|"
            )
            parts.extend(
                _row(f"{name}.{key}", getattr(value, key), f) for key, f in type(value).model_fields.items()
            )
        else:
            parts.append(f"\n`{name}` (default `{value}`) {field.description or ''}".rstrip())
    parts.append("\n## presets\n\n| key | paper | strong |\n|---|---|---|")
    for section, keys in PRESETS["paper"].items():
        parts.extend(
            f"| `{section}.{k}` | `{v}` | `{PRESETS['strong'][section][k]}` |" for k, v in keys.items()
        )
    parts.append("\n## optimisers\n\n| key | sgd | adamw |\n|---|---|---|")
    parts.extend(f"| `train.{k}` | `{v}` | `{RATES['adamw'][k]}` |" for k, v in RATES["sgd"].items())
    return "\n".join(parts) + "\n"


def _row(key: str, default: object, field: object) -> str:
    annotation = (
        str(getattr(field, "annotation", "")).replace("typing.", "").replace("<class '", "").replace("'>", "")
    )
    meaning = getattr(field, "description", None) or ""
    return f"| `{key}` | `{default}` | {meaning} ({annotation.replace('|', 'or')}) |".replace("( ", "(")


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath("docs", "configuration.md").write_text(render(), encoding="utf-8")
