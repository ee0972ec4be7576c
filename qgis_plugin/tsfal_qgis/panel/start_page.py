"""The first page of the panel: choose a workspace, or create one."""

from __future__ import annotations

import json
import shlex

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QLineEdit

from ..compat import tr
from .pages import Page
from .widgets import ClassTable, folder_field, form, push_button, text_label


class StartPage(Page):
    """The choice of a workspace, and the form that creates one.

    Args:
        author: name of the annotator that the field begins with.
    """

    open_requested = pyqtSignal(str)
    create_requested = pyqtSignal(str, list)
    problem_found = pyqtSignal(str)

    def __init__(self, author: str) -> None:
        super().__init__()
        fields = form()
        self.author = QLineEdit(author)
        self.author.setObjectName("author")
        fields.addRow(tr("Your name"), self.author)
        self.folder = folder_field("workspace_folder")
        fields.addRow(tr("Workspace"), self.folder)
        self.column.addLayout(fields)
        opening = push_button(tr("Open workspace"), "open_workspace")
        opening.clicked.connect(lambda: self.open_requested.emit(self.folder.filePath()))
        self.add(
            opening,
            text_label(tr("Or create it from a folder of orthophotos (with dsm/ and labels/ beside them):")),
        )
        fields = form()
        self.rasters = folder_field("raster_folder")
        fields.addRow(tr("Orthophotos"), self.rasters)
        self.budget = QLineEdit()
        self.budget.setObjectName("budget_goal")
        self.budget.setPlaceholderText(tr("labelled share at the end, such as 0.2"))
        fields.addRow(tr("Budget"), self.budget)
        self.database = QLineEdit()
        self.database.setPlaceholderText(tr("postgresql://… for a team; else empty"))
        fields.addRow(tr("Label store"), self.database)
        self.further = QLineEdit()
        self.further.setObjectName("further_options")
        self.further.setPlaceholderText(tr("further options of tsfal-geo train"))
        fields.addRow(tr("Options"), self.further)
        self.column.addLayout(fields)
        self.own_classes = QCheckBox(tr("Enter the classes here"))
        self.own_classes.setObjectName("own_classes")
        self.classes = ClassTable()
        self.classes.add()
        self.classes.add()
        self.classes.hide()
        self.own_classes.toggled.connect(self.classes.setVisible)
        creating = push_button(tr("Create workspace"), "create_workspace")
        creating.clicked.connect(self._create)
        self.add(text_label(tr("The classes come from the label rasters, if there are any.")))
        self.add(self.own_classes, self.classes, creating)
        self.column.addStretch()

    def _create(self) -> None:
        folder, rasters = self.folder.filePath().strip(), self.rasters.filePath().strip()
        if not folder or not rasters:
            self.problem_found.emit(
                tr("Choose the folder of orthophotos and a new folder for the workspace.")
            )
            return
        arguments = ["train", "--raster", rasters, "--workspace", folder]
        try:
            if self.own_classes.isChecked():
                arguments += ["--set", f"classes={json.dumps(self.classes.classes(), ensure_ascii=False)}"]
            arguments += shlex.split(self.further.text())
        except ValueError as error:
            self.problem_found.emit(tr("The classes or options cannot be read: {error}").format(error=error))
            return
        if self.budget.text().strip():
            arguments += ["--budget", self.budget.text().strip()]
        if self.database.text().strip():
            arguments += ["--store", self.database.text().strip()]
        self.create_requested.emit(folder, arguments)
