"""Actions and their keys: in QGIS's list of shortcuts, so that everybody can change them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qgis.PyQt.QtCore import QEvent, QObject, Qt
from qgis.PyQt.QtGui import QKeyEvent, QKeySequence
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
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

_TYPING = (QLineEdit, QAbstractSpinBox, QComboBox, QPlainTextEdit, QTextEdit, QAbstractItemView)


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Key:
    """An action: name among QGIS's shortcuts, text, default key; ``may`` tells whether it is of use."""

    name: str
    text: str
    key: str
    do: Callable[[], None]
    checkable: bool = False
    may: Callable[[], bool] = _always


class Keys(QObject):
    """Actions on QGIS's main window that work while a workspace is open and nobody is typing."""

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
            action.triggered.connect(lambda _checked=False, do=key.do: do())
            iface.mainWindow().addAction(action)
            iface.registerMainWindowAction(action, key.key)
            if key.key == "Return" and action.shortcut() == QKeySequence("Return"):
                action.setShortcuts([QKeySequence("Return"), QKeySequence("Enter")])
            self.actions[key.name] = action
        QApplication.instance().focusChanged.connect(self._focus_moved)
        self.switch(False)

    def switch(self, on: bool) -> None:
        """Let the keys work, or not."""
        self._on = on
        self.refresh()

    def refresh(self) -> None:
        """Enable what is of use now."""
        self._focus_moved(None, QApplication.focusWidget())

    def button(self, name: str) -> QToolButton:
        """A button of an action, with its key in its text."""
        action = self.actions[name]
        key = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        made = QToolButton()
        made.setObjectName(f"do_{name}")
        made.setDefaultAction(action)
        made.setText(f"{action.text()}  {key}" if key else action.text())
        made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        action.changed.connect(lambda: made.setText(f"{action.text()}  {_key(action)}"))
        return made

    def remove(self) -> None:
        """Take the actions away."""
        QApplication.instance().focusChanged.disconnect(self._focus_moved)
        for action in self.actions.values():
            self._iface.unregisterMainWindowAction(action)
            self._iface.mainWindow().removeAction(action)
            action.deleteLater()

    def _focus_moved(self, _old: QWidget | None, new: QWidget | None) -> None:
        # A shortcut takes a key from tables, lists and fields that would use it, such as Enter.
        working = self._on and not isinstance(new, _TYPING)
        for name, action in self.actions.items():
            action.setEnabled(working and self._keys[name].may())


class WhileHeld(QObject):
    """Calls back when the key that was pressed is let go, or the window is left."""

    def __init__(self, shortcut: QKeySequence, released: Callable[[], None]) -> None:
        super().__init__()
        first = shortcut[0]
        key = first if isinstance(first, int) else first.key()  # Qt 6 has a class for it
        self._key = int(getattr(key, "value", key))
        self._released = released
        QApplication.instance().installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Wait for the key's release."""
        let_go = (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.KeyRelease
            and int(event.key()) == self._key
            and not event.isAutoRepeat()
        )
        if let_go or event.type() == QEvent.Type.ApplicationDeactivate:
            self.stop()
        return False

    def stop(self) -> None:
        """End the waiting."""
        QApplication.instance().removeEventFilter(self)
        released, self._released = self._released, _nothing
        released()


def class_keys(choose: Callable[[int], None]) -> list[Key]:
    """The keys 1 to 9."""
    return [
        Key(
            f"class_{number}",
            tr("Class {number}").format(number=number),
            str(number),
            lambda n=number: choose(n),
        )
        for number in range(1, 10)
    ]


def _key(action: QAction) -> str:
    return action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)


def _nothing() -> None:
    return None
