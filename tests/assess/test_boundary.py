import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import distance_transform_edt

from tsfal_geo.assess import boundary
from tsfal_geo.assess.boundary import Boundaries
from tsfal_geo.assess.design import open_maps
from tsfal_geo.assess.report import assess_rasters
from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.errors import RasterError
from tsfal_geo.raster.label_reader import FolderLabels
from tsfal_geo.raster.scene import Scene
from tsfal_geo.raster.write import write_classes


def reader(array):
    def read(y, rows):
        out = np.full((rows, array.shape[1]), 255, np.uint8)
        top, bottom = max(y, 0), min(y + rows, len(array))
        out[top - y : bottom - y] = array[top:bottom]
        return out

    return read


def scores(truth, predicted, tolerance, classes=3):
    found = Boundaries(classes, tolerance)
    found.add(len(truth), reader(truth), reader(predicted))
    return found.scores()


def naive(truth, predicted, tolerance, index):
    truth, predicted = truth.copy(), predicted.copy()
    unknown = (truth == 255) | (predicted == 255)
    truth[unknown] = predicted[unknown] = 255

    def edges(a):
        found = np.zeros(a.shape, bool)
        for y, x in np.argwhere(a == index):
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= v < a.shape[0] and 0 <= u < a.shape[1] and a[v, u] not in (index, 255):
                    found[y, x] = True
        return found

    t, p = edges(truth), edges(predicted)
    precision = (distance_transform_edt(~t)[p] <= tolerance).mean()
    recall = (distance_transform_edt(~p)[t] <= tolerance).mean()
    return precision, recall, 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("tolerance", [0, 1, 3])
@pytest.mark.parametrize("rows", [7, 512])
def test_it_is_what_the_definition_says_whatever_the_bands(monkeypatch, tolerance, rows):
    monkeypatch.setattr(boundary, "_ROWS", rows)
    rng = np.random.default_rng(1)
    truth = np.kron(rng.integers(0, 3, (8, 9)), np.ones((6, 5))).astype(np.uint8)
    predicted = np.roll(truth, 2, 1)
    predicted[10:14] = 1
    truth[30:33, :20] = 255
    for index, score in enumerate(scores(truth, predicted, tolerance)):
        assert (score.precision, score.recall, score.f1) == pytest.approx(
            naive(truth, predicted, tolerance, index)
        )


def test_a_shift_within_the_tolerance_costs_nothing():
    truth = np.zeros((40, 40), np.uint8)
    truth[10:30, 10:30] = 1
    shifted = np.roll(truth, 2, 0)
    assert scores(truth, shifted, 2)[1].f1 == 1.0
    assert scores(truth, shifted, 1)[1].f1 < 0.8
    assert scores(truth, np.zeros_like(truth), 2)[1].f1 == 0.0
    assert scores(truth, shifted, 2)[2].f1 is None


def test_maps_against_label_rasters(tmp_path):
    grid = GeoBox((60, 50), Affine(1, 0, 5e5, 0, -1, 5e6), "EPSG:25832")
    truth = np.zeros((60, 50), np.uint8)
    truth[:, 25:] = 1
    made = truth.copy()
    made[:, 25] = 0
    write_classes(tmp_path / "maps" / "a.tif", grid, VAIHINGEN, made)
    write_classes(tmp_path / "a.tif", grid, VAIHINGEN, truth)
    scene = Scene("a", tmp_path / "image.tif", grid, 3, "uint8", labels=tmp_path / "a.tif")
    maps = open_maps([tmp_path / "maps" / "a.tif"])
    found = assess_rasters(maps, [scene], FolderLabels([scene], VAIHINGEN), VAIHINGEN, 1)
    assert found.scores.classes[1].iou == pytest.approx(24 / 25)
    assert found.boundaries[0].f1 == found.boundaries[1].f1 == 1.0 and found.boundaries[2].f1 is None
    with pytest.raises(RasterError, match="found no map of a"):
        assess_rasters([], [scene], FolderLabels([scene], VAIHINGEN), VAIHINGEN, 1)
