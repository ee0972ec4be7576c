"""A modal dialog, which waits for an answer that never comes."""

from guards import drive
from qgis.PyQt.QtWidgets import QMessageBox
from qgis.utils import iface


def walk(desktop):
    QMessageBox.question(iface.mainWindow(), "Save?", "Save the changes?")


drive(walk, 60)
