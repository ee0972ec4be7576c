import pickle

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.features import rasterize
from scipy.ndimage import gaussian_filter

from tests.labels.conftest import CLASSES, make_label, make_scene, on_ground
from tsfal_geo.labels.model import Label
from tsfal_geo.labels.polygonise import class_polygons, region_polygon, region_polygons
from tsfal_geo.labels.rasterise import PolygonLabels, StackedLabels
from tsfal_geo.raster.chips import Window

GRIDS = {
    "north up": (Affine(0.09, 0, 497_000.01, 0, -0.09, 5_419_000.07), "EPSG:25832"),
    "degrees": (Affine(1e-6, 0, 9.0000001, 0, -1e-6, 48.9), "EPSG:4326"),
    "south up": (Affine(0.5, 0, 2_332_263.6711, 0, 0.5, 7_599_627.628), "EPSG:2953"),
    "rotated": (Affine(0.3, 0.1, 1000.0, 0.1, -0.3, 2000.0), "EPSG:3857"),
    "none": (Affine.identity(), None),
}


def blobs(shape, seed, count=3, smooth=1.2):
    """A patchwork of classes with holes, corners that touch, and unlabelled pixels."""
    noise = gaussian_filter(np.random.default_rng(seed).random(shape), smooth)
    ranks = noise.ravel().argsort().argsort().reshape(shape) * (count + 1) // noise.size
    return np.where(ranks == count, 255, ranks).astype(np.uint8)


@pytest.mark.parametrize("kind", GRIDS)
def test_regions_come_back_as_the_very_same_pixels(kind):
    affine, crs = GRIDS[kind]
    scene = make_scene(shape=(600, 550), affine=affine, crs=crs)
    truth = blobs((600, 550), seed=1, smooth=2.5)
    labels = [
        Label(scene.name, int(CLASSES.ids[index]), polygon)
        for index, polygon in class_polygons(truth, scene.grid)
    ]
    assert all(shapely.is_valid(label.geometry) for label in labels)
    found = PolygonLabels(labels, [scene], CLASSES).read(Window(0, 0, 0, 600, 550))
    np.testing.assert_array_equal(found, truth)


def test_a_pixel_is_the_same_in_every_window_and_unlabelled_beyond_the_scene():
    scene = make_scene(shape=(1100, 900))
    rng = np.random.default_rng(0)
    centres = rng.uniform((0, 0), (900, 1100), (200, 2))
    labels = [
        Label(
            scene.name,
            int(rng.choice(CLASSES.ids)),
            on_ground(scene, shapely.Point(*centre).buffer(rng.uniform(2, 80), quad_segs=3)),
        )
        for centre in centres
    ]
    reader = PolygonLabels(labels, [scene], CLASSES)
    full = reader.read(Window(0, 0, 0, 1100, 900))
    assert (full != 255).mean() > 0.3
    for y, x in rng.integers(-100, 1000, (30, 2)):
        window = np.full((300, 257), 255, np.uint8)
        rows, columns = np.arange(y, y + 300), np.arange(x, x + 257)
        ys, xs = (rows >= 0) & (rows < 1100), (columns >= 0) & (columns < 900)
        window[np.ix_(ys, xs)] = full[np.ix_(rows[ys], columns[xs])]
        np.testing.assert_array_equal(reader.read(Window(0, int(y), int(x), 300, 257)), window)


def test_a_pixel_takes_the_class_of_the_polygon_that_holds_its_centre(town):
    rng = np.random.default_rng(3)
    polygon = shapely.Polygon(rng.uniform(5, 55, (3, 2)))
    ground = on_ground(town, polygon)
    found = PolygonLabels([Label("town", 7, ground)], [town], CLASSES).read(Window(0, 0, 0, 60, 80))
    rows, columns = np.mgrid[:60, :80] + 0.5
    np.testing.assert_array_equal(found == 2, shapely.contains_xy(polygon, columns, rows))


def test_the_latest_polygon_holds(town):
    labels = [make_label(town, 0, 0, 20, 3), make_label(town, 5, 5, 5, 7), make_label(town, 7, 7, 20, 0)]
    found = PolygonLabels(labels, [town], CLASSES).read(Window(0, 0, 0, 60, 80))
    expected = np.full((60, 80), 255, np.uint8)
    expected[:20, :20], expected[5:10, 5:10], expected[7:27, 7:27] = 0, 2, 1
    np.testing.assert_array_equal(found, expected)


def test_pixels_count_once_and_only_where_the_scene_has_data(town):
    labels = [make_label(town, 0, 0, 20, 3), make_label(town, 0, 0, 20, 3), make_label(town, 10, 10, 20, 7)]
    reader = PolygonLabels(labels, [town], CLASSES)
    assert reader.pixels().tolist() == [300, 0, 400]

    def valid(window):
        mask = np.ones(window.shape, bool)
        mask[:, :5] = window.x != 0
        return mask

    assert reader.pixels(valid).tolist() == [200, 0, 400]


