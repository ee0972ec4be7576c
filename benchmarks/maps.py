"""Wall-to-wall maps: memory, seams, time beside the network alone and beside other pipelines.

``python benchmarks/maps.py memory``   peak memory over the raster's area, a process each, 1 × 1 network
``python benchmarks/maps.py memory-scene``  the same in one piece over width and height, MobileNetV2
``python benchmarks/maps.py seams``    maps against one pass over the raster; ``--model FOLDER``
``python benchmarks/maps.py network``  export against the network alone on windows that are in memory
``python benchmarks/maps.py peers``    torchgeo's gridded sampler and a stitched array, the same windows and
                                       network; ``--geoai PYTHON`` adds geoai from an environment of its own
``python benchmarks/maps.py dask``     wall time of an export on one process, one worker and two

Without a name: all but dask. Sides of one process run in turns; figures but dask's are medians of CPU time,
as wall times suffer from whatever else the machine does. Rasters are written into a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from chips import write_raster
from common.divided import divided
from common.load import load
from common.networks import (
    BATCH,
    OVERLAP,
    STATISTICS,
    WINDOW,
    mobilenet,
    mobilenet_both_ways,
    model_card,
    one_by_one,
)
from common.rasters import classes_of, write_sparse, write_town
from peers import torchgeo_side
from torch.nn.functional import interpolate

from tsfal_geo.classes import VAIHINGEN, ClassMap
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.inference.compute import Compute, choose_compute
from tsfal_geo.inference.network import Network, make_predict_fn
from tsfal_geo.inference.rows.model import row_model
from tsfal_geo.mapping.outputs.rasters import export_scene
from tsfal_geo.mapping.scene import Settings, map_scene
from tsfal_geo.mapping.windowed import LayerRows
from tsfal_geo.models.head import ImageMean, LocalMean
from tsfal_geo.models.io import load_model
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.stats import Normalisation

EVERYTHING = ("memory", "memory-scene", "seams", "network", "peers")


def export(folder: Path, network: Network, out: Path) -> Path:
    """Export the only scene of a folder: in one piece where the network allows it, else by windows."""
    reader = SceneReader(discover(folder), None, False)
    window = None if network.rows is not None else WINDOW
    return export_scene(reader, 0, network, out, Settings(window, OVERLAP, BATCH)).classes


def memory(options: argparse.Namespace) -> None:
    """Peak memory of one export a process, over sparse rasters."""
    measure_memory("one", ((10_000, 10_000), (20_000, 20_000), (40_000, 20_000)))


def memory_scene(options: argparse.Namespace) -> None:
    """The same in one piece with DeepLabv3+ on MobileNetV2, whose layers hold rows."""
    measure_memory("one-scene", ((10_000, 768), (20_000, 768), (10_000, 3_000)))


def measure_memory(command: str, sizes: Sequence[tuple[int, int]]) -> None:
    """A table of one process a size."""
    print("\n| raster (width × height) | peak MB | before, MB | Mpx per CPU-s, COG included |\n|-|-:|-:|-:|")
    for width, height in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write_sparse(Path(folder) / "town.tif", width, height)
            run = subprocess.run(
                [sys.executable, __file__, command, "--folder", folder], check=True, capture_output=True
            )
        found = json.loads(run.stdout.splitlines()[-1])
        rate = width * height / 1e6 / found["cpu"]
        print(
            f"| {width} × {height} | {found['peak']:.0f} | {found['before']:.0f} | {rate:.1f} |", flush=True
        )


def one(options: argparse.Namespace) -> None:
    """One export, and what it took."""
    torch.set_num_threads(1)
    scene = options.what == "one-scene"
    network = mobilenet_both_ways(choose_compute()) if scene else one_by_one(False)
    before, cpu = peak(), time.process_time()
    export(options.folder, network, options.folder / "maps")
    print(json.dumps({"before": before, "peak": peak(), "cpu": time.process_time() - cpu}))


def seams(options: argparse.Namespace) -> None:
    """Probabilities and classes of the map against the same network on the raster at once.

    ``scene`` is compared with the network whose image pooling averages over a chip's surroundings, which is
    what it computes; windows with the network as it was trained, which averages over all that it is given.
    """
    size, float32 = options.size, Compute(torch.device("cpu"), None)
    torch.set_num_threads(1)
    segmenter, card = mobilenet(), model_card()
    if options.model:
        segmenter, card = load_model(options.model)
    statistics, classes = Normalisation.from_dict(card.normalisation), ClassMap.from_specs(card.classes)
    rows = row_model(segmenter, Normaliser(statistics), float32, card.chip_size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_town(folder / "town.tif", size)
        reader = SceneReader(discover(folder), None, False)
        patch = reader.read(Window(0, 0, 0, size, size))
        image = {"image": torch.from_numpy(patch.image)[None], "valid": torch.from_numpy(patch.valid)[None]}
        print("\n| window, overlap | largest difference of probabilities | mean | class map differs |")
        print("|-|-:|-:|-:|")
        local = LocalMean(card.chip_size // segmenter.encoder.stride // 2 * 2 + 1)
        for window, mean in ((None, local), (512, ImageMean())):
            segmenter.head.aspp.mean = mean  # type: ignore[method-assign]
            predict = make_predict_fn(segmenter, Normaliser(statistics), float32)
            single = interpolate(predict(image)["probabilities"], scale_factor=4, mode="bilinear")[0].numpy()
            streamed = mapped(reader, Network(predict, card, classes, rows=rows), window, single.shape)
            gap = np.abs(streamed - single)
            differ = (streamed.argmax(0) != single.argmax(0)).mean()
            name = "scene" if window is None else f"{window}, {OVERLAP}"
            print(f"| {name} | {gap.max():.2g} | {gap.mean():.2g} | {differ:.4%} |", flush=True)


def mapped(reader: SceneReader, network: Network, window: int | None, shape: tuple[int, ...]) -> np.ndarray:
    """The probabilities of a scene's map, (C, h, w)."""
    found = np.zeros(shape, np.float32)

    def collect(rows: LayerRows) -> None:
        values = rows.layers["probabilities"].numpy()
        height, width = values.shape[1:]
        found[:, rows.y : rows.y + height, rows.x : rows.x + width] = values

    map_scene(reader, 0, network, Settings(window, OVERLAP, 1), collect)
    return found


