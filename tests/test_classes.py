import numpy as np
import pytest

from tsfal_geo.classes import VAIHINGEN, ClassInfo, ClassMap, distinct_colours
from tsfal_geo.errors import ConfigError

ODD_IDS = ClassMap((ClassInfo(7, "road", (1, 2, 3)), ClassInfo(0, "roof", (4, 5, 6))))


def test_luts_are_inverse_and_keep_ignore():
    to_index, to_ids = ODD_IDS.lut_ids_to_index(), ODD_IDS.lut_index_to_ids()
    assert to_index[[7, 0, 255]].tolist() == [0, 1, 255]
    assert (np.delete(to_index, [0, 7, 255]) == -1).all()
    assert to_ids[[0, 1]].tolist() == [7, 0]
    assert (to_ids[2:] == 255).all()


def test_vaihingen_is_in_the_papers_order():
    assert VAIHINGEN.names[:2] == ("impervious surfaces", "building")
    assert VAIHINGEN.colours[4].tolist() == [255, 255, 0]
    assert VAIHINGEN.index_of_name("clutter") == 5


def test_ids_that_are_ignored_are_no_classes():
    assert ODD_IDS.ignoring((7, 11)) == ClassMap((ClassInfo(0, "roof", (4, 5, 6)),), ignore_ids=(7, 11))
    assert ODD_IDS.ignoring((7, 11)).lut_ids_to_index()[[0, 7, 11, 12, 255]].tolist() == [
        0,
        255,
        255,
        -1,
        255,
    ]
    with pytest.raises(ConfigError, match="id 7 twice"):
        ClassMap(ODD_IDS.classes, ignore_ids=(7,))


def test_json_and_specs_round_trip():
    assert ClassMap.from_json(ODD_IDS.to_json()) == ODD_IDS
    assert ClassMap.from_specs(ODD_IDS.to_specs()) == ODD_IDS


@pytest.mark.parametrize(
    "classes",
    [
        (),
        (ClassInfo(1, "a", (0, 0, 1)), ClassInfo(1, "b", (0, 0, 2))),
        (ClassInfo(1, "a", (0, 0, 1)), ClassInfo(2, "a", (0, 0, 2))),
        (ClassInfo(1, "a", (0, 0, 1)), ClassInfo(2, "b", (0, 0, 1))),
        (ClassInfo(255, "a", (0, 0, 1)),),
        (ClassInfo(1, "a", (0, 0, 256)),),
    ],
    ids=["empty", "id twice", "name twice", "colour twice", "id 255", "colour 256"],
)
def test_ambiguous_class_maps_are_refused(classes):
    with pytest.raises(ConfigError):
        ClassMap(classes)


def test_distinct_colours_avoid_the_given_ones():
    first = distinct_colours(40)
    assert len(set(first)) == 40
    assert not set(first) & set(distinct_colours(40, first))
