"""Collects the texts of the plugin into tsfal_qgis/i18n/tsfal.ts, for Qt Linguist.

A translation is a copy of that file, such as tsfal_de.ts, filled in. This script keeps what is translated,
marks new texts as unfinished, drops those that are gone, and compiles the files where Qt has lrelease.
"""

import ast
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

FOLDER = Path(__file__).parents[1] / "tsfal_qgis"
TARGET = FOLDER / "i18n" / "tsfal.ts"
_CONTEXT = "Tsfal"
_COMPILERS = ("/usr/lib/qt5/bin/lrelease", "/usr/lib/qt6/bin/lrelease", "lrelease")


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


def document(
    found: dict[str, list[tuple[str, int]]],
    translations: dict[str, str] | None = None,
    language: str | None = None,
) -> str:
    """Write the texts as Qt Linguist's XML, without line numbers, so that it changes with the texts alone.

    Args:
        found: text → (module, line) of each use.
        translations: text → translation; a text without one is unfinished.
        language: of the translations, such as ``de``.

    Returns:
        The XML.
    """
    root = ElementTree.Element("TS", version="2.1", sourcelanguage="en")
    if language is not None:
        root.set("language", language)
    context = ElementTree.SubElement(root, "context")
    ElementTree.SubElement(context, "name").text = _CONTEXT
    for text in sorted(found):
        message = ElementTree.SubElement(context, "message")
        for name in sorted({name for name, _ in found[text]}):
            ElementTree.SubElement(message, "location", filename=f"../{name}")
        ElementTree.SubElement(message, "source").text = text
        if translations and translations.get(text):
            ElementTree.SubElement(message, "translation").text = translations[text]
        else:
            ElementTree.SubElement(message, "translation", type="unfinished")
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{body}\n'


def translations_of(path: Path) -> dict[str, str]:
    """Read the finished translations of a file.

    Args:
        path: a ``.ts`` file.

    Returns:
        Text → translation.
    """
    messages = ElementTree.parse(path).getroot().iter("message")
    found = {each.findtext("source", ""): each.find("translation") for each in messages}
    return {text: node.text for text, node in found.items() if node is not None and node.text}


def main() -> None:
    """Write the texts, bring each translation up to date, and compile it."""
    found = strings()
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(document(found), encoding="utf-8")
    print(TARGET)
    compiler = next((path for path in map(shutil.which, _COMPILERS) if path), None)
    for path in sorted(TARGET.parent.glob("tsfal_*.ts")):
        language = path.stem.removeprefix("tsfal_")
        path.write_text(document(found, translations_of(path), language), encoding="utf-8")
        print(path)
        if compiler is not None:
            subprocess.run([compiler, "-silent", str(path)], check=True)


if __name__ == "__main__":
    main()
