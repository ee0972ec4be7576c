"""geoai's side of ``maps.py peers``, run by the Python of an environment with geoai: SOURCE TARGET.

The same 1 × 1 network, window and overlap; classes instead of probabilities are written, as geoai's own
postprocessing allows. Prints CPU seconds of the second of two runs.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from geoai.inference import predict_geotiff


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 1), torch.nn.Softmax(1))
    for _ in range(2):
        start = time.process_time()
        predict_geotiff(
            network,
            sys.argv[1],
            sys.argv[2],
            tile_size=512,
            overlap=128,
            batch_size=4,
            num_classes=6,
            output_dtype="uint8",
            output_nodata=255,
            postprocess_fn=lambda scores: scores.argmax(0, keepdims=True).astype(np.uint8),
            device="cpu",
            verbose=False,
        )
        seconds = time.process_time() - start
    print(seconds)


if __name__ == "__main__":
    main()
