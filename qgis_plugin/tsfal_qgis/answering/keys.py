"""Actions and their keys, which users can change in QGIS's keyboard shortcuts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qgis.PyQt.QtCore import QEvent, QObject, Qt
from qgis.PyQt.QtGui import QKeyEvent, QKeySequence
from qgis.PyQt.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QSizePolicy,
    QTextEdit,
    QToolButton,
    QWidget,
)

from ..compat import QAction, tr

_TYPING = (QLineEdit, QAbstractSpinBox, QPlainTextEdit, QTextEdit)


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Key:
    """An action with a key.

    Attributes:
        name: part of the action's object name, under which QGIS stores the user's shortcut.
        text: name for people.
        key: default key; empty for none.
        act: called when the action is triggered.
        checkable: True for an action that stays pressed.
        applies: returns True while the action has an effect.
    """

    name: str
    text: str
    key: str
    act: Callable[[], None]
    checkable: bool = False
    applies: Callable[[], bool] = _always


class Keys(QObject):
    """Actions on QGIS's main window that work while a workspace is open and nobody types in a field.

    Args:
        iface: QGIS's interface.
        keys: the actions.

    Attributes:
        actions: name → action.
    """

    def __init__(self, iface: Any, keys: list[Key]) -> None:
        super().__init__()
        self._iface = iface
        self._on = False
        self._keys = {key.name: key for key in keys}
        self.actions: dict[str, QAction] = {}
        for key in keys:
            action = QAction(key.text, iface.mainWindow())
            action.setObjectName(f"tsfal_{key.name}")
            action.setCheckable(key.checkable)
            action.setAutoRepeat(False)
            action.triggered.connect(lambda _checked=False, act=key.act: act())
            iface.mainWindow().addAction(action)
            iface.registerMainWindowAction(action, key.key)
            if key.key == "Return" and action.shortcut() == QKeySequence("Return"):
                action.setShortcuts([QKeySequence("Return"), QKeySequence("Enter")])
            self.actions[key.name] = action
        QApplication.instance().focusChanged.connect(self._focus_moved)
        self.switch(False)

    def switch(self, on: bool) -> None:
        """Turn all keys on or off.

        Args:
            on: True while a workspace is open.
        """
        self._on = on
        self.refresh()

    def refresh(self) -> None:
        """Enable the actions that have an effect now."""
        self._focus_moved(None, QApplication.focusWidget())

    def button(self, name: str) -> QToolButton:
        """Make a button for an action, with the key in its text.

        Args:
            name: name of the action.

        Returns:
            The button.
        """
        action = self.actions[name]
        button = QToolButton()
        button.setObjectName(f"do_{name}")
        button.setDefaultAction(action)
        button.setText(_text_with_key(action))
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        action.changed.connect(lambda: button.setText(_text_with_key(action)))
        return button

    def remove(self) -> None:
        """Remove the actions from the main window."""
        QApplication.instance().focusChanged.disconnect(self._focus_moved)
        for action in self.actions.values():
            self._iface.unregisterMainWindowAction(action)
            self._iface.mainWindow().removeAction(action)
            action.deleteLater()

    def _focus_moved(self, _old: QWidget | None, new: QWidget | None) -> None:
        # An enabled shortcut would take keys such as Enter from a field. Lists and trees do not need them:
        # a click in the Layers panel must not end the answering by keys.
        working = self._on and not _is_typing(new)
        for name, action in self.actions.items():
            action.setEnabled(working and self._keys[name].applies())


class WhileHeld(QObject):
    """Calls a function when a key is released, or QGIS's window is left.

    Args:
        shortcut: the key that was pressed.
        released: the function.
    """

    def __init__(self, shortcut: QKeySequence, released: Callable[[], None]) -> None:
        super().__init__()
        first = shortcut[0]
        key = first if isinstance(first, int) else first.key()  # Qt 6 has a class for it
        self._key = int(getattr(key, "value", key))
        self._released = released
        QApplication.instance().installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Wait for the release of the key; lets every event pass."""
        released = (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.KeyRelease
            and int(event.key()) == self._key
            and not event.isAutoRepeat()
        )
        if released or event.type() == QEvent.Type.ApplicationDeactivate:
            self.stop()
        return False

    def stop(self) -> None:
        """End the waiting, and call the function if it was not called yet."""
        QApplication.instance().removeEventFilter(self)
        released, self._released = self._released, _nothing
        released()


def class_keys(choose: Callable[[int], None]) -> list[Key]:
    """Make the keys 1 to 9.

    Args:
        choose: called with the number.

    Returns:
        The keys.
    """
    return [
        Key(
            f"class_{number}",
            tr("Class {number}").format(number=number),
            str(number),
            lambda n=number: choose(n),
        )
        for number in range(1, 10)
    ]


def _is_typing(widget: QWidget | None) -> bool:
    if isinstance(widget, QComboBox):
        return bool(widget.isEditable())
    if not isinstance(widget, _TYPING):
        return False
    return not widget.isReadOnly()


def _text_with_key(action: QAction) -> str:
    key = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    return f"{action.text()}  {key}" if key else action.text()


def _nothing() -> None:
    return None
