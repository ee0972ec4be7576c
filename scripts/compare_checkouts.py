"""Prove that a change keeps every output: run two checkouts alike on the CPU and compare all that they write.

    .venv/bin/python scripts/compare_checkouts.py A B [--quick | --all] [--case NAME] [--keep DIR]

Every case trains on small rasters cut from A's ``sample_tiles``. The script uses the command line of each
checkout (``A/.venv/bin/tsfal-geo``) and never its modules, which may be renamed at will. Both sides run in a
folder of the same path, with one thread. The script ignores moments in time, digests of them, seconds,
process ids and sentences for people; everything else has to be equal, most files byte by byte.

The exit code is 0 if all is equal, 1 if something differs, 2 if a command fails.
"""

from __future__ import annotations

import argparse
import fcntl
import fnmatch
import hashlib
import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from subprocess import DEVNULL, PIPE, check_output, run
from typing import Any, NoReturn

import numpy as np
import rasterio
from rasterio.windows import Window
from safetensors.numpy import load_file

# One thread: sums have one order, whatever else the machine does.
_ENVIRONMENT = {
    **os.environ,
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "GDAL_NUM_THREADS"), "1"),
    **dict.fromkeys(("CUDA_VISIBLE_DEVICES", "PYTHONPATH"), ""),
}
# A moment, or the digest of a label, which covers the moment when the label was made.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?|\b[0-9a-f]{32}\b")
_RUN = re.compile(r"\d{8}T\d{6}(-\d+)?")
# TensorBoard's files hold moments in binary; metrics.csv beside them holds the same numbers.
_SKIPPED = ("*/events.out.tfevents.*", "printed/*.txt", "printed/*.err")
_CHATTER = {"hello", "progress", "log", "warning"}
# Seconds, and sentences for people.
_IGNORED_KEYS = {"seconds", "time", "message", "next"}

_TINY = (
    "data.chip_size=64 model.encoder=tu-mobilenetv2_035 model.weights=null model.decoder_convs=1 "
    "train.steps=6 train.val_every=3 train.optimiser=sgd train.lr=0.01 train.num_workers=0 "
    "train.accelerator=cpu train.precision=32-true tsf.warmup_steps=1 "
    "active.min_region=32 active.max_region=512"
)
# The error mask decoder has no say before its 20th step.
_DECODER = "train.steps=24 train.val_every=12 active.round_steps=0.25 emd.threshold=0.5"
_LAYERS = "--confidence --entropy --error-mask --probabilities --source"
_WITHOUT_JSON = ("labels export", "labels restore")


def _train(options: str, settings: str = "", raster: str = "town --oracle --labelled 0.3") -> str:
    words = " ".join(f"--set {pair}" for pair in f"{_TINY} {settings}".split())
    return f"train --raster ../{raster} --val ../val {options} {words}"


