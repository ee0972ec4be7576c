"""A person's answers, written by a script with geopandas, train exactly as the oracle's do."""

import warnings

import geopandas
import numpy as np
import rasterio
from rasterio.features import rasterize, shapes
from safetensors.torch import load_file
from shapely.geometry import shape

from tests.helpers.loop_case import QuietReporter, tiny_config, write_scenes
from tsfal_geo.rounds.loop import train
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder

ROUNDS = 2


def run(root, folder, **overrides):
    # At a lower rate so few steps leave networks that still doubt: rounds without queries prove nothing.
    options = {"active__budget": 0.5, "active__rounds": ROUNDS, "train__lr": 0.003, **overrides}
    train(Request(root, folder, None, tiny_config(**options)), QuietReporter())
    return WorkspaceFolder.open(root)


def answer_like_a_person(workspace, author):
    """Read the queries with geopandas, look at the truth, append polygons to a file of one's own."""
    asked = geopandas.read_file(
        workspace.round_dir(workspace.current_round) / "queries.gpkg", layer="queries", where="1=1"
    )
    rows = []
    for scene in workspace.scenes:
        with rasterio.open(scene.labels) as dataset:
            truth, transform = dataset.read(1), dataset.transform
        for query in asked[asked.scene == scene.name].itertuples():
            inside = rasterize([query.geometry], truth.shape, transform=transform).astype(bool)
            for geometry, value in shapes(truth, mask=inside, transform=transform):
                rows.append(
                    {
                        "class_id": int(value),
                        "qid": query.qid,
                        "scene": scene.name,
                        "geometry": shape(geometry),
                    }
                )
    frame = geopandas.GeoDataFrame(rows, crs=asked.crs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame.to_file(workspace.store().author_store(author), layer="labels", mode="a")


def test_rounds_of_a_script_equal_rounds_of_the_oracle(tmp_path):
    folder = write_scenes(tmp_path / "rasters")
    oracle = run(tmp_path / "oracle", folder, active__oracle=True)
    person = run(tmp_path / "person", folder)
    while person.state.status == "waiting":
        answer_like_a_person(person, "ann")
        person = run(tmp_path / "person", folder)
    assert person.current_round == oracle.current_round == ROUNDS
    for number in range(ROUNDS + 1):
        ours, theirs = person.metrics(number), oracle.metrics(number)
        assert ours["labelled_pixels"] == theirs["labelled_pixels"]
        assert ours["query_pixels"] == theirs["query_pixels"]
    mine, other = (load_file(ws.current_model() / "model.safetensors") for ws in (person, oracle))
    assert all(np.array_equal(mine[key].numpy(), other[key].numpy()) for key in mine)
