"""An annotator in a QGIS process, who obeys commands on stdin: `annotator.py WORKSPACE AUTHOR`."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from qgis.core import QgsApplication
from qgis.gui import QgsMapCanvas

from tsfal_qgis.answering.pixels import disc, polygon_of
from tsfal_qgis.answering.session import Session
from tsfal_qgis.store.workspace import Workspace

application = QgsApplication([], True)
application.initQgis()
workspace = Workspace.read(sys.argv[1])
canvas = QgsMapCanvas()
session = Session(workspace, sys.argv[2], workspace.plain_label_file(sys.argv[2]), canvas)


def paint():
    shape = polygon_of(disc((14, 14), 5), session.scene)
    session.draw(shape, session.store.layer_of(session.scene).crs(), "brushed")


def say():
    rank = session.current.rank if session.current else None
    print(json.dumps({"rank": rank, **session.queue.counts()}), flush=True)


say()
for line in sys.stdin:
    word, *numbers = line.split()
    if word == "quit":
        break
    act = paint if word == "paint" else getattr(session, word)
    act(*map(int, numbers))
    say()
session.close()
application.exitQgis()
