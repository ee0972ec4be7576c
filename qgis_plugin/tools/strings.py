"""Collects the texts of the plugin into tsfal_qgis/i18n/tsfal.ts, for Qt Linguist.

A translation is a copy of that file, tsfal_de.ts, filled in and compiled beside it: lrelease tsfal_de.ts
"""

import ast
from pathlib import Path
from xml.etree import ElementTree

FOLDER = Path(__file__).parents[1] / "tsfal_qgis"
TARGET = FOLDER / "i18n" / "tsfal.ts"
_CONTEXT = "Tsfal"


def strings(folder: Path = FOLDER) -> dict[str, list[tuple[str, int]]]:
    """Find every ``tr("...")``.

    Args:
        folder: folder of the plugin.

    Returns:
        Text → (module, line) of each use.

    Raises:
        ValueError: a text is composed at run time, so that it cannot be translated.
    """
    found = {}
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr"):
                continue
            text = node.args[0]
            if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
                raise ValueError(f"{name}:{node.lineno}: tr() takes one literal")
            found.setdefault(text.value, []).append((name, node.lineno))
    return found


def document(found: dict[str, list[tuple[str, int]]]) -> str:
    """Write the texts as Qt Linguist's XML, without line numbers, so that it changes with the texts alone.

    Args:
        found: text → (module, line) of each use.

    Returns:
        The XML.
    """
    root = ElementTree.Element("TS", version="2.1", sourcelanguage="en")
    context = ElementTree.SubElement(root, "context")
    ElementTree.SubElement(context, "name").text = _CONTEXT
    for text in sorted(found):
        message = ElementTree.SubElement(context, "message")
        for name in sorted({name for name, _ in found[text]}):
            ElementTree.SubElement(message, "location", filename=f"../{name}")
        ElementTree.SubElement(message, "source").text = text
        ElementTree.SubElement(message, "translation", type="unfinished")
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{body}\n'


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(document(strings()), encoding="utf-8")
    print(TARGET)
