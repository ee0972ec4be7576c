"""Training step and inference of one network: as the libraries write it against ours, by precision.

    python benchmarks/step.py [--encoder mobilenet_v2] [--size 512] [--batch 2] [--rounds 5]

Sides are interleaved; CPU seconds (process time, all threads) are the median over rounds, the ratio is the
median of each round's ratio to the first line. Outputs are checked to be the same before anything is timed.
"""

import argparse
import copy
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from unittest import mock

import torch
from torch import Tensor, nn

from tsfal_geo.config import ModelConfig
from tsfal_geo.models.emd import ErrorMaskDecoder, emd_loss
from tsfal_geo.models.layers import ByteDropout
from tsfal_geo.models.segmenter import Segmenter, build_segmenter

CLASSES = 6

Sides = Mapping[str, Callable[[], object]]


def plain_segmenter(cfg: ModelConfig) -> Segmenter:
    """Dilated convolutions and dropout as the libraries have them."""
    with mock.patch("tsfal_geo.models.encoders.phased_runs", return_value=[]):
        network = build_segmenter(cfg, 3, CLASSES, seed=0)
    for module in network.modules():
        if isinstance(module, ByteDropout):
            module.__class__ = nn.Dropout  # type: ignore[assignment]
    return network


def train_step(network: nn.Module, images: Tensor, truth: Tensor, bf16: bool) -> None:
    network.train()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
        loss = nn.functional.cross_entropy(network(images).logits, truth)
    torch.autograd.backward(loss)


def inference(network: nn.Module, images: Tensor, truth: Tensor, bf16: bool) -> None:
    network.eval()
    with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
        network(images)


def emd_step(decoder: nn.Module, inputs: Sequence[Tensor], truth: Tensor, bf16: bool) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = emd_loss(decoder(*inputs), truth == 0, truth < CLASSES)
    torch.autograd.backward(loss)


def interleave(sides: Sides, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each side per round, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            start = time.process_time()
            side()
            if turn:
                seconds[name].append(time.process_time() - start)
    return seconds


def report(title: str, sides: Sides, rounds: int) -> None:
    seconds = interleave(sides, rounds)
    first = next(iter(seconds.values()))
    print(f"\n| {title} | CPU s | ratio |\n|---|---|---|")
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(values, first, strict=True))
        print(f"| {name} | {statistics.median(values):.2f} | {ratio:.2f} |", flush=True)


def networks(cfg: ModelConfig, images: Tensor) -> dict[str, tuple[nn.Module, bool]]:
    ours, plain = build_segmenter(cfg, 3, CLASSES, seed=0), plain_segmenter(cfg)
    plain.load_state_dict(ours.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images).logits, plain.eval()(images).logits)
    last = {"memory_format": torch.channels_last}
    return {
        "libraries', fp32": (plain, False),
        "libraries', fp32, channels last": (copy.deepcopy(plain).to(**last), False),
        "libraries', bf16, channels last": (copy.deepcopy(plain).to(**last), True),
        "ours, fp32, channels last": (copy.deepcopy(ours).to(**last), False),
        "ours, bf16, channels last": (ours.to(**last), True),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="mobilenet_v2")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{options}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    images = torch.randn(options.batch, 3, options.size, options.size)
    truth = torch.randint(0, CLASSES, (options.batch, options.size // 4, options.size // 4))
    cfg = ModelConfig(encoder=options.encoder, weights=None)
    sides = networks(cfg, images)
    for title, function in (("training step", train_step), ("inference", inference)):
        calls: dict[str, Callable[[], object]] = {}
        for name, (network, bf16) in sides.items():
            layout = torch.channels_last if "last" in name else torch.contiguous_format
            x = images.contiguous(memory_format=layout)
            calls[name] = partial(function, network, x, truth, bf16)
        report(f"{options.encoder}: {title}", calls, options.rounds)
    grid = options.size // 4
    inputs = [torch.rand(options.batch, 256, n, n, dtype=torch.bfloat16) for n in (grid // 4, grid)]
    inputs.append(torch.rand(options.batch, CLASSES, grid, grid, dtype=torch.bfloat16))
    decoders = {f"first layer {k}×{k}": ErrorMaskDecoder(CLASSES, first_kernel=k) for k in (3, 1)}
    calls = {name: partial(emd_step, decoder, inputs, truth, True) for name, decoder in decoders.items()}
    report("error mask decoder: training step, bf16", calls, options.rounds)


if __name__ == "__main__":
    main()
