"""Samplers stay in the scenes and reach all of them; the training stream knows every step by itself."""

from collections import Counter

import numpy as np
import pytest
from torchgeo.samplers import GeoSampler

from tsfal_geo.data.dataset import OrthoDataset
from tsfal_geo.data.samplers import FixedSampler, GridChipSampler, RandomChipSampler, Stream
from tsfal_geo.raster.chips import scene_chips
from tsfal_geo.raster.reader import SceneReader


def dataset_of(*scenes):
    return OrthoDataset(SceneReader(scenes, None, False), None, scene_chips(scenes, 64, "pad"))


def test_grid_sampler_gives_every_chip_once_in_order(make_scene):
    dataset = dataset_of(make_scene("a"), make_scene("b"))
    sampler = GridChipSampler(dataset)
    assert isinstance(sampler, GeoSampler)
    assert tuple(query.chip for query in sampler) == dataset.chips
    assert len(sampler) == len(dataset.chips) == 2 * 3 * 4


def test_random_windows_reach_every_pixel_and_never_leave(make_scene):
    scene = make_scene(shape=(70, 68))
    hits = np.zeros(scene.shape, dtype=int)
    for query in RandomChipSampler(dataset_of(scene), size=64, length=600):
        chip = query.chip
        assert 0 <= chip.y <= 70 - 64 and 0 <= chip.x <= 68 - 64
        hits[chip.y : chip.y + 64, chip.x : chip.x + 64] += 1
    assert hits.min() > 0


def test_random_scenes_are_drawn_by_area(make_scene):
    dataset = dataset_of(make_scene("large", shape=(200, 300)), make_scene("small", shape=(100, 200)))
    drawn = Counter(query.chip.scene for query in RandomChipSampler(dataset, size=64, length=4000))
    assert drawn[0] / 4000 == pytest.approx(0.75, abs=0.03)


def test_random_chip_of_a_small_scene_is_padded(make_scene):
    dataset = dataset_of(make_scene(shape=(40, 100)))
    for query in RandomChipSampler(dataset, size=64, length=20):
        assert query.chip.y == 0
        assert dataset[query]["valid"].sum() == 40 * 64


def test_random_epochs_differ_and_repeat_by_seed(make_scene):
    dataset = dataset_of(make_scene())

    def chips(sampler):
        return [query.chip for query in sampler]

    sampler = RandomChipSampler(dataset, size=64, length=20, seed=3)
    first, second = chips(sampler), chips(sampler)
    assert first != second
    sampler.set_epoch(1)
    assert chips(sampler) == second
    assert chips(RandomChipSampler(dataset, size=64, length=20, seed=3)) == first
    assert chips(RandomChipSampler(dataset, size=64, length=20, seed=4)) != first


@pytest.mark.parametrize("world", [1, 3])
def test_stream_gives_every_item_once_an_epoch_over_all_ranks(world):
    ranks = [Stream("unlabelled", count=24, batch=2, seed=5, rank=rank, world=world) for rank in range(world)]
    steps = 24 // (2 * world)
    for epoch in range(3):
        drawn = [i for rank in ranks for k in range(steps) for i in rank.indices(epoch * steps + k)]
        assert sorted(drawn) == list(range(24))


def test_ranks_together_walk_like_one_rank_with_a_larger_batch():
    single = Stream("labelled", count=7, batch=4, seed=1)
    double = [Stream("labelled", count=7, batch=2, seed=1, rank=rank, world=2) for rank in range(2)]
    for step in range(20):
        assert single.indices(step) == double[0].indices(step) + double[1].indices(step)


def test_a_stream_by_shares_meets_items_as_often_as_their_shares_say():
    shares = (1.0, 0.05, 0.5, 1.0, 0.21, 0.004, 0.8)
    stream = Stream("labelled", count=7, batch=1, seed=2, shares=shares)
    assert stream.length == 3
    epochs = [[stream.indices(3 * e + k)[0] for k in range(3)] for e in range(6000)]
    assert all(len(set(epoch)) == 3 for epoch in epochs)
    met = np.bincount(np.concatenate(epochs), minlength=7) / 6000
    assert met == pytest.approx(np.array(shares) * 3 / sum(shares), abs=0.02)
    assert met[5] > 0


def test_a_stream_by_shares_is_the_plain_order_where_all_shares_are_one_and_is_split_over_ranks_alike():
    plain, shared = (Stream("labelled", 9, 4, 1, shares=shares) for shares in (None, (1.0,) * 9))
    assert [plain.indices(step) for step in range(20)] == [shared.indices(step) for step in range(20)]
    shares = tuple(np.linspace(0.1, 1, 9))
    single = Stream("labelled", 9, 4, 1, shares=shares)
    double = [Stream("labelled", 9, 2, 1, rank, 2, shares) for rank in range(2)]
    for step in range(20):
        assert single.indices(step) == double[0].indices(step) + double[1].indices(step)


def test_a_stream_of_few_labels_has_epochs_of_one():
    stream = Stream("labelled", count=3, batch=2, seed=0, shares=(0.1, 0.2, 0.1))
    met = np.bincount([i for step in range(3000) for i in stream.indices(step)], minlength=3) / 6000
    assert met == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_streams_differ_by_name_seed_and_epoch():
    def order(name="labelled", seed=0, epoch=0):
        stream = Stream(name, count=50, batch=50, seed=seed)
        return stream.indices(epoch)

    assert order() == order()
    assert order() != order(name="unlabelled")
    assert order() != order(seed=1)
    assert order() != order(epoch=1)


def test_item_seeds_are_distinct_over_steps_ranks_parts_and_items():
    streams = [
        Stream(name, count=9, batch=2, seed=0, rank=rank, world=2)
        for name in ("labelled", "held_out")
        for rank in (0, 1)
    ]
    seeds = [seed for stream in streams for step in range(50) for seed in stream.seeds(step)]
    assert len(set(seeds)) == len(seeds) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_fixed_sampler_counts_the_steps_done():
    sampler = FixedSampler(range(6, 10), length=10)
    assert list(sampler) == [6, 7, 8, 9]
    assert len(sampler) == 10
