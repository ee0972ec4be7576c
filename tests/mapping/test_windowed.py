import threading

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from tests.helpers.mapping_fakes import Collect, Identity, MemoryReader
from tsfal_geo.mapping import windowed as predict
from tsfal_geo.mapping.windowed import predict_scene


def scene(height, width, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 6, (3, height, width)).astype(np.uint8)
    return MemoryReader(image, np.ones((height, width), bool))


def run(reader, network, *, window=64, overlap=0.25, batch=4, channels=None):
    collect = Collect(*reader.valid.shape)
    predict_scene(
        reader,
        0,
        network,
        window=window,
        overlap=overlap,
        batch=batch,
        channels=channels or {"probabilities": 6},
        on_rows=collect,
    )
    assert (collect.counts == 1).all()
    return collect


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.7])
@pytest.mark.parametrize(
    "size", [(1, 1), (5, 300), (300, 5), (64, 64), (63, 65), (127, 129), (200, 331), (449, 97)]
)
def test_identity_comes_out_unshifted(size, overlap):
    reader = scene(*size)
    assert np.array_equal(run(reader, Identity(), overlap=overlap).classes(), reader.image[0])


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_batch_size_does_not_matter(batch):
    reader, network = scene(200, 331), Identity()
    assert np.array_equal(run(reader, network, batch=batch).classes(), reader.image[0])
    assert max(network.batches) <= batch


def test_strips_give_the_same_bytes(monkeypatch):
    reader, network = scene(200, 700), Stride4()
    full = run(reader, network, channels={"probabilities": 3}).layers["probabilities"]
    monkeypatch.setattr(predict, "_WIDEST", 256)
    monkeypatch.setattr(predict, "BLOCK", 32)
    cut = run(reader, network, channels={"probabilities": 3}).layers["probabilities"]
    assert np.array_equal(full, cut)


class Stride4:
    """A smooth, shift-free network at stride 4: the mean of each 4 x 4 cell."""

    def __call__(self, batch):
        return {"probabilities": avg_pool2d(batch["image"].float(), 4)}


def test_stride_4_is_the_upsampled_single_pass():
    reader = scene(200, 332)
    found = run(reader, Stride4(), channels={"probabilities": 3}).layers["probabilities"]
    cells = avg_pool2d(torch.from_numpy(reader.image)[None].float(), 4)
    expected = torch.nn.functional.interpolate(cells, scale_factor=4, mode="bilinear", align_corners=False)
    assert np.abs(found - expected[0].numpy()).max() < 1e-5


def test_several_layers_in_one_pass():
    reader = scene(130, 70)

    def network(batch):
        image = batch["image"].float()
        return {"first": image[:, :1], "last": image[:, 1:]}

    layers = run(reader, network, channels={"first": 1, "last": 2}).layers
    assert np.abs(layers["first"] - reader.image[:1]).max() < 1e-5
    assert np.abs(layers["last"] - reader.image[1:]).max() < 1e-5


def test_nodata_is_not_predicted_and_costs_no_window():
    reader, network = scene(640, 320), Identity()
    reader.valid[:] = False
    reader.valid[500:520, 10:14] = True
    expected = np.where(reader.valid, reader.image[0], 255)
    assert np.array_equal(run(reader, network).classes(), expected)
    assert sum(network.batches) <= 4


def test_a_scene_of_nodata_alone():
    reader, network = scene(100, 200), Identity()
    reader.valid[:] = False
    collect = run(reader, network)
    assert not collect.valid.any() and not collect.layers and not network.batches


@pytest.mark.parametrize("overlap", [0.0, 0.25])
def test_nodata_does_not_weaken_its_neighbours(overlap):
    reader = scene(200, 200)
    reader.image[:] = 1
    reader.valid[:, 56:] = False
    reader.valid[100:] = False
    found = run(reader, Stride4(), overlap=overlap, channels={"probabilities": 3}).layers["probabilities"]
    assert np.abs(found[:, reader.valid] - 1).max() < 1e-5


def test_each_pixel_is_read_once_and_rows_come_in_small_blocks():
    reader = scene(700, 300)
    collect = run(reader, Identity())
    assert (reader.reads == 1).all()
    assert collect.tallest <= 64


def test_a_failing_network_stops_the_reading_thread():
    def broken(batch):
        raise RuntimeError("out of memory")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="out of memory"):
        run(scene(700, 300), broken)
    assert threading.active_count() == before


def test_a_failing_read_is_raised():
    reader = scene(700, 300)
    read = reader.read

    def broken(window):
        if window.y > 300:
            raise OSError("block 3 is damaged")
        return read(window)

    reader.read = broken
    with pytest.raises(OSError, match="block 3"):
        run(reader, Identity())


def test_progress_ends_at_one():
    reader, shares = scene(300, 200), []
    predict_scene(
        reader,
        0,
        Identity(),
        window=64,
        overlap=0.25,
        batch=2,
        channels={"probabilities": 6},
        on_rows=lambda rows: None,
        progress=shares.append,
    )
    assert shares == sorted(shares) and shares[-1] == 1.0
