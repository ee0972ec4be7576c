import numpy as np
import pytest
import torch

from tests.helpers.mapping_fakes import Collect, Identity, MemoryReader
from tests.mapping.test_windowed import Stride4, scene
from tsfal_geo.mapping.windowed import Block, predict_scene


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads divide a tensor by its size, and the ends of their vectors round differently."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run(reader, network, block=None, channels=3):
    collect = Collect(*reader.valid.shape)
    predict_scene(
        reader, 0, network, window=64, overlap=0.3, batch=3, channels={"probabilities": channels},
        on_rows=collect, block=block,
    )  # fmt: skip
    return collect


@pytest.mark.parametrize("size", [(200, 331), (63, 300), (449, 97)])
def test_blocks_together_are_the_full_scene_to_the_byte(size):
    reader = scene(*size)
    reader.valid[40:130, 20:90] = False
    full = run(reader, Stride4()).layers["probabilities"]
    counts = np.zeros(size, int)
    for y in range(0, size[0], 80):
        for x in range(0, size[1], 112):
            block = Block(y, x, min(y + 80, size[0]), min(x + 112, size[1]))
            found = run(reader, Stride4(), block)
            place = slice(block.y0, block.y1), slice(block.x0, block.x1)
            counts += found.counts
            assert (found.counts[place] == 1).all() and found.counts.sum() == found.counts[place].size
            assert np.array_equal(found.valid[place], reader.valid[place])
            if "probabilities" in found.layers:
                valid = reader.valid[place]
                assert np.array_equal(
                    found.layers["probabilities"][:, *place][:, valid], full[:, *place][:, valid]
                )
    assert (counts == 1).all()


def test_a_block_far_down_reads_no_more_than_it_needs():
    reader = scene(4000, 200)
    run(reader, Identity(), Block(3200, 64, 3264, 128), channels=6)
    rows, columns = np.nonzero(reader.reads)
    assert rows.min() >= 3200 - 68 and rows.max() < 3264 + 68
    assert columns.min() == 0 and columns.max() < 128 + 68


def test_a_block_without_data_costs_nothing():
    reader = MemoryReader(np.zeros((3, 300, 300), np.uint8), np.zeros((300, 300), bool))
    network = Identity()
    found = run(reader, network, Block(128, 128, 256, 256), channels=6)
    assert not network.batches and not found.layers
