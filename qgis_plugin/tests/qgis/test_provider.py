import json
from pathlib import Path

import pytest
from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsSettings,
)

from tsfal_qgis.engine.engine import SETTING
from tsfal_qgis.provider import TsfalProvider

ANSWERS = {
    "train": {"round": 1, "status": "waiting"},
    "query": {"round": 2, "status": "waiting"},
    "export": {"maps": ["/maps/town.tif"]},
    "evaluate": {"miou": 0.5, "accuracy": 0.75, "iou": {"tree": 0.5}},
    "labels": {"labels": 3, "kept": "/ws/labels/import-1.gpkg", "files": ["/out/labels.gpkg"]},
}
ENGINE = """#!/usr/bin/python3
import json, sys
open({file!r}, "w").write(json.dumps(sys.argv[1:]))
print(json.dumps({{"event": "hello", "protocol": 1, "engine": "0"}}))
if "--workspace=/ws/broken" in sys.argv:
    print(json.dumps({{"event": "error", "code": "workspace", "message": "/ws/broken: damaged"}}))
    sys.exit(3)
print(json.dumps({{"event": "result", **{answers!r}[sys.argv[1]]}}))
"""


@pytest.fixture
def command(tmp_path):
    path, program = tmp_path / "command.json", tmp_path / "tsfal-geo"
    program.write_text(ENGINE.format(file=str(path), answers=ANSWERS))
    program.chmod(0o755)
    QgsSettings().setValue(SETTING, str(program))
    yield lambda: json.loads(path.read_text())
    QgsSettings().remove("tsfal")


@pytest.fixture(scope="module")
def provider(qgis_app):
    made = TsfalProvider()
    made.refreshAlgorithms()
    return made


def run(provider, name, **values):
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    outputs, fine = provider.algorithm(name).run(values, context, QgsProcessingFeedback(), {}, False)
    assert fine
    return outputs, context


def test_every_command_is_there_with_help_and_icon(provider):
    assert sorted(a.name() for a in provider.algorithms()) == [
        "evaluate", "export", "exportlabels", "importlabels", "query", "train",
    ]  # fmt: skip
    for algorithm in provider.algorithms():
        assert algorithm.displayName() and len(algorithm.shortHelpString()) > 40
        assert not algorithm.icon().isNull()
        assert algorithm.create().parameterDefinitions()


def test_train_passes_on_the_given_values_and_nothing_else(provider, command):
    outputs, _ = run(provider, "train", WORKSPACE="/ws", RASTER="/data", LABELLED=0.15, STEPS=4)
    assert command() == [
        "train", "--workspace=/ws", "--raster=/data", "--labelled=0.15", "--steps=4", "--json",
    ]  # fmt: skip
    queries = str(Path("/ws/rounds/001/queries.gpkg"))
    assert outputs == {"ROUND": 1, "STATUS": "waiting", "QUERIES": queries}


def test_train_takes_settings_line_by_line(provider, command):
    run(provider, "train", WORKSPACE="/ws", SETTINGS="train.lr=0.1\n\n model.weights=null ")
    assert command() == [
        "train",
        "--workspace=/ws",
        "--set=train.lr=0.1",
        "--set=model.weights=null",
        "--json",
    ]


def test_query(provider, command):
    outputs, _ = run(provider, "query", WORKSPACE="/ws", STRATEGY="random", BUDGET=0.2)
    assert command() == ["query", "--workspace=/ws", "--strategy=random", "--budget=0.2", "--json"]
    assert outputs["ROUND"] == 2
    run(provider, "query", WORKSPACE="/ws")
    assert command() == ["query", "--workspace=/ws", "--json"]


def test_export(provider, command):
    outputs, context = run(
        provider, "export", WORKSPACE="/ws", OUTPUT="/maps", LAYERS=["confidence", "error-mask", "source"],
        POLYGONS="gpkg", MIN_AREA=2.5, LOAD=True,
    )  # fmt: skip
    assert command() == [
        "export", "--workspace=/ws", "--out=/maps", "--confidence", "--error-mask", "--source",
        "--polygons=gpkg", "--min-area=2.5", "--json",
    ]  # fmt: skip
    assert outputs == {"OUTPUT": "/maps", "MAPS": ["/maps/town.tif"]}
    assert list(context.layersToLoadOnCompletion()) == ["/maps/town.tif"]
    run(
        provider, "export", WORKSPACE="/ws", OUTPUT="/maps", MOSAIC="vrt", AREA="/x/area.gpkg", PREVIEW=True,
        NETWORK_ONLY=True, WORKERS=2,
    )  # fmt: skip
    assert command() == [
        "export", "--workspace=/ws", "--out=/maps", "--mosaic=vrt", "--aoi=/x/area.gpkg", "--workers=2",
        "--preview", "--network-only", "--json",
    ]  # fmt: skip
    _, context = run(provider, "export", WORKSPACE="/ws", OUTPUT="/maps")
    assert command() == ["export", "--workspace=/ws", "--out=/maps", "--json"]
    assert not context.layersToLoadOnCompletion()


def test_evaluate_keeps_all_scores_in_a_file(provider, command, tmp_path):
    path = tmp_path / "scores.json"
    outputs, _ = run(provider, "evaluate", WORKSPACE="/ws", RASTER="/test", OUTPUT=str(path))
    assert command() == ["evaluate", "--workspace=/ws", "--raster=/test", "--json"]
    assert (outputs["MIOU"], outputs["ACCURACY"], outputs["OUTPUT"]) == (0.5, 0.75, str(path))
    assert json.loads(path.read_text()) == ANSWERS["evaluate"]


def test_export_labels(provider, command):
    outputs, _ = run(provider, "exportlabels", WORKSPACE="/ws", OUTPUT="/out/labels.gpkg", ROUND=0)
    assert command() == [
        "labels", "export", "/out/labels.gpkg", "--workspace=/ws", "--round=0", "--json",
    ]  # fmt: skip
    assert outputs == {"OUTPUT": "/out/labels.gpkg", "FILES": "/out/labels.gpkg"}
    run(provider, "exportlabels", WORKSPACE="/ws", OUTPUT="/out/labels.geojson")
    assert command() == ["labels", "export", "/out/labels.geojson", "--workspace=/ws", "--json"]


def test_import_labels(provider, command):
    outputs, _ = run(
        provider, "importlabels", WORKSPACE="/ws", INPUT="/x/-parcels.gpkg", FIELD="use",
        MAP="Acker=field\nunknown=", CRS="EPSG:25832",
    )  # fmt: skip
    assert command() == [
        "labels", "import", "/x/-parcels.gpkg", "--workspace=/ws", "--field=use", "--crs=EPSG:25832",
        "--map=Acker=field", "--map=unknown=", "--json",
    ]  # fmt: skip
    assert outputs == {"LABELS": 3, "FILE": "/ws/labels/import-1.gpkg"}


def test_the_engines_words_are_the_algorithms_failure(provider, command):
    with pytest.raises(QgsProcessingException, match="/ws/broken: damaged"):
        provider.algorithm("train").run(
            {"WORKSPACE": "/ws/broken"}, QgsProcessingContext(), QgsProcessingFeedback(), {}, False
        )
