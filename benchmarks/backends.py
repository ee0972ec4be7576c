"""Runtimes of a network on windows in memory, in turns in one process: Mpx per CPU second.

``python benchmarks/backends.py``  PyTorch, OpenVINO and ONNX Runtime, MobileNetV2 and ResNet-18, float32 and,
                                   where the CPU has it, bfloat16; one thread

Medians of CPU time. The conversion's CPU seconds stand beside them: a map must save more than that.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from common.load import load
from common.networks import BATCH, CLASSES, WINDOW, model_card

from tsfal_geo.config import ModelConfig
from tsfal_geo.inference.backends import ONNX, OPENVINO, PYTORCH
from tsfal_geo.inference.compute import Compute, choose_compute
from tsfal_geo.inference.network import open_network
from tsfal_geo.models.io import save_model
from tsfal_geo.models.segmenter import build_segmenter

CPU = torch.device("cpu")


def measure(encoder: str, rounds: int) -> None:
    """Print a table row for each runtime and number type."""
    config = ModelConfig(encoder=encoder, weights=None)
    card = model_card().model_copy(update={"model": config})
    segmenter = build_segmenter(config, 3, CLASSES, seed=0)
    torch.manual_seed(0)
    torch.nn.init.normal_(segmenter.head.classifier.weight, std=0.3)
    assert segmenter.head.classifier.bias is not None
    torch.nn.init.normal_(segmenter.head.classifier.bias, std=0.3)
    dtypes = dict.fromkeys([None, choose_compute().dtype])
    sides = [(b, d) for d in dtypes for b in (PYTORCH, OPENVINO, ONNX) if d is None or b != ONNX]
    networks, opening = [], []
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), segmenter, card)
        for backend, dtype in sides:
            start = time.process_time()
            networks.append(open_network(Path(folder), Compute(CPU, dtype), backend=backend))
            opening.append(time.process_time() - start)
    image = torch.nn.functional.interpolate(torch.rand(BATCH, 3, 32, 32) * 255, (WINDOW, WINDOW))
    batch = {"image": image.to(torch.uint8), "valid": torch.ones(BATCH, WINDOW, WINDOW, dtype=torch.bool)}
    classes = [network.predict(batch)["probabilities"].argmax(1) for network in networks]
    seconds: list[list[float]] = [[] for _ in networks]
    for _ in range(rounds):
        for network, times in zip(networks, seconds, strict=True):
            start = time.process_time()
            network.predict(batch)
            times.append(time.process_time() - start)
    for network, times, found, opened in zip(networks, seconds, classes, opening, strict=True):
        rate = BATCH * WINDOW**2 / 1e6 / statistics.median(times)
        other = (found != classes[0]).float().mean().item()
        print(f"| {encoder} | {network.runtime} | {rate:.2f} | {other:.2%} | {opened:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(load())
    print("| encoder | runtime | Mpx per CPU second | other classes | CPU seconds to open |")
    print("|---|---|---:|---:|---:|")
    for encoder in ("mobilenet_v2", "resnet18"):
        measure(encoder, options.rounds)


if __name__ == "__main__":
    main()
