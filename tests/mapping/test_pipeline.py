import numpy as np
import pytest

from tsfal_geo.mapping.pipeline import TileRows


@pytest.mark.parametrize("height", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("step", [1, 10, 64, 150])
def test_blocks_are_complete_rows_of_tiles(height, step):
    source = np.random.default_rng(0).integers(0, 255, (height, 50)).astype(np.uint8)
    found, blocks = np.zeros_like(source), []

    def write(y, x, block):
        blocks.append((y, len(block)))
        found[y : y + len(block), x : x + block.shape[1]] = block

    with TileRows(write, height, 64) as rows:
        for x0, x1 in ((0, 32), (32, 50)):
            for y in range(0, height, step):
                rows.add(y, x0, source[y : y + step, x0:x1])
    assert np.array_equal(found, source)
    assert all(y % 64 == 0 and count == min(64, height - y) for y, count in blocks)
    assert len(blocks) == 2 * -(-height // 64)


def test_a_failing_disk_raises():
    def write(y, x, block):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"), TileRows(write, 640, 64) as rows:
        rows.add(0, 0, np.zeros((640, 8), np.uint8))


def test_after_an_error_nothing_more_is_written():
    blocks = []

    def write(y, x, block):
        blocks.append(y)

    with pytest.raises(RuntimeError, match="network"), TileRows(write, 640, 64) as rows:
        rows.add(0, 0, np.zeros((32, 8), np.uint8))
        raise RuntimeError("network")
    assert blocks == []
