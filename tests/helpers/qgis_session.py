"""An annotator's edit session in a QGIS process, which obeys commands on stdin, one a line.

Run by QGIS's own Python. `add X Y [CLASS]` draws a square with the corner (X, Y), `save` commits and stays in
the edit session, `quit` rolls back and ends.
"""

import json
import sys

from qgis.core import QgsApplication, QgsFeature, QgsGeometry, QgsProject, QgsRectangle, QgsVectorLayer

path, queries = sys.argv[1:3]
application = QgsApplication([], False)
application.initQgis()
layer = QgsVectorLayer(f"{path}|layername=labels", "labels", "ogr")
query_layer = QgsVectorLayer(f"{queries}|layername=queries", "queries", "ogr")
query_layer.setReadOnly(True)
QgsProject.instance().addMapLayers([layer, query_layer])


def say(**values):
    print(json.dumps(values), flush=True)


def style():
    widget = layer.editorWidgetSetup(layer.fields().indexOf("class_id"))
    picks = [next(iter(item.items())) for item in widget.config().get("map", [])]
    default = layer.defaultValueDefinition(layer.fields().indexOf("author")).expression()
    return {
        "valid": layer.isValid() and query_layer.isValid(),
        "crs": layer.crs().authid(),
        "categories": [
            [category.label(), int(category.value())] for category in layer.renderer().categories()
        ],
        "suggested": query_layer.renderer().classAttribute(),
        "queries": query_layer.featureCount(),
        "widget": widget.type(),
        "picks": [[name, int(value)] for name, value in picks],
        "author": default,
    }


def add(x, y, class_id=3):
    feature = QgsFeature(layer.fields())
    feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(x, y, x + 0.9, y + 0.9)))
    feature["class_id"] = class_id if class_id == class_id else None
    return layer.addFeature(feature)


say(editing=layer.startEditing(), **style())
for line in sys.stdin:
    word, *numbers = line.split()
    if word == "add":
        say(added=add(*map(float, numbers)))
    elif word == "save":
        say(saved=layer.commitChanges(False), editing=layer.isEditable())
    elif word == "quit":
        layer.rollBack()
        QgsProject.instance().clear()
        say(bye=True)
        break
QgsApplication.exitQgis()