_PEOPLE = _train("--budget 0.6 --rounds 2", f"{_DECODER} preset=paper plar.confidence=0.9", "plain")
# The commands of each case, run one after another in the case's folder; the rasters' folders lie beside it.
CASES = {
    "tsf": [
        _train("--budget 0.36 --rounds 2 --dsm use", f"{_DECODER} emd.hold_out=0.2"),
        "status",
        "queries list --round 0 --all",
        "labels export now.gpkg",
        "evaluate --raster ../val",
        f"export {_LAYERS} --polygons parquet --png --preview --mosaic cog",
    ],
    "people": [
        _PEOPLE,
        "queries list",
        "labels import ../town/labels/town_1.tif --scene town_1 --author anna",
        _PEOPLE,
        "queries assign --to anna --to bert --count 2 --overlap 0.5",
        "queries list",
        "query --strategy entropy --budget 0.9",
        "labels import ../town/labels/town_4.tif --scene town_4 --author bert",
        "labels diff 1",
        "labels export coco.json --round 1",
        "labels export rasters",
        "labels restore 0",
        "labels status",
        "status",
    ],
    "cps": [
        _train(
            "--rounds 1 --method cps --strategy coreset",
            "data.edge=pad active.granularity=chips active.retrain=scratch active.descent=whole",
        ),
        f"export --raster ../val --window scene {_LAYERS} --polygons gpkg",
    ],
    "unimatch": [
        _train(
            "--rounds 1 --method unimatch --strategy vaal --dsm auto",
            "model.aux_head=true train.optimiser=adamw train.lr=0.001",
        ),
        "export --augment --network-only --mosaic vrt",
        "assess design --minimum 5 --to anna",
    ],
}
_OTHERS = (
    "supervised random, mean_teacher entropy, cutmix margin, cct qbc, gct emd, ael plar, ps_mt random, "
    "u2pl margin, unimatch_v2 coreset, deal deal_ds, deal deal_de, s4al s4al, tsf emd"
)
EXTRA = {
    other.replace(" ", "-"): [_train(f"--rounds 1 --method {other.replace(' ', ' --strategy ')}")]
    for other in _OTHERS.split(", ")
} | {"vit": [_train("--rounds 1", "model.encoder=tu-test_vit model.decoder_convs=2")]}


def main() -> None:
    """Run the cases that the arguments ask for, and end the process with the exit code."""
    parser = argparse.ArgumentParser(description="Prove that two checkouts write the same outputs.")
    argument = parser.add_argument
    argument("a", type=Path, metavar="A", help="the checkout before the change")
    argument("b", type=Path, metavar="B", help="the checkout after the change")
    argument("--quick", action="store_true", help="only the case tsf")
    argument("--all", action="store_true", help="also all other methods and strategies")
    argument("--case", action="append", choices=CASES | EXTRA, help="only this case; once for each")
    argument("--keep", type=Path, metavar="DIR", help="keep the outputs; re-use A's if A is unchanged")
    argument("--intended", action="append", default=[], metavar="GLOB", help="CASE/FILE that may differ")
    options = parser.parse_args()
    names = options.case or (["tsf"] if options.quick else [*CASES, *(EXTRA if options.all else ())])
    checkouts = options.a.resolve(), options.b.resolve()
    for checkout in checkouts:
        _check_environment(checkout)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            differing = sum(_compare_case(name, *checkouts, folder, options.intended) for name in names)
    print(f"\n{differing} files differ" if differing else "\nAll is equal.")
    sys.exit(1 if differing else 0)


