"""The rules of the source: it runs with QGIS 3.22 (Qt 5) and QGIS 4 (Qt 6), and does nothing forbidden."""

import ast
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "tsfal_qgis"
SOURCES = sorted(FOLDER.rglob("*.py"))
CALLS_THAT_RUN_CODE = {"eval", "exec", "compile", "__import__"}
PROCESSES_AND_NETWORK = {
    "subprocess",
    "multiprocessing",
    "urllib.request",
    "http",
    "ftplib",
    "smtplib",
    "ssl",
}
UNSAFE = {"pickle", "marshal", "shelve", "sqlite3", "ctypes"}
# Classes of Qt whose enums Qt 6 knows by their full names only, such as Qt.MouseButton.LeftButton.
WITH_ENUMS = {
    "QAbstractItemView", "QAbstractSocket", "QAction", "QBoxLayout", "QComboBox", "QDialog",
    "QDialogButtonBox", "QDockWidget", "QEvent", "QFileDialog", "QFont", "QFormLayout", "QFrame",
    "QGraphicsItem", "QGraphicsView", "QHeaderView", "QIODevice", "QImage", "QKeySequence",
    "QLineEdit", "QListWidget", "QLocale", "QMainWindow", "QMessageBox", "QPainter", "QPalette",
    "QPlainTextEdit", "QProcess", "QSettings", "QSizePolicy", "QSlider", "QStandardPaths", "QStyle",
    "QTabWidget", "QTableWidget", "QTextCursor", "QTextEdit", "QToolButton", "QTreeWidget", "Qt",
}  # fmt: skip


def faults(tree):
    """The faults of a module, as (line, text)."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from _import_faults(node)
        elif isinstance(node, ast.Attribute):
            yield from _attribute_faults(node)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in CALLS_THAT_RUN_CODE:
            yield node.lineno, f"{node.func.id}() runs code"


def _import_faults(node):
    relative = isinstance(node, ast.ImportFrom) and node.level
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
    names = [each.name for each in node.names]
    for module in modules:
        top = module.split(".")[0]
        if relative or top == "qgis":
            if module == "qgis.PyQt.QtWidgets" and "QAction" in names:
                yield node.lineno, "QAction moved to QtGui; take it from compat"
            if module == "qgis.PyQt.QtGui" and "QAction" in names:
                yield node.lineno, "QAction is in QtWidgets in Qt 5; take it from compat"
        elif top.startswith("PyQt") or top == "PySide":
            yield node.lineno, f"{module}: import from qgis.PyQt"
        elif {top, module} & (PROCESSES_AND_NETWORK | UNSAFE):
            yield node.lineno, f"{module} is not allowed here"
        elif top not in sys.stdlib_module_names and top != "osgeo":
            yield node.lineno, f"{module} is neither QGIS nor the standard library"


def _attribute_faults(node):
    if node.attr in ("exec_", "print_"):
        yield node.lineno, f"{node.attr} is gone in Qt 6"
    if getattr(node.value, "id", "") == "socket" and node.attr != "gethostname":
        yield node.lineno, f"socket.{node.attr}: the plugin does not use the network"
    if (
        isinstance(node.value, ast.Name)
        and node.value.id in WITH_ENUMS
        and node.attr[:1].isupper()
        and not _is_scope(node)
    ):
        yield node.lineno, f"{node.value.id}.{node.attr}: name the enum too"


def _is_scope(node):
    return getattr(node, "has_child", False)


def parse(text):
    """A tree in which an attribute knows whether another one follows it, as in Qt.MouseButton.LeftButton."""
    tree = ast.parse(text, feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            node.value.has_child = True
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if annotation is not None:
                for part in ast.walk(annotation):
                    part.has_child = True  # a type such as QProcess.ExitStatus, not a value
    return tree


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_module_runs_with_qt5_and_qt6_and_does_nothing_forbidden(path):
    found = [
        f"{path.name}:{line}: {fault}" for line, fault in faults(parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "bad",
    [
        "from PyQt5.QtCore import Qt",
        "import PyQt6.QtGui",
        "from qgis.PyQt.QtWidgets import QAction",
        "from qgis.PyQt.QtGui import QAction",
        "x = Qt.LeftButton",
        "f(QProcess.NotRunning)",
        "dialog.exec_()",
        "import torch",
        "from rasterio import open",
        "import tsfal_geo",
        "import numpy",
        "import subprocess",
        "from urllib.request import urlopen",
        "import pickle",
        "socket.create_connection(address)",
        "eval('1')",
        "exec(text)",
    ],
)
def test_the_lint_finds(bad):
    assert list(faults(parse(bad)))


@pytest.mark.parametrize(
    "good",
    [
        "x = Qt.MouseButton.LeftButton",
        "from qgis.PyQt.QtCore import Qt",
        "from . import queries",
        "from ..compat import QAction",
        "def f(status: QProcess.ExitStatus) -> None: dialog.exec()",
        "text = QSettings().value('x')",
    ],
)
def test_the_lint_lets_pass(good):
    assert list(faults(parse(good))) == []
