"""The sample tiles: made by the generator to the pixel, well-formed, and not solved by colour alone."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rasterio
from sklearn.ensemble import RandomForestClassifier

from tsfal_geo.classes import VAIHINGEN

FOLDER = Path(__file__).parents[1] / "sample_tiles"
TRAINING = tuple(FOLDER / f"{{}}/town_{n}.tif" for n in (1, 2, 3, 4))
VALIDATION = tuple(FOLDER / f"val/{{}}/town_{n}.tif" for n in (5, 6))


def read(pattern: Path, part: str) -> np.ndarray:
    with rasterio.open(str(pattern).format(part)) as source:
        return source.read()


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    import make_town

    yield make_town
    sys.path.remove(str(FOLDER))


def test_generator_makes_the_committed_pixels(generator: ModuleType, tmp_path: Path) -> None:
    tile = next(tile for tile in generator.TILES if tile.name == "town_4")
    rasters = generator.render(generator.Planner(generator.SEED).plan(), tile)
    assert generator.differing(FOLDER, tile, rasters) == []
    rasters.image[1, 500, 500] ^= 1
    rasters.labels[3, 3] += 1
    assert [Path(name).parent.name for name in generator.differing(FOLDER, tile, rasters)] == [
        "images",
        "labels",
    ]
    generator.write(tmp_path, tile, rasters)
    assert generator.differing(tmp_path, tile, rasters) == []


@pytest.mark.parametrize("pattern", TRAINING + VALIDATION, ids=lambda pattern: pattern.stem)
def test_tiles_are_what_the_readme_says(pattern: Path) -> None:
    column, row = {1: (0, 0), 2: (1, 0), 3: (0, 1), 4: (1, 1), 5: (2, 0), 6: (2, 1)}[int(pattern.stem[-1])]
    bounds = (
        497024.16 + column * 92.16,
        5420160.48 - (row + 1) * 92.16,
        497024.16 + (column + 1) * 92.16,
        5420160.48 - row * 92.16,
    )
    for part, bands, dtype, pixel in (
        ("images", 3, "uint8", 0.09),
        ("labels", 1, "uint8", 0.09),
        ("dsm", 1, "float32", None),
    ):
        with rasterio.open(str(pattern).format(part)) as source:
            assert (source.crs.to_epsg(), source.count, source.dtypes[0]) == (25832, bands, dtype)
            assert source.bounds == pytest.approx(bounds, abs=1e-6)
            assert source.res[0] == pytest.approx(pixel or (0.36 if pattern.stem == "town_4" else 0.18))
            if part == "labels":
                assert [source.colormap(1)[value][:3] for value in range(6)] == [
                    each.colour for each in VAIHINGEN.classes
                ]
                assert [source.tags(1)[f"class_{value}"] for value in range(6)] == list(VAIHINGEN.names)


def test_class_shares_are_like_vaihingens() -> None:
    shares = np.mean(
        [np.bincount(read(each, "labels").ravel(), minlength=6) / 1024**2 for each in TRAINING + VALIDATION],
        axis=0,
    )
    low = np.array([0.22, 0.17, 0.17, 0.13, 0.010, 0.007])
    high = np.array([0.36, 0.31, 0.32, 0.28, 0.022, 0.032])
    assert np.all((low < shares) & (shares < high)), shares


def test_every_tile_has_every_class() -> None:
    for each in TRAINING + VALIDATION:
        assert np.all(np.bincount(read(each, "labels").ravel(), minlength=6) > 4000), each


def test_colour_alone_does_not_separate_the_classes() -> None:
    """A random forest on a pixel's colour, with all the training labels, stays far below a usable map."""
    rng = np.random.default_rng(0)
    train, validation = _pixels(TRAINING, 6000, rng), _pixels(VALIDATION, 12000, rng)
    forest = RandomForestClassifier(30, min_samples_leaf=10, random_state=0, n_jobs=1).fit(*train)
    predicted, truth = forest.predict(validation[0]), validation[1]
    ious = [
        np.sum((predicted == c) & (truth == c)) / np.sum((predicted == c) | (truth == c)) for c in range(6)
    ]
    assert 0.2 < np.mean(ious) < 0.42
    assert max(ious[4], ious[5]) < 0.3


def test_heights_tell_roofs_and_trees_from_the_ground() -> None:
    for each in TRAINING + VALIDATION:
        heights, labels = read(each, "dsm")[0], read(each, "labels")[0]
        step = labels.shape[0] // heights.shape[0]
        at = labels[step // 2 :: step, step // 2 :: step]
        ground = np.median(heights[at == 0])
        assert 250 < ground < 280
        assert np.median(heights[at == 1]) - ground > 2.5
        assert np.median(heights[at == 3]) - ground > 2.5


def test_whole_folder_stays_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 12e6


def _pixels(tiles: tuple[Path, ...], count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    colours, labels = [], []
    for tile in tiles:
        chosen = rng.choice(1024**2, count, replace=False)
        colours.append(read(tile, "images").reshape(3, -1)[:, chosen].T.astype(float))
        labels.append(read(tile, "labels").ravel()[chosen])
    return np.vstack(colours), np.concatenate(labels)
