"""Real PyQt6 behind `qgis.PyQt`; `qgis.core` and `qgis.gui` are stand-ins that take anything.

This finds where Qt 6 differs: enums by their full names only, classes that moved, methods that are gone.
"""

import importlib
import sys
import types

import pytest
from PyQt6 import QtCore, QtWidgets


class _Anything(type):
    """A class whose attributes are classes of the same kind, whatever they are called."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Anything(name, (Stub,), {})
        setattr(cls, name, made)
        return made

    def __or__(cls, other):
        return cls

    def __ror__(cls, other):
        return cls

    def __iter__(cls):
        return iter(())


class Stub(metaclass=_Anything):
    """Takes any arguments, has any attribute, can be called."""

    def __init__(self, *args, **kwargs):
        pass

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Stub()

    def __call__(self, *args, **kwargs):
        return Stub()

    def __iter__(self):
        return iter(())

    def __fspath__(self):
        return "/nowhere"

    def __str__(self):
        return ""

    def __or__(self, other):
        return self

    def __float__(self):
        return 0.0


class Settings:
    """QgsSettings in memory."""

    values: dict = {}  # noqa: RUF012

    def value(self, key, default=None, *_, **__):
        return self.values.get(key, default)

    def setValue(self, key, value, *_):
        self.values[key] = value

    def remove(self, key):
        self.values.pop(key, None)


class FileWidget(QtWidgets.QLineEdit):
    """QgsFileWidget, as far as it is used."""

    fileChanged = QtCore.pyqtSignal(str)
    StorageMode = _Anything("StorageMode", (Stub,), {})

    def filePath(self):
        return self.text()

    def setFilePath(self, path):
        self.setText(path)

    def __getattr__(self, name):
        if name.startswith("set"):
            return lambda *_: None
        raise AttributeError(name)


class DockWidget(QtWidgets.QDockWidget):
    """QgsDockWidget, as far as it is used."""

    def setToggleVisibilityAction(self, action):
        pass


class MapTool(QtCore.QObject):
    """QgsMapTool, as far as it is used."""

    CaptureMode = _Anything("CaptureMode", (Stub,), {})

    def __init__(self, *_):
        super().__init__()


_KNOWN = {
    "QgsSettings": Settings,
    "QgsFileWidget": FileWidget,
    "QgsDockWidget": DockWidget,
    "QgsOptionsPageWidget": QtWidgets.QWidget,
    "QgsMapTool": MapTool,
    "QgsMapToolDigitizeFeature": MapTool,
    "QgsMapToolCapture": MapTool,
}


class _Module(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = _KNOWN.get(name) or _Anything(name, (Stub,), {})
        setattr(self, name, made)
        return made


def _install():
    qgis = types.ModuleType("qgis")
    qgis.__path__ = []
    pyqt = types.ModuleType("qgis.PyQt")
    pyqt.__path__ = []
    sys.modules.update({"qgis": qgis, "qgis.PyQt": pyqt, "osgeo": _Module("osgeo")})
    for name in ("QtCore", "QtGui", "QtWidgets", "QtTest", "QtSvg", "QtXml", "sip"):
        module = importlib.import_module(f"PyQt6.{name}")
        sys.modules[f"qgis.PyQt.{name}"] = module
        setattr(pyqt, name, module)
    for name in ("core", "gui", "utils"):
        sys.modules[f"qgis.{name}"] = _Module(f"qgis.{name}")
        setattr(qgis, name, sys.modules[f"qgis.{name}"])


_install()


@pytest.fixture(scope="session")
def application():
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication([])


@pytest.fixture(autouse=True)
def exceptions(monkeypatch, application):
    """An exception in a slot fails the test; PyQt6 would abort."""
    caught = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, value, trace: caught.append(value))
    yield
    assert caught == []
