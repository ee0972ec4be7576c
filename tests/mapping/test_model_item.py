"""The record of a model is enough to use it: a consumer that knows nothing else gets the map's classes."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from odc.geo.geobox import GeoBox

from tests.mapping.test_export import picture, write
from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.mapping.outputs.model_item import write_model_item
from tsfal_geo.mapping.outputs.rasters import SceneMap
from tsfal_geo.mapping.outputs.stac import write_map_item
from tsfal_geo.models.io import load_model
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.scene import Scene

_TENSOR = {
    "type": "object",
    "required": ["shape", "dim_order", "data_type"],
    "properties": {
        "shape": {"type": "array", "minItems": 4, "items": {"type": "integer", "minimum": -1}},
        "dim_order": {"type": "array", "uniqueItems": True, "items": {"pattern": "^[a-z-_]+$"}},
        "data_type": {"const": "float32"},
    },
}
_SCALING = {
    "type": "array",
    "minItems": 1,
    "items": {
        "oneOf": [
            {"properties": {"type": {"const": "scale"}, "value": {"type": "number"}}, "required": ["value"]},
            {
                "properties": {"type": {"const": "processing"}, "format": {"type": "string"}},
                "required": ["format", "expression"],
            },
        ]
    },
}
_FIELDS = {
    "type": "object",
    "properties": {
        "mlm:name": {"pattern": r"^[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]$"},
        "mlm:pretrained_source": {"type": ["string", "null"]},
        "mlm:input": {
            "type": "array",
            "minItems": 1,
            "items": {
                "required": ["name", "bands", "input", "value_scaling"],
                "properties": {
                    "bands": {"type": "array", "minItems": 1},
                    "input": _TENSOR,
                    "value_scaling": _SCALING,
                },
            },
        },
        "mlm:output": {
            "type": "array",
            "minItems": 1,
            "items": {
                "required": ["name", "tasks", "result", "classification:classes"],
                "properties": {"result": _TENSOR},
            },
        },
    },
}
MLM = {
    "description": "What version 1 of the MLM extension demands of an item, of the parts that ours has",
    "type": "object",
    "required": ["properties", "assets"],
    "properties": {
        "properties": {
            "allOf": [
                _FIELDS,
                {
                    "required": [
                        "mlm:name",
                        "mlm:architecture",
                        "mlm:tasks",
                        "mlm:input",
                        "mlm:output",
                        "bands",
                    ]
                },
            ]
        },
        "stac_version": {"pattern": r"1\.[1-9]"},
        "assets": {
            "additionalProperties": _FIELDS,
            "properties": {
                "weights": {"required": ["mlm:input", "mlm:output", "mlm:artifact_type"]},
                "onnx": {"required": ["mlm:input", "mlm:output", "mlm:artifact_type"]},
            },
        },
    },
}


@pytest.fixture
def record(tmp_path, model):
    folder, card = model
    write(tmp_path / "town.tif", picture(64, 64))
    path = write_model_item(tmp_path / "maps", folder, card, discover(tmp_path), tmp_path / "model.onnx")
    return path, json.loads(path.read_text())


def consume(path, values, asset, image, run):
    """Class ids of an image (bands, height, width) by what the record says of one artefact alone."""
    artefact = values["assets"][asset]
    (given,), (result,) = artefact["mlm:input"], artefact["mlm:output"]
    assert given["input"]["dim_order"] == ["batch", "bands", "height", "width"]
    assert given["input"]["shape"][1:] == list(image.shape)
    scaled = image.astype(given["input"]["data_type"])
    scalings = given["value_scaling"]
    for band, scaling in enumerate(scalings if len(scalings) > 1 else scalings * len(image)):
        if scaling["type"] == "scale":
            scaled[band] /= scaling["value"]
        else:
            scaled[band] = eval(scaling["expression"], {"numpy": np, "x": scaled[band]})
    found = run((path.parent / artefact["href"]).resolve(), scaled[None])
    expected = [size if size > 0 else 1 for size in result["result"]["shape"]]
    assert list(found.shape) == expected
    side = image.shape[-1]
    if found.shape[-1] != side:
        full = torch.nn.functional.interpolate(torch.from_numpy(found), (side, side), mode="bilinear")
        found = full.numpy()
    ids = np.array([each["value"] for each in result["classification:classes"]])
    return ids[found[0].argmax(0)]


def truth(folder, image):
    """Class ids by the library itself."""
    from tsfal_geo.inference.network import open_network

    network = open_network(folder)
    batch = {
        "image": torch.from_numpy(image[None]),
        "valid": torch.ones(1, *image.shape[1:], dtype=torch.bool),
    }
    cells = network.predict(batch)["probabilities"].float().cpu()
    full = torch.nn.functional.interpolate(cells, image.shape[1:], mode="bilinear")[0]
    return np.asarray(VAIHINGEN.ids)[full.argmax(0).numpy()]


def run_weights(folder):
    def run(path, tensor):
        assert path == (folder / "model.safetensors").resolve()
        segmenter, _ = load_model(path.parent)
        with torch.no_grad():
            return segmenter(torch.from_numpy(tensor)).logits.numpy()

    return run


def test_the_record_is_valid(record):
    _, values = record
    jsonschema.validate(values, MLM)
    assert any("mlm/v1" in each for each in values["stac_extensions"])
    assert values["assets"]["onnx"]["mlm:input"] != values["assets"]["weights"]["mlm:input"]


def test_a_consumer_of_the_weights_gets_the_same_classes(record, model):
    path, values = record
    image = np.random.default_rng(0).integers(0, 255, (3, 64, 64)).astype(np.uint8)
    found = consume(path, values, "weights", image, run_weights(model[0]))
    expected = truth(model[0], image)
    assert len(np.unique(expected)) > 2
    assert (found == expected).mean() > 0.98  # logits and probabilities are upsampled, here and there


@pytest.mark.slow
def test_a_consumer_of_the_onnx_file_gets_the_same_classes(record, model):
    onnxruntime = pytest.importorskip("onnxruntime")
    from tsfal_geo.mapping.outputs.onnx import export_onnx

    path, values = record
    export_onnx(
        model[0], (path.parent / values["assets"]["onnx"]["href"]).resolve(), resolution=None, overlap=0.25
    )

    def run(file, tensor):
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        (given,), (result,) = session.get_inputs(), session.get_outputs()
        artefact = values["assets"]["onnx"]
        assert (given.name, given.shape) == (
            artefact["mlm:input"][0]["name"], artefact["mlm:input"][0]["input"]["shape"]
        )  # fmt: skip
        assert result.name == artefact["mlm:output"][0]["name"]
        return session.run(None, {given.name: tensor})[0]

    image = np.random.default_rng(0).integers(0, 255, (3, 64, 64)).astype(np.uint8)
    assert (consume(path, values, "onnx", image, run) == truth(model[0], image)).mean() > 0.999


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"TIFFTAG_DATETIME": "2019:06:01 10:11:12"}, "2019-06-01T10:11:12Z"),
        ({"EXIF_DateTimeOriginal": "2020:01:02 03:04:05"}, "2020-01-02T03:04:05Z"),
        ({"TIFFTAG_DATETIME": "0000:00:00 00:00:00"}, None),
        ({}, None),
    ],
)
def test_the_date_of_a_map_is_the_pictures(tmp_path, tags, expected):
    path = tmp_path / "town.tif"
    affine = Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000)
    profile = {"driver": "GTiff", "height": 5, "width": 5, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", crs="EPSG:25832", transform=affine, **profile) as made:
        made.update_tags(**tags)
    scene = Scene("town", path, GeoBox((5, 5), affine, "EPSG:25832"), 1, "uint8")
    item = json.loads(Path(write_map_item(SceneMap("town", path), scene, VAIHINGEN)).read_text())
    if expected is None:
        assert item["properties"]["datetime"][:16] == item["properties"]["created"][:16]
    else:
        assert item["properties"]["datetime"] == expected
