import warnings

import numpy as np
import pytest

from tsfal_geo.errors import RasterError
from tsfal_geo.raster.discovery import RasterWarning, discover, survey

IMAGE = np.full((3, 40, 50), 7, np.uint8)
BAND = np.zeros((40, 50), np.uint8)


@pytest.mark.parametrize(
    ("images", "labels"), [("", "labels"), ("images", "labels"), ("top", "gts"), ("images", "gts")]
)
def test_customary_folders(tmp_path, write_tif, images, labels):
    write_tif(tmp_path / images / "b.tif", IMAGE)
    write_tif(tmp_path / images / "a.tif", IMAGE)
    dsm = write_tif(tmp_path / "dsm" / "a.tif", BAND.astype(np.float32))
    label = write_tif(tmp_path / labels / "b.tif", BAND)
    first, second = discover(tmp_path)
    assert (first.name, first.dsm, first.labels) == ("a", dsm, None)
    assert (second.name, second.dsm, second.labels) == ("b", None, label)
    assert first.shape == (40, 50)


def test_labels_and_dsm_beside_the_orthophotos(tmp_path, write_tif):
    write_tif(tmp_path / "1_img.tif", IMAGE)
    write_tif(tmp_path / "1_gt.tif", BAND)
    write_tif(tmp_path / "1_dsm.tif", BAND.astype(np.float32))
    (scene,) = discover(tmp_path)
    assert (scene.dsm.name, scene.labels.name) == ("1_dsm.tif", "1_gt.tif")


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(RasterError, match="no such folder"):
        discover(tmp_path / "nothing")
    with pytest.raises(RasterError, match="holds no orthophoto"):
        discover(tmp_path)


def test_labels_of_another_name_are_an_error_while_a_scene_has_none(tmp_path, write_tif):
    write_tif(tmp_path / "images" / "a.tif", IMAGE)
    write_tif(tmp_path / "labels" / "b.tif", BAND)
    with pytest.raises(RasterError, match=r"b\.tif is the label file of no orthophoto"):
        discover(tmp_path)


def test_superfluous_labels_are_reported_and_not_used(tmp_path, write_tif):
    write_tif(tmp_path / "images" / "a.tif", IMAGE)
    write_tif(tmp_path / "labels" / "a.tif", BAND)
    write_tif(tmp_path / "labels" / "b.tif", BAND)
    with pytest.warns(RasterWarning, match=r"b\.tif is the label file of no orthophoto"):
        (scene,) = discover(tmp_path)
    assert scene.labels.name == "a.tif"


def test_a_clean_folder_gives_no_warning(tmp_path, write_tif):
    write_tif(tmp_path / "a.tif", IMAGE)
    write_tif(tmp_path / "labels" / "a.tif", BAND)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        discover(tmp_path, require_labels=True)


def test_two_label_files_for_one_scene_are_an_error(tmp_path, write_tif):
    write_tif(tmp_path / "a.tif", IMAGE)
    write_tif(tmp_path / "labels" / "a.tif", BAND)
    write_tif(tmp_path / "labels" / "a.tiff", BAND)
    with pytest.raises(RasterError, match="more than one label file"):
        discover(tmp_path)


def test_two_orthophotos_of_one_name_are_an_error(tmp_path, write_tif):
    write_tif(tmp_path / "a.tif", IMAGE)
    write_tif(tmp_path / "a.tiff", IMAGE)
    with pytest.raises(RasterError, match="have one name"):
        discover(tmp_path)


def test_labels_can_be_demanded(tmp_path, write_tif):
    write_tif(tmp_path / "a.tif", IMAGE)
    with pytest.raises(RasterError, match="has no label file"):
        discover(tmp_path, require_labels=True)


def test_a_survey_lists_the_good_beside_the_bad(tmp_path, write_tif):
    write_tif(tmp_path / "good.tif", IMAGE)
    (tmp_path / "bad.tif").write_bytes(b"not a picture")
    found = survey(tmp_path)
    assert [scene.name for scene in found.scenes] == ["good"]
    assert list(found.problems) == [tmp_path / "bad.tif"]
    with pytest.raises(RasterError, match=r"bad\.tif"):
        discover(tmp_path)


def test_a_vrt_in_disguise_is_not_opened(tmp_path):
    (tmp_path / "a.tif").write_text('<VRTDataset rasterXSize="1" rasterYSize="1"/>')
    with pytest.raises(RasterError, match="by its first bytes"):
        discover(tmp_path)
