import hashlib
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from tsfal_geo.classes import VAIHINGEN, ClassMap
from tsfal_geo.config import load_config
from tsfal_geo.datasets import vaihingen as adapter
from tsfal_geo.datasets.registry import DATASETS
from tsfal_geo.datasets.vaihingen_fixture import SIZES
from tsfal_geo.errors import LabelError, RasterError, UserError
from tsfal_geo.raster.chips import Window, scene_chips
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.label_reader import FolderLabels
from tsfal_geo.raster.reader import SceneReader

ROOT = Path(__file__).parents[2]
MAIN = "ISPRS_semantic_labeling_Vaihingen"
FULL, ERODED = f"{MAIN}_ground_truth_COMPLETE", f"{MAIN}_ground_truth_eroded_COMPLETE"

pytestmark = pytest.mark.filterwarnings("ignore", category=NotGeoreferencedWarning)


def prepare(source, out, **options):
    return adapter.prepare(source, out, **{"chip_size": 64, **options})


def chips(prepared, size):
    return [len(scene_chips(discover(folder), size, "shift")) for folder in prepared.splits.values()]


def pixels(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def write(path, bands, **options):
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": bands.dtype}
    with rasterio.open(path, "w", **profile, **options) as dataset:
        dataset.write(bands)


def zipped(source, goal, *folders):
    """The folders of ``source`` as the owners zip them: the main one's subfolders, else files at the root."""
    goal.mkdir(exist_ok=True)
    for name in folders:
        with zipfile.ZipFile(goal / f"{name}.zip", "w") as archive:
            for path in sorted((source / name).rglob("*.*")):
                archive.write(path, path.relative_to(source / name))
    return goal


@pytest.fixture
def zips(vaihingen, tmp_path, monkeypatch):
    folder = zipped(vaihingen, tmp_path / "zips", MAIN, FULL)
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    monkeypatch.setattr(adapter, "MD5", sums)
    return folder


def test_the_split_is_the_papers_and_covers_the_33_areas(vaihingen, tmp_path):
    prepared = prepare(vaihingen, tmp_path / "out")
    assert list(prepared.splits) == ["train", "val", "test"]
    assert chips(prepared, 64) == [233, 111, 398]
    scenes = [{int(s.name.rsplit("area")[-1]) for s in discover(f)} for f in prepared.splits.values()]
    assert scenes[0] == {1, 3, 5, 7, 13, 17, 21, 23, 26, 32, 37}
    assert scenes[1] == {11, 15, 28, 30, 34}
    assert set.union(*scenes) == SIZES.keys() and sum(map(len, scenes)) == 33
    assert not (tmp_path / "out" / "train" / "dsm").exists()
    # Participants' ground truth is not preferred to the complete one, nor mixed with it.
    labels = (tmp_path / "out").glob("*/labels/*.tif")
    assert {path.resolve().parent for path in labels} == {vaihingen / FULL}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_the_true_sizes_give_233_111_and_398_chips_of_512(tmp_path, monkeypatch):
    # 163 million pixels of nothing take ten seconds to read.
    monkeypatch.setattr(adapter, "check_labels", lambda scene, classes: None)
    for area, (width, height) in SIZES.items():
        for path in (f"{MAIN}/top", FULL):
            (tmp_path / path).mkdir(parents=True, exist_ok=True)
            file = tmp_path / path / f"top_mosaic_09cm_area{area}.tif"
            profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": height, "width": width}
            rasterio.open(file, "w", **profile, sparse_ok=True, tiled=True).close()
    prepared = adapter.prepare(tmp_path, tmp_path / "out")
    assert load_config(prepared.config).data.chip_size == 512
    assert chips(prepared, 512) == [233, 111, 398]
    assert sum(file.stat().st_size for file in tmp_path.rglob("*.tif")) < 10_000_000


@pytest.mark.parametrize("eroded", [False, True])
def test_ground_truth_has_the_owners_classes_and_black_is_none(vaihingen, tmp_path, eroded):
    prepared = prepare(vaihingen, tmp_path / "out", eroded=eroded)
    config = load_config(prepared.config)
    classes = ClassMap.from_specs(config.classes, config.ignore_colours)
    assert classes == VAIHINGEN
    scene = discover(prepared.splits["test"])[0]
    labels = FolderLabels([scene], classes).read(Window(0, 0, 0, *scene.shape))
    number = scene.name.rsplit("area")[-1]
    truth = pixels(vaihingen / FULL / f"top_mosaic_09cm_area{number}.tif")
    if eroded:
        truth = pixels(vaihingen / ERODED / f"top_mosaic_09cm_area{number}_noBoundary.tif")
        assert 0.02 < (labels == 255).mean() < 0.5
    for index, colour in enumerate(VAIHINGEN.colours):
        assert ((labels == index) == (truth == colour[:, None, None]).all(0)).all()
    assert ((labels == 255) == (truth == 0).all(0)).all()


@pytest.mark.parametrize(("height", "metres"), [("dsm", 1.0), ("ndsm", 10.0)])
def test_heights_lie_on_the_orthophoto_to_the_pixel(vaihingen, tmp_path, height, metres):
    prepared = prepare(vaihingen, tmp_path / "out", height=height)
    assert load_config(prepared.config).data.dsm == "use"
    scene = next(s for s in discover(prepared.splits["train"]) if s.name.endswith("area13"))
    order = list(SIZES).index(13)
    assert scene.grid.affine[:6] == pytest.approx((0.72, 0, 497_000 + 400 * order, 0, -0.72, 5_420_000))
    truth = pixels(vaihingen / FULL / "top_mosaic_09cm_area13.tif")
    building = (truth == np.array([0, 0, 255])[:, None, None]).all(0)
    with rasterio.open(scene.dsm) as dataset:
        assert dataset.transform == scene.grid.affine
    read = SceneReader([scene], None, use_dsm=True).read(Window(0, 0, 0, *scene.shape)).height[0] / metres
    assert np.median(read[building]) == pytest.approx(8, abs=1.5)
    assert np.median(read[~building]) < 2


def test_without_heights_nothing_says_otherwise(vaihingen, tmp_path):
    config = load_config(prepare(vaihingen, tmp_path / "out").config)
    assert config.data.dsm == "ignore"


def test_without_world_files_a_note_says_so(copied, tmp_path):
    shutil.rmtree(copied / "Vaihingen_dsm_tiles_geoinfo")
    prepared = prepare(copied, tmp_path / "out", height="dsm")
    assert "no georeference" in prepared.notes[0]
    assert not discover(prepared.splits["val"])[0].georeferenced


def test_zips_give_the_same_pixels_and_only_what_is_needed_is_unpacked(vaihingen, zips, tmp_path):
    prepared = prepare(zips, tmp_path / "out")
    for path in sorted((tmp_path / "out").rglob("*.tif")):
        home = f"{MAIN}/top" if path.parent.name == "images" else FULL
        assert (pixels(path) == pixels(vaihingen / home / path.name)).all()
        assert not path.is_symlink()
    assert len(list((tmp_path / "out").rglob("*.*"))) == 2 * 33 + 1
    assert chips(prepared, 64) == [233, 111, 398]


def test_a_changed_zip_is_refused_with_both_sums(zips, tmp_path, monkeypatch):
    found = adapter.MD5[f"{FULL}.zip"]
    monkeypatch.setitem(adapter.MD5, f"{FULL}.zip", "0" * 32)
    with pytest.raises(UserError, match=f"{FULL}.zip: found MD5 {found}, expected the owners' {'0' * 32}"):
        prepare(zips, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_sums_are_the_owners():
    assert adapter.MD5[f"{MAIN}.zip"] == "462b8dca7b6fa9eaf729840f0cdfc7f3"
    assert adapter.MD5[f"{FULL}.zip"] == "4802dd6326e2727a352fb735be450277"


def test_a_zip_cut_short_is_one_line(zips, tmp_path):
    path = zips / f"{FULL}.zip"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"COMPLETE\.zip: not readable as a zip .*download it again$"):
        prepare(zips, tmp_path / "out")


def test_a_zip_with_a_damaged_member_is_one_line(zips, tmp_path, monkeypatch):
    path = zips / f"{FULL}.zip"
    data = bytearray(path.read_bytes())
    data[2000:2100] = bytes(100)
    path.write_bytes(data)
    monkeypatch.setattr(adapter, "MD5", {})
    with pytest.raises(UserError, match=r"COMPLETE\.zip: .*\.tif cannot be unpacked .*download it again$"):
        prepare(zips, tmp_path / "out")


def test_names_in_zips_lead_nowhere_else(vaihingen, zips, tmp_path, monkeypatch):
    monkeypatch.setattr(adapter, "MD5", {})
    with zipfile.ZipFile(zips / f"{MAIN}.zip", "w") as archive:
        for path in (vaihingen / MAIN / "top").iterdir():
            archive.write(path, f"../../../top/{path.name}")
    before = set(tmp_path.rglob("*"))
    prepare(zips, tmp_path / "deep" / "out")
    made = {path for path in set(tmp_path.rglob("*")) - before if path.is_file()}
    assert made and all(path.is_relative_to(tmp_path / "deep" / "out") for path in made)
    assert not (tmp_path.parent / "top").exists()


def test_an_unknown_colour_names_file_colour_and_count(copied, tmp_path):
    path = copied / FULL / "top_mosaic_09cm_area38.tif"
    bands = pixels(path)
    bands[:, 5, 7:10] = np.array([255, 255, 254])[:, None]
    write(path, bands)
    with pytest.raises(LabelError) as caught:
        prepare(copied, tmp_path / "out")
    assert str(caught.value).startswith(f"{path}: colour (255, 255, 254) on 3 pixels is not in the class map")
    assert not (tmp_path / "out").exists()


def test_ids_instead_of_colours_are_refused(copied, tmp_path):
    path = copied / FULL / "top_mosaic_09cm_area2.tif"
    write(path, np.zeros_like(pixels(path)[:1]))
    with pytest.raises(LabelError, match=r"area2\.tif: found 1 band, expected ground truth in the owners'"):
        prepare(copied, tmp_path / "out")


def test_ground_truth_of_another_size_is_refused(copied, tmp_path):
    path = copied / FULL / "top_mosaic_09cm_area2.tif"
    write(path, pixels(path)[:, :-1])
    with pytest.raises(LabelError, match=r"COMPLETE/top_mosaic_09cm_area2\.tif has .* pixels, its scene"):
        prepare(copied, tmp_path / "out")


def test_a_dsm_of_another_size_and_no_place_is_refused(copied, tmp_path):
    shutil.rmtree(copied / "Vaihingen_dsm_tiles_geoinfo")
    path = copied / MAIN / "dsm" / "dsm_09cm_matching_area1.tif"
    write(path, pixels(path)[:, :-1])
    with pytest.raises(RasterError, match=r"dsm_09cm_matching_area1\.tif has .* no georeference"):
        prepare(copied, tmp_path / "out", height="dsm")


def test_a_missing_area_is_named(copied, tmp_path):
    (copied / FULL / "top_mosaic_09cm_area4.tif").unlink()
    with pytest.raises(UserError, match=r"found 32 of 33 files of .*COMPLETE\.zip, no top_mosaic_09cm_area4"):
        prepare(copied, tmp_path / "out")


def test_the_participants_part_is_not_enough(copied, tmp_path):
    shutil.rmtree(copied / FULL)
    with pytest.raises(UserError, match=r"found 16 of 33 files of .*COMPLETE\.zip, no top_mosaic_09cm_area2"):
        prepare(copied, tmp_path / "out")


def test_a_wrong_source_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "empty" / "Vaihingen.zip", "w") as archive:
        archive.writestr(f"Vaihingen/{MAIN}.zip", b"")
    for source, text in (
        (tmp_path / "empty", "found 0 of 33 files of top/.*Vaihingen.zip holds zips: unpack it"),
        (tmp_path / "nowhere", "no such folder; expected"),
        (tmp_path / "empty" / "Vaihingen.zip", "is a file; expected the folder"),
    ):
        with pytest.raises(UserError, match=text):
            prepare(source, tmp_path / "out")