def test_only_changed_blocks_are_rasterised_again(monkeypatch):
    scene = make_scene(shape=(1024, 1536))
    labels = [make_label(scene, y, x, 40) for y in (100, 700) for x in (100, 700, 1200)]
    earlier = PolygonLabels(labels, [scene], CLASSES)
    earlier.pixels()
    burnt = []
    burn = PolygonLabels._rasterise
    monkeypatch.setattr(PolygonLabels, "_rasterise", lambda self, *key: burnt.append(key) or burn(self, *key))
    changed = [*labels[1:], make_label(scene, 750, 1250, 40, 7)]
    later = PolygonLabels(changed, [scene], CLASSES, reuse=earlier)
    found = later.read(Window(0, 0, 0, 1024, 1536))
    assert sorted(burnt) == [(0, 0, 0), (0, 1, 2)]
    fresh = PolygonLabels(changed, [scene], CLASSES).read(Window(0, 0, 0, 1024, 1536))
    np.testing.assert_array_equal(found, fresh)


def test_the_cache_stays_within_its_bound_and_changes_nothing(monkeypatch):
    scene = make_scene(shape=(1024, 1536))
    labels = [make_label(scene, y, x, 40) for y in (100, 700) for x in (100, 700, 1200)]
    full = PolygonLabels(labels, [scene], CLASSES).read(Window(0, 0, 0, 1024, 1536))
    monkeypatch.setattr("tsfal_geo.labels.rasterise.CACHE_BYTES", 2 * 512 * 512)
    tight = PolygonLabels(labels, [scene], CLASSES)
    np.testing.assert_array_equal(tight.read(Window(0, 0, 0, 1024, 1536)), full)
    held = [block for block in tight._cache.values() if block is not None]
    assert sum(block.nbytes for block in held) == tight._cached_bytes <= 2 * 512 * 512


def test_readers_travel_to_worker_processes(town):
    reader = PolygonLabels([make_label(town, 3, 4)], [town], CLASSES)
    reader.read(Window(0, 0, 0, 60, 80))
    copy = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(copy.read(Window(0, 0, 0, 60, 80)), reader.read(Window(0, 0, 0, 60, 80)))


def test_the_first_reader_that_knows_gives_the_class(town):
    upper = PolygonLabels([make_label(town, 0, 0, 10, 7)], [town], CLASSES)
    lower = PolygonLabels([make_label(town, 5, 5, 10, 3)], [town], CLASSES)
    found = StackedLabels(upper, lower).read(Window(0, -5, 0, 30, 20))
    expected = np.full((30, 20), 255, np.uint8)
    expected[10:20, 5:15], expected[5:15, :10] = 0, 2
    np.testing.assert_array_equal(found, expected)


def test_labels_stay_on_their_own_scene(town):
    other = make_scene("other", shape=(30, 40))
    reader = PolygonLabels([make_label(other, 0, 0)], [town, other], CLASSES)
    assert reader.pixels().sum() == 100
    assert (reader.read(Window(0, 0, 0, 60, 80)) == 255).all()


def test_blocks_agree_with_rasterio_on_the_full_scene():
    scene = make_scene(shape=(560, 530))
    truth = blobs((560, 530), seed=4, smooth=6)
    labels = [
        Label(scene.name, int(CLASSES.ids[index]), polygon.buffer(0.31, quad_segs=2))
        for index, polygon in class_polygons(truth, scene.grid)
    ]
    expected = rasterize(
        [(label.geometry, CLASSES.ids.tolist().index(label.class_id)) for label in labels],
        out_shape=(560, 530),
        fill=255,
        transform=scene.grid.affine,
        dtype="uint8",
    )
    found = PolygonLabels(labels, [scene], CLASSES).read(Window(0, 0, 0, 560, 530))
    np.testing.assert_array_equal(found, expected)


def test_a_window_of_a_mask_is_placed_on_its_scene(town):
    mask = np.array([[0, 1, 1], [1, 1, 0]], np.uint8)
    label = Label("town", 3, region_polygon(mask, town.grid, y=20, x=30))
    found = PolygonLabels([label], [town], CLASSES).read(Window(0, 20, 30, 2, 3))
    np.testing.assert_array_equal(found == 0, mask == 1)


def test_numbered_regions_are_traced_together(town):
    regions = np.array([[1, 1, 0, 7], [0, 1, 7, 0], [1, 0, 7, 7]], np.int32)
    found = region_polygons(regions, town.grid, y=20, x=30)
    assert sorted(found) == [1, 7]
    for number, outline in found.items():
        assert outline.equals(region_polygon(regions == number, town.grid, y=20, x=30))
        label = PolygonLabels([Label("town", 3, outline)], [town], CLASSES).read(Window(0, 20, 30, 3, 4))
        np.testing.assert_array_equal(label == 0, regions == number)
