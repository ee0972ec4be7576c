from pathlib import Path

import pytest

from tsfal_geo.raster.naming import match, role


def paths(*names):
    return [Path(name) for name in names]


@pytest.mark.parametrize(
    ("image", "other"),
    [
        ("top_mosaic_09cm_area1.tif", "dsm_09cm_matching_area1.tif"),
        ("top_mosaic_09cm_area1.tif", "top_mosaic_09cm_area1_noBoundary.tif"),
        ("top_mosaic_09cm_area1.tif", "top_mosaic_09cm_area1.tif"),
        ("top_potsdam_2_10_RGB.tif", "dsm_potsdam_02_10.tif"),
        ("top_potsdam_2_10_RGB.tif", "top_potsdam_2_10_label.tif"),
        ("001_img.jpg", "001_gt.bmp"),
        ("image_7.tif", "label_7.png"),
        ("a.tif", "a_mask.png"),
    ],
)
def test_customary_names_match(image, other):
    found = match(paths(image, "top_mosaic_09cm_area11.tif"), paths(other))
    assert found.found == {Path(image): Path(other)}
    assert not found.orphans


def test_area1_is_not_area11():
    found = match(paths("top_mosaic_09cm_area1.tif"), paths("dsm_09cm_matching_area11.tif"))
    assert found.orphans
    assert not found.found


def test_the_same_stem_goes_before_similar_names():
    found = match(paths("a.tif", "a_img.tif"), paths("a.png", "a_gt.png"))
    assert found.found == {Path("a.tif"): Path("a.png"), Path("a_img.tif"): Path("a_gt.png")}


def test_two_candidates_are_reported_not_chosen_from():
    found = match(paths("a_img.tif"), paths("a_gt.png", "a_mask.png"))
    assert found.several == {Path("a_img.tif"): paths("a_gt.png", "a_mask.png")}
    assert not found.found


def test_one_file_for_two_orthophotos_is_given_to_neither_silently():
    found = match(paths("a_1.tif", "a_01.tif"), paths("dsm_a_1.tif", "dsm_a_01.tif"))
    assert set(found.several) == set(paths("a_1.tif", "a_01.tif"))


def test_roles_by_name():
    assert [role(Path(n)) for n in ("x_dsm.tif", "x_gt.png", "x.bmp", "x_rgb.tif")] == [
        "dsm",
        "labels",
        "labels",
        "image",
    ]