def test_ground_truth_beside_top_links_and_a_preparation_below_the_source(copied, tmp_path):
    (copied / MAIN / "top").rename(tmp_path / "elsewhere")
    (copied / MAIN / "top").symlink_to(tmp_path / "elsewhere")
    (copied / "loop").symlink_to(copied)
    shutil.rmtree(copied / MAIN / "gts_for_participants")
    for path in (copied / FULL).iterdir():
        path.rename(copied / MAIN / path.name)
    prepare(copied, copied / "eroded", eroded=True)
    prepare(copied, copied / "full")
    label = next((copied / "full" / "val" / "labels").iterdir())
    assert label.resolve() == copied / MAIN / label.name


def test_the_shipped_configurations_agree_with_the_datasets():
    for name in ("vaihingen.yaml", "vaihingen_resnet101.yaml"):
        config = load_config(ROOT / "configs" / name)
        assert ClassMap.from_specs(config.classes, config.ignore_colours) == VAIHINGEN
        assert (config.data.chip_size, config.data.edge, config.data.dsm) == (512, "shift", "ignore")


def test_the_same_seed_gives_the_same_fixture(vaihingen, tmp_path):
    DATASETS["vaihingen"].fixture(tmp_path, 0)
    for path in sorted(tmp_path.rglob("*area38*")):
        assert path.read_bytes() == (vaihingen / path.relative_to(tmp_path)).read_bytes()


def test_the_fixture_has_every_class_and_no_boundary_in_the_full_ground_truth(vaihingen):
    masks = [pixels(path).reshape(3, -1) for path in (vaihingen / FULL).iterdir()]
    shares = [(np.concatenate(masks, 1) == colour[:, None]).all(0).mean() for colour in VAIHINGEN.colours]
    assert min(shares) > 0.004 and sum(shares) == pytest.approx(1)
