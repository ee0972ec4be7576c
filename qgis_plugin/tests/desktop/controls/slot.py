"""An exception in a slot: nobody sees it but the hook."""

from guards import drive
from qgis.PyQt.QtCore import QTimer


def broken():
    raise ValueError("in a slot")


def walk(desktop):
    QTimer.singleShot(0, broken)
    desktop.pump(300)


drive(walk, 60)
