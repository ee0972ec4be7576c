"""Write the map of packages in CONTRIBUTING.md from the contract that import-linter checks.

    .venv/bin/python scripts/package_map.py

The order of the rows is that of the contract "layers" in pyproject.toml; what a package is for is the first
sentence of its docstring.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- packages: made by scripts/package_map.py -->\n", "<!-- end of packages -->\n"


def package_map() -> str:
    """Return the table: a row for each layer's packages, the top layer first."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    contract = next(c for c in tool["importlinter"]["contracts"] if c["id"] == "layers")
    rows = ["| layer | package | subject |", "|---|---|---|"]
    for number, layer in zip(range(len(contract["layers"]), 0, -1), contract["layers"], strict=True):
        rows += [f"| {number} | `{name}` | {_subject(name)} |" for name in layer.split(" | ")]
    return "\n".join(rows) + "\n"


def with_map(text: str) -> str:
    """Return the text of CONTRIBUTING.md with the map of today."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + package_map() + END + after


def _subject(name: str) -> str:
    path = ROOT / "tsfal_geo" / name / "__init__.py"
    path = path if path.is_file() else ROOT / "tsfal_geo" / f"{name}.py"
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return doc.splitlines()[0].rstrip(".")


def main() -> None:
    """Rewrite the map."""
    path = ROOT / "CONTRIBUTING.md"
    path.write_text(with_map(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