def _compare_case(name: str, a: Path, b: Path, folder: Path, intended: list[str]) -> int:
    """Run a case on both sides, print a table of the files, and count those that differ unintendedly."""
    before, after, work = folder / "a" / name, folder / "b" / name, folder / "work"
    stamp, stamp_file = _stamp(a, folder), before.with_suffix(".stamp")
    begun = time.monotonic()
    if stamp is None or not stamp_file.is_file() or stamp_file.read_text() != stamp:
        stamp_file.unlink(missing_ok=True)
        _run_case(name, a, a / "sample_tiles", work, before)
        if stamp is not None:
            stamp_file.write_text(stamp)
    middle = time.monotonic()
    _run_case(name, b, a / "sample_tiles", work, after)
    print(f"\n== {name} ({middle - begun:.0f} s for A, {time.monotonic() - middle:.0f} s for B)")

    left, right = _files(before), _files(after)
    same: Counter[str] = Counter()
    differing = 0
    for file in sorted(left.keys() | right.keys()):
        found = _difference(left.get(file), right.get(file))
        if found is None:
            same[Path(file).suffix[1:] or Path(file).name] += 1
            continue
        allowed = any(fnmatch.fnmatch(f"{name}/{file}", pattern) for pattern in intended)
        differing += not allowed
        print(f"{'intended' if allowed else 'DIFFERS':9} {file}: {found}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in same.most_common())
    print(f"{'same':9} {same.total()} of {len(left.keys() | right.keys())} files: {kinds}", flush=True)
    return differing


def _check_environment(checkout: Path) -> None:
    """Stop unless ``.venv`` runs the checkout's own files; a copied one runs those it was made for."""
    words = [checkout / ".venv/bin/python", "-P", "-c", "import tsfal_geo; print(tsfal_geo.__file__)"]
    found = check_output([str(word) for word in words], env=_ENVIRONMENT, text=True).strip()
    if not Path(found).is_relative_to(checkout):
        _stop(f"{checkout}/.venv runs {found}, expected the checkout's own files; run `make setup` there")


def _stop(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(2)


def _stamp(checkout: Path, folder: Path) -> str | None:
    """The commit, the outputs' folder and this script's digest; None where changes are not committed."""
    words = ["git", "-C", str(checkout), "status", "--porcelain=v2", "--branch"]
    state = run(words, stdout=PIPE, text=True, check=False).stdout.splitlines()
    if not state or not all(line.startswith("#") for line in state):
        return None
    return f"{state[0]} {folder} {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}"


def _run_case(name: str, checkout: Path, tiles: Path, work: Path, target: Path) -> None:
    """Run the commands in ``work``, one path for both sides, then move the outputs to ``target``."""
    shutil.rmtree(work, ignore_errors=True)
    _cut_rasters(tiles, work)
    place = work / name
    (place / "printed").mkdir(parents=True)
    for number, command in enumerate((CASES | EXTRA)[name]):
        as_json = not command.startswith(_WITHOUT_JSON)
        words = [*command.split(), "--workspace", "ws", *(["--json"] if as_json else [])]
        title = f"{number:02}-{'-'.join(word for word in words[:2] if not word.startswith('-'))}"
        printed = place / "printed" / f"{title}{'.jsonl' if as_json else '.txt'}"
        errors, program = printed.with_suffix(".err"), checkout / ".venv" / "bin" / "tsfal-geo"
        begun = time.monotonic()
        with printed.open("wb") as out, errors.open("wb") as err:
            done = run([program, *words], stdin=DEVNULL, stdout=out, stderr=err, cwd=place, env=_ENVIRONMENT)
        if done.returncode:
            _stop(f"{errors.read_text()[-2000:]}\n{program} {' '.join(words)}: exit code {done.returncode}")
        print(f"{name}: {title}: {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    place.rename(target)


def _cut_rasters(tiles: Path, work: Path) -> None:
    """Cut ``town`` and ``val``, with heights and labels, from the sample tiles; ``plain`` has images."""
    for source in sorted(tiles.glob("**/town_[1456].tif")):
        kind = source.parent.name
        with rasterio.open(source) as file:
            # 192 x 256 pixels of the images; heights are coarser.
            window = Window(*(length * file.width // 1024 for length in (256, 256, 256, 192)))
            profile = {key: file.profile[key] for key in ("driver", "dtype", "count", "crs")}
            profile |= {"height": window.height, "width": window.width}
            profile["transform"] = file.window_transform(window)
            pixels, colours = file.read(window=window), file.colormap(1) if kind == "labels" else None
        target = work / ("val" if source.is_relative_to(tiles / "val") else "town") / kind / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(target, "w", **profile) as file:
            file.write(pixels)
            if colours:
                file.write_colormap(1, colours)
    shutil.copytree(work / "town" / "images", work / "plain" / "images")


def _files(folder: Path) -> dict[str, Path]:
    """The files to compare by relative name; moments in names give way to the order of the files."""
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if any(fnmatch.fnmatch(name, pattern) for pattern in _SKIPPED):
            continue
        number = 0
        while (numbered := _RUN.sub(f"run-{number}", name)) in found:
            number += 1
        found[numbered] = path
    return found


def _difference(a: Path | None, b: Path | None) -> str | None:
    """A description of the first differences; None where the files are equal."""
    if a is None or b is None:
        return f"only {'B' if a is None else 'A'} has it"
    if a.read_bytes() == b.read_bytes():
        return None
    read = _READERS.get(a.suffix)
    found = list(_changes(read(a), read(b))) if read else []
    if not found and a.suffix not in _WITH_MOMENTS:
        found = [f"bytes ({a.stat().st_size} and {b.stat().st_size})"]
    more = [f"and {len(found) - 3} more"] if len(found) > 3 else []
    return "; ".join(found[:3] + more) or None


def _changes(a: Any, b: Any, place: str = "") -> Iterator[str]:
    """Differences between nested values, with their places."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() == b.keys() and list(a) != list(b):
            yield f"{place}: the order of the keys"
        for key in [*a, *(key for key in b if key not in a)]:
            if key not in a or key not in b:
                yield f"only {'A' if key in a else 'B'} has {place}/{key}"
            elif key not in _IGNORED_KEYS:
                yield from _changes(a[key], b[key], f"{place}/{key}")
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
        if len(a) != len(b):
            yield f"{place}: {len(a)} and {len(b)} items"
        for number, (one, other) in enumerate(zip(a, b, strict=False)):
            yield from _changes(one, other, f"{place}/{number}")
    elif isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            yield f"{place}: {a.dtype} {a.shape} and {b.dtype} {b.shape}"
        elif a.tobytes() != b.tobytes():
            yield f"{place}: {np.count_nonzero(a != b)} of {a.size} values"
    elif isinstance(a, str) and isinstance(b, str):
        if _MOMENT.sub("TIME", a) != _MOMENT.sub("TIME", b):
            yield f"{place}: {a[:60]!r} and {b[:60]!r}"
    elif type(a) is not type(b) or (a != b and not (a != a and b != b)):
        yield f"{place}: {str(a)[:60]} and {str(b)[:60]}"


def _read_events(path: Path) -> list[Any]:
    """The events of a command, but for those that only tell people how it goes on."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return [event for event in events if event["event"] not in _CHATTER]


def _read_raster(path: Path) -> dict[str, Any]:
    with rasterio.open(path) as file:
        return {**file.profile, "tags": file.tags(), "descriptions": file.descriptions, "pixels": file.read()}


def _read_tables(path: Path) -> dict[str, Any]:
    """Every table of an SQLite file with its definition and its rows in their order."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        file.row_factory = sqlite3.Row
        schema = {row["name"]: row["sql"] for row in file.execute("SELECT name, sql FROM sqlite_master")}
        tables = file.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
        rows = {name: [dict(row) for row in file.execute(f'SELECT * FROM "{name}"')] for (name,) in tables}
        versions = [
            tuple(file.execute(f"PRAGMA {key}").fetchone()) for key in ("application_id", "user_version")
        ]
    return {"schema": schema, "versions": versions, **rows}


def _read_checkpoint(path: Path) -> Any:
    import torch

    return _to_arrays(torch.load(path, "cpu", weights_only=True))


def _to_arrays(value: Any) -> Any:
    """A checkpoint whose tensors are arrays."""
    if isinstance(value, dict):
        return {str(key): _to_arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_arrays(item) for item in value]
    return value.numpy() if hasattr(value, "numpy") else value


_READERS: dict[str, Callable[[Path], Any]] = {
    ".ckpt": _read_checkpoint,
    ".gpkg": _read_tables,
    ".json": lambda path: json.loads(path.read_text()),
    ".jsonl": _read_events,
    ".png": _read_raster,
    ".safetensors": load_file,
    ".tif": _read_raster,
    **dict.fromkeys((".csv", ".qml", ".vrt", ".xml", ".yaml"), lambda path: path.read_text().splitlines()),
}
# The bytes of all other files have to be equal too.
_WITH_MOMENTS = {".ckpt", ".gpkg", ".json", ".jsonl"}


if __name__ == "__main__":
    main()
