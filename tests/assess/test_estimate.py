import numpy as np
import pytest

from tsfal_geo.assess.design import allocate, sample_size
from tsfal_geo.assess.estimate import Sample, estimate
from tsfal_geo.errors import LabelError

# The worked example of Olofsson et al. (2014), Tables 8 and 9; Landsat pixels of 0.09 ha.
NAMES = ("deforestation", "forest gain", "stable forest", "stable non-forest")
MATRIX = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
MAPPED = np.array([200_000, 150_000, 3_200_000, 6_450_000])
PROPORTIONS = [
    [0.0176, 0, 0.0013, 0.0011],
    [0, 0.0110, 0.0016, 0.0024],
    [0.0019, 0, 0.2967, 0.0213],
    [0.0040, 0.0020, 0.0179, 0.6212],
]


def expand(matrix):
    mapped, reference = np.indices(matrix.shape).reshape(2, -1)
    return np.repeat(mapped, matrix.ravel()), np.repeat(reference, matrix.ravel())


@pytest.fixture(scope="module")
def paper():
    mapped, reference = expand(MATRIX)
    return estimate(Sample(MAPPED, mapped, mapped, reference), NAMES)


def test_the_papers_accuracies(paper):
    assert round(paper.overall.value, 2) == 0.95 and round(paper.overall.half, 2) == 0.02
    assert [round(c.users.value, 2) for c in paper.classes] == [0.88, 0.73, 0.93, 0.96]
    assert [round(c.users.half, 2) for c in paper.classes] == [0.07, 0.10, 0.04, 0.02]
    assert [round(c.producers.value, 2) for c in paper.classes] == [0.75, 0.85, 0.93, 0.96]
    assert round(paper.classes[0].producers.half, 2) == 0.21
    assert round(paper.classes[2].producers.half, 2) == 0.03
    assert np.array_equal(paper.counts, MATRIX)
    assert np.abs(paper.proportions - PROPORTIONS).max() < 1e-4


def test_the_papers_areas(paper):
    hectares = 0.09 * MAPPED.sum()
    estimated = [c.area.scaled(hectares) for c in paper.classes]
    assert [v.value for v in estimated] == pytest.approx([21_158, 11_686, 285_770, 581_386], abs=10)
    assert [v.half for v in estimated] == pytest.approx([6_158, 3_756, 15_510, 16_282], abs=10)
    assert [c.mapped.value for c in paper.classes] == pytest.approx(MAPPED / MAPPED.sum())


def test_the_papers_sample_size():
    expected = np.array([0.7, 0.6, 0.9, 0.95])
    assert sample_size(MAPPED, expected, 0.01) == 641
    assert allocate(MAPPED, 641, 75).tolist()[:2] == [75, 75]
    assert abs(allocate(MAPPED, 641, 75).sum() - 641) <= 1


def test_f1_and_iou_agree_with_the_proportions(paper):
    p = paper.proportions
    for index, item in enumerate(paper.classes):
        both, either = p[index, index], p[index].sum() + p[:, index].sum()
        assert item.iou.value == pytest.approx(both / (either - both))
        assert item.f1.value == pytest.approx(2 * both / either)
        assert item.iou.error > 0


def test_intervals_cover_the_truth_also_of_a_map_that_changed_since():
    """Strata are an old map's classes; the estimates are about another map."""
    rng = np.random.default_rng(0)
    reference = rng.choice(3, 60_000, p=[0.7, 0.25, 0.05])
    strata, mapped = (
        np.where(rng.random(60_000) < q, reference, rng.integers(0, 3, 60_000)) for q in (0.6, 0.8)
    )
    sizes = np.bincount(strata)
    of = [np.flatnonzero(strata == h) for h in range(3)]
    truth = {"users": (mapped == reference)[mapped == 2].mean(), "area": (reference == 2).mean()}
    covered = {"users": 0, "area": 0}
    for _ in range(300):
        drawn = np.concatenate([rng.choice(own, 60, replace=False) for own in of])
        found = estimate(Sample(sizes, strata[drawn], mapped[drawn], reference[drawn]), "abc").classes[2]
        for key, value in truth.items():
            covered[key] += abs(getattr(found, key).value - value) <= getattr(found, key).half
    assert all(0.88 < count / 300 <= 1 for count in covered.values()), covered


def test_a_stratum_without_answers_is_an_error_and_an_absent_class_is_not():
    mapped, reference = np.array([0, 0, 0]), np.array([0, 0, 1])
    with pytest.raises(LabelError, match="'b' has 0 answered"):
        Sample([10, 5, 0], mapped, mapped, reference, "abc")
    found = estimate(Sample([10, 0, 0], mapped, mapped, reference), "abc")
    assert found.to_json()["classes"][2]["users"]["value"] is None
    assert found.classes[1].producers.value == 0


@pytest.mark.parametrize(
    ("pixels", "total", "minimum", "expected"),
    [
        ([1000, 1000], 100, 10, [50, 50]),
        ([9900, 100], 100, 10, [90, 10]),
        ([9900, 100, 0], 100, 10, [90, 10, 0]),
        ([9900, 4], 100, 10, [90, 4]),
        ([50, 50], 1000, 10, [50, 50]),
        ([100, 100, 100], 5, 10, [10, 10, 10]),
    ],
)
def test_allocation(pixels, total, minimum, expected):
    assert allocate(np.array(pixels), total, minimum).tolist() == expected
