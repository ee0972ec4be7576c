"""The oracle answers as people do: exactly, by key, by points or mixed, with errors, within an allowance."""

import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.helpers.loop_case import tiny_config
from tsfal_geo.classes import IGNORE
from tsfal_geo.config import ActiveConfig
from tsfal_geo.labels.effort import measure_effort
from tsfal_geo.labels.model import LabelSnapshot, Query
from tsfal_geo.labels.opening import open_store
from tsfal_geo.labels.polygonise import region_polygon
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.raster.chips import Window
from tsfal_geo.rounds.inputs import prepare
from tsfal_geo.rounds.oracle import Allowance, Oracle, answer_queries

SIZE = 128
VOID = 255


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Rows 0 to 63 are dark, the others middle, with a bright square of 20 pixels and a void one of 30."""
    folder = tmp_path_factory.mktemp("town")
    truth = np.full((SIZE, SIZE), 3, np.uint8)
    truth[64:] = 7
    truth[10:30, 10:30] = 9
    truth[90:120, 90:120] = VOID
    image = np.random.default_rng(0).integers(1, 255, (2, SIZE, SIZE)).astype(np.uint8)
    for name, array in (("images", image), ("labels", truth[None])):
        (folder / name).mkdir()
        profile = {"driver": "GTiff", "height": SIZE, "width": SIZE, "count": len(array), "dtype": "uint8"}
        profile |= {"crs": "EPSG:25832", "transform": Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000)}
        with rasterio.open(folder / name / "s.tif", "w", **profile) as dataset:
            dataset.write(array)
    return prepare(folder, tiny_config(active__oracle=True))


def ask(inputs, rows, columns, name="q"):
    mask = np.ones((rows[1] - rows[0], columns[1] - columns[0]), bool)
    outline = region_polygon(mask, inputs.scenes[0].grid, rows[0], columns[0])
    chip = f"{rows[0] // 64}-{columns[0] // 64}"
    return Query(name, 0, "s", chip, 1, 1.0, "doubt", 3, mask.size, outline)


def answer(inputs, query, others=(), **active):
    """Answer a query; returns its labels, its decision and the (H, W) class indices that it labels."""
    oracle = Oracle(inputs, ActiveConfig(**active), 0)
    labels, decision = next(iter(oracle.answers([query, *others])))
    scenes = inputs.scenes
    raster = PolygonLabels(labels, scenes, inputs.classes).read(Window(0, 0, 0, SIZE, SIZE))
    return labels, decision, raster


def kinds(inputs, labels):
    effort = measure_effort(LabelSnapshot(tuple(labels), ()), {"s": inputs.scenes[0]})
    return {name: kind.answers for name, kind in effort.by_kind.items()}


def truth(inputs, rows, columns):
    found = np.full((SIZE, SIZE), IGNORE, np.uint8)
    window = Window(0, rows[0], columns[0], rows[1] - rows[0], columns[1] - columns[0])
    found[slice(*rows), slice(*columns)] = inputs.truth.read(window)
    return found


BOTH = ((50, 70), (40, 60))  # 14 rows dark, 6 middle
NEARLY = ((44, 65), (40, 60))  # 20 rows dark, 1 middle
SQUARE = ((0, 40), (0, 40))  # 400 of 1600 pixels bright
VOIDED = ((80, 120), (80, 120))  # 900 of 1600 pixels void


@pytest.mark.parametrize("where", [BOTH, NEARLY, SQUARE, VOIDED])
def test_exact_answers_are_polygons_of_the_truth(inputs, where):
    labels, decision, raster = answer(inputs, ask(inputs, *where), oracle_answers="exact")
    assert np.array_equal(raster, truth(inputs, *where))
    assert kinds(inputs, labels) == {"polygon": len(labels)}
    assert decision.status == "done"


@pytest.mark.parametrize(
    ("where", "purity", "status"),
    [
        (NEARLY, 0.9, "done"),
        (SQUARE, 0.75, "done"),
        (SQUARE, 0.76, "skipped"),
        (BOTH, 0.8, "skipped"),
        (VOIDED, 0.1, "skipped"),
    ],
)
def test_a_key_gives_the_dominant_class_or_skips(inputs, where, purity, status):
    labels, decision, raster = answer(inputs, ask(inputs, *where), oracle_answers="key", oracle_purity=purity)
    assert decision.status == status
    if status == "done":
        assert (raster[slice(*where[0]), slice(*where[1])] == 0).all()
        assert kinds(inputs, labels) == {"key": 1}
    else:
        assert labels == []


@pytest.mark.parametrize("where", [BOTH, NEARLY, SQUARE, ((4, 8), (8, 12)), ((60, 64), (60, 64))])
def test_a_point_labels_one_cell_of_the_query_with_the_class_of_a_pixel(inputs, where):
    labels, decision, raster = answer(inputs, ask(inputs, *where), oracle_answers="point")
    assert (decision.status, kinds(inputs, labels)) == ("done", {"point": 1})
    rows, columns = np.nonzero(raster != IGNORE)
    assert len(rows) == 16
    assert rows.min() % 4 == columns.min() % 4 == 0
    assert where[0][0] <= rows.min() and rows.max() < where[0][1]
    assert where[1][0] <= columns.min() and columns.max() < where[1][1]
    assert len(np.unique(raster[rows, columns])) == 1
    assert raster[rows[0], columns[0]] in truth(inputs, *where)[rows, columns]


def test_a_point_on_void_is_skipped(inputs):
    labels, decision, _ = answer(inputs, ask(inputs, (92, 118), (92, 118)), oracle_answers="point")
    assert (labels, decision.status) == ([], "skipped")


def test_mixed_answers_a_pure_query_by_one_key(inputs):
    labels, _, raster = answer(inputs, ask(inputs, *NEARLY), oracle_answers="mixed")
    assert kinds(inputs, labels) == {"key": 1}
    assert (raster[slice(*NEARLY[0]), slice(*NEARLY[1])] == 0).all()


@pytest.mark.parametrize("where", [BOTH, SQUARE])
def test_mixed_draws_on_top_of_a_key_where_nothing_pays_more(inputs, where):
    labels, _, raster = answer(inputs, ask(inputs, *where), oracle_answers="mixed")
    assert kinds(inputs, labels) == {"key": 1, "polygon": 1}
    assert np.array_equal(raster, truth(inputs, *where))


def test_mixed_skips_where_keys_on_other_queries_pay_more(inputs):
    pure = [ask(inputs, (0, 10), (40, 100), "pure")]
    labels, decision, _ = answer(inputs, ask(inputs, *BOTH), pure, oracle_answers="mixed")
    assert (labels, decision.status) == ([], "skipped")
    labels, _, _ = answer(
        inputs, ask(inputs, *BOTH), [ask(inputs, (0, 4), (40, 60), "p")], oracle_answers="mixed"
    )
    assert kinds(inputs, labels) == {"key": 1, "polygon": 1}


def test_mixed_draws_beside_void_and_labels_none_of_it(inputs):
    labels, _, raster = answer(inputs, ask(inputs, *VOIDED), oracle_answers="mixed")
    assert np.array_equal(raster, truth(inputs, *VOIDED))
    assert kinds(inputs, labels) == {"polygon": len(labels)}


@pytest.mark.parametrize("kind", ["exact", "key", "mixed", "point"])
@pytest.mark.parametrize(("option", "expected"), [("oracle_error", 0.25), ("oracle_unsure", 0.25)])
def test_errors_and_doubts_have_their_rate_and_do_not_change_with_the_order(inputs, kind, option, expected):
    queries = [ask(inputs, (0, 8), (64, 72), f"q{n}") for n in range(400)]
    oracle = Oracle(inputs, ActiveConfig(oracle_answers=kind, **{option: expected}), 0)

    def marked(own, decision):
        return decision.status == "unsure" if option == "oracle_unsure" else own[0].class_id != 3

    found = {decision.qid: marked(own, decision) for own, decision in oracle.answers(queries)}
    again = {decision.qid: marked(own, decision) for own, decision in oracle.answers(queries[::-1])}
    assert found == again
    assert 0.18 < np.mean(list(found.values())) < 0.32


def test_answers_stop_at_the_allowance_and_an_interrupted_call_adds_none(inputs, tmp_path):
    queries = [ask(inputs, (0, 8), (64 + n, 72 + n), f"q{n}") for n in range(10)]
    store = open_store(tmp_path, inputs.classes, inputs.scenes, None)
    oracle = Oracle(inputs, ActiveConfig(oracle_answers="key"), 0)
    for allowance, answered in (
        (Allowance(answers=3), 3),
        (Allowance(answers=3), 3),
        (Allowance(seconds=8.0), 4),
        (Allowance(answers=9, seconds=11.0), 6),
        (Allowance(answers=0), 6),
        (Allowance(), 10),
    ):
        answer_queries(store, oracle, queries, allowance, store.snapshot())
        assert store.snapshot().answered == {f"q{n}" for n in range(answered)}