def network(options: argparse.Namespace) -> None:
    """CPU time of exports beside that of the network on the same number of pixels in memory, each once."""
    torch.set_num_threads(1)
    segmenter, normaliser, compute = mobilenet(), Normaliser(STATISTICS), choose_compute()
    predict = make_predict_fn(segmenter, normaliser, compute)
    rows = row_model(segmenter, normaliser, compute, WINDOW)
    assert rows is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_raster(folder / "town.tif", options.size)
        reader = SceneReader(discover(folder), None, False)
        patch = reader.read(Window(0, 0, 0, WINDOW, WINDOW))
        batch = {
            "image": torch.from_numpy(patch.image)[None].repeat(BATCH, 1, 1, 1),
            "valid": torch.from_numpy(patch.valid)[None].repeat(BATCH, 1, 1),
        }
        scene = reader.read(Window(0, 0, 0, options.size, options.size))
        band = {"image": torch.from_numpy(scene.image)[None], "valid": torch.from_numpy(scene.valid)[None]}

        def alone() -> None:
            for _ in range(options.size**2 // (BATCH * WINDOW**2)):
                predict(batch)

        def alone_by_rows() -> None:
            stream, step = rows.network.start(), 2**18 // options.size // 32 * 32
            for y in range(0, options.size, step):
                part = {name: values[..., y : y + step, :] for name, values in band.items()}
                for _ in stream.push(rows.prepare(part), y + step >= options.size):
                    pass

        def exported(window: int | None) -> Callable[[], object]:
            made = Network(predict, model_card(), VAIHINGEN, rows=rows)
            return lambda: export_scene(reader, 0, made, folder / "maps", Settings(window, OVERLAP, BATCH))

        sides = {
            "network alone, windows of 512 in memory, none overlap": alone,
            "the same network by rows, in memory": alone_by_rows,
            "export, scene": exported(None),
            "export, windows of 512, overlap 0.25": exported(WINDOW),
        }
        times = in_turns(sides, options.rounds)
    base = times[next(iter(times))]
    print(f"\n{options.size}² pixels; medians of {options.rounds}; {load()}\n")
    print("| side | CPU s | ratio |\n|-|-:|-:|")
    for side, seconds in times.items():
        print(f"| {side} | {seconds:.1f} | {seconds / base:.2f} |")


def peers(options: argparse.Namespace) -> None:
    """Mpx per CPU-second with a 1 × 1 network: the same windows, blended, argmax, a GeoTIFF of classes."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_raster(folder / "town.tif", options.size)
        sides = {
            "tsfal-geo, windows": lambda: export(folder, one_by_one(False), folder / "maps"),
            "tsfal-geo, in one piece": lambda: export(folder, one_by_one(True), folder / "one-piece"),
            "torchgeo": lambda: torchgeo_side.pipeline(folder / "town.tif", folder / "maps" / "torchgeo.tif"),
        }
        times = in_turns(sides, options.rounds)
        ours = classes_of(folder / "maps" / "town.tif")
        same = {
            name: (ours == classes_of(path)).mean()
            for name, path in {
                "in one piece": folder / "one-piece" / "town.tif",
                "torchgeo": folder / "maps" / "torchgeo.tif",
            }.items()
        }
        if options.geoai:
            script = Path(__file__).parent / "peers" / "geoai_side.py"
            command = [options.geoai, script, folder / "town.tif", folder / "maps" / "geoai.tif"]
            found = [
                subprocess.run(command, capture_output=True, text=True, check=True)
                for _ in range(options.rounds)
            ]
            times["geoai"] = statistics.median(float(run.stdout.split()[-1]) for run in found)
    agreed = ", ".join(f"{name} {share:.4%}" for name, share in same.items())
    print(f"\n{options.size}² × 3 uint8; medians of {options.rounds}; {load()}")
    print(f"The same class as by windows: {agreed}\n")
    print("| side | Mpx per CPU-s | windows are faster by | in one piece |\n|-|-:|-:|-:|")
    for side, seconds in times.items():
        ratios = " | ".join(
            f"{seconds / times[f'tsfal-geo, {name}']:.1f} ×" for name in ("windows", "in one piece")
        )
        print(f"| {side} | {options.size**2 / 1e6 / seconds:.2f} | {ratios} |")


def in_turns(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each side, run A B A B; the first round warms up."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side, run in sides.items():
            start = time.process_time()
            run()
            if number:
                times[side].append(time.process_time() - start)
    return {side: statistics.median(values) for side, values in times.items()}


def peak() -> float:
    """Peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = {
        "memory": memory,
        "memory-scene": memory_scene,
        "seams": seams,
        "network": network,
        "peers": peers,
        "dask": divided,
        "one": one,
        "one-scene": one,
    }
    parser.add_argument("what", nargs="?", choices=list(commands))
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, default=4096, help="pixels a side, for network and peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", type=Path, help="seams: folder of a trained model with three bands")
    parser.add_argument("--geoai", help="Python of an environment with geoai")
    options = parser.parse_args()
    for name in [options.what] if options.what else EVERYTHING:
        commands[name](options)


if __name__ == "__main__":
    main()
