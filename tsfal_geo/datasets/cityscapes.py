"""Cityscapes: street pictures of 2048x1024 pixels with 19 classes, in the paper's two protocols.

``ssl``: training and validation are the official splits, and lists name the labelled pictures. ``al``: 300
training pictures are held out for validation, the official validation pictures are the test, and pictures are
resized to 688x688 pixels. Labels keep the owners' ids, which the benchmark expects of maps; the classes are
in the order of the train ids.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tsfal_geo.classes import ClassInfo, ClassMap
from tsfal_geo.datasets.adapter import (
    Adapter,
    Option,
    Prepared,
    Progress,
    new_folder,
    no_progress,
    open_prepared,
    shuffled,
    write_config,
    write_lists,
)
from tsfal_geo.datasets.pairs import UPRIGHT_AUGMENTATION, Pair, check_pairs, match_pairs, write_pairs
from tsfal_geo.datasets.shipped import ShippedFile, list_shipped
from tsfal_geo.datasets.synthetic import save_picture, synthetic_ids, synthetic_picture, with_void
from tsfal_geo.errors import UserError

_VOID = (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30)

CLASSES = ClassMap(
    (
        ClassInfo(7, "road", (128, 64, 128)),
        ClassInfo(8, "sidewalk", (244, 35, 232)),
        ClassInfo(11, "building", (70, 70, 70)),
        ClassInfo(12, "wall", (102, 102, 156)),
        ClassInfo(13, "fence", (190, 153, 153)),
        ClassInfo(17, "pole", (153, 153, 153)),
        ClassInfo(19, "traffic light", (250, 170, 30)),
        ClassInfo(20, "traffic sign", (220, 220, 0)),
        ClassInfo(21, "vegetation", (107, 142, 35)),
        ClassInfo(22, "terrain", (152, 251, 152)),
        ClassInfo(23, "sky", (70, 130, 180)),
        ClassInfo(24, "person", (220, 20, 60)),
        ClassInfo(25, "rider", (255, 0, 0)),
        ClassInfo(26, "car", (0, 0, 142)),
        ClassInfo(27, "truck", (0, 0, 70)),
        ClassInfo(28, "bus", (0, 60, 100)),
        ClassInfo(31, "train", (0, 80, 100)),
        ClassInfo(32, "motorcycle", (0, 0, 230)),
        ClassInfo(33, "bicycle", (119, 11, 32)),
    ),
    ignore_ids=_VOID,
)
"""The owners' ids in the order of their train ids; ids without a train id are ignored."""

TRAIN_ID_CLASSES = ClassMap(
    tuple(ClassInfo(index, info.name, info.colour) for index, info in enumerate(CLASSES.classes))
)
"""For labels that hold train ids."""

_LABELS = {"gtFine_labelIds": CLASSES, "gtFine_labelTrainIds": TRAIN_ID_CLASSES}

OFFICIAL = {"train": 2975, "val": 500}
_HELD_OUT = 300
_SIDE = 688
CHIP = {"ssl": 512, "al": 704}
_NAME = re.compile(
    r"(?P<name>[a-z-]+_\d{6}_\d{6})_(?P<role>leftImg8bit|gtFine_labelIds|gtFine_labelTrainIds)\.png"
)

Roles = dict[str, dict[str, dict[str, ShippedFile]]]


def prepare(
    source: Path,
    out: Path,
    progress: Progress = no_progress,
    *,
    protocol: str = "ssl",
    chip_size: int = 0,
    side: int = _SIDE,
    seed: int = 0,
) -> Prepared:
    """Make folders for training from ``leftImg8bit/`` and ``gtFine/``, or from their zips.

    Args:
        source: folder that holds them, at any depth.
        out: the folder to make.
        progress: receives the progress.
        protocol: ``ssl`` or ``al``.
        chip_size: pixels a side of a chip; 0 for 512 with ``ssl`` (eight chips a picture, without overlap)
            and 704 with ``al`` (one padded picture).
        side: pixels a side of the resized pictures of ``al``.
        seed: of the lists of labelled pictures, and of the validation pictures of ``al``.

    Returns:
        The prepared dataset.

    Raises:
        UserError: pictures or labels are missing, or a zip is damaged.
        LabelError: an id is none of the owners', or labels have another size.
    """
    files = list_shipped(source, lambda name: re.search("leftimg8bit|gtfine", name.lower()) is not None)
    found = _by_role(files)
    role, classes = _labels(found)
    official = {split: _pairs(source, found, split, role) for split in OFFICIAL}
    splits = official if protocol == "ssl" else _for_active_learning(official, seed)
    names = [pair.name for pair in splits["train"]]
    with new_folder(out) as draft:
        write_pairs(splits, draft, progress, None if protocol == "ssl" else side)
        check_pairs(draft, splits, classes, progress)
        data = {"chip_size": chip_size or CHIP[protocol]}
        write_config(draft, classes, {"data": data, "augment": UPRIGHT_AUGMENTATION})
        notes = write_lists(draft, names, seed)
    return open_prepared(out, (*notes, *_incomplete(official)))


def _by_role(files: Sequence[ShippedFile]) -> Roles:
    """Role → split → name → file; a plain file before one in a zip."""
    found: Roles = {}
    for file in sorted(files, key=lambda file: file.member is None):
        match = _NAME.fullmatch(file.name.name)
        if match is not None and len(file.name.parts) > 2:
            split = found.setdefault(match["role"], {}).setdefault(file.name.parts[-3], {})
            split[match["name"]] = file
    return found


def _labels(found: Roles) -> tuple[str, ClassMap]:
    """The owners' ids where every picture has them, else train ids."""
    images, ids, train_ids = (found.get(role, {}) for role in ("leftImg8bit", *_LABELS))
    complete = all(images.get(split, {}).keys() <= ids.get(split, {}).keys() for split in OFFICIAL)
    role = "gtFine_labelTrainIds" if train_ids and not complete else "gtFine_labelIds"
    return role, _LABELS[role]


def _pairs(source: Path, found: Roles, split: str, role: str) -> list[Pair]:
    images = found.get("leftImg8bit", {}).get(split, {})
    if not images:
        raise UserError(
            f"{source}: found no {split}/<city>/<city>_000000_000000_leftImg8bit.png; expected leftImg8bit/ "
            "and gtFine/, or leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip, below this folder"
        )
    return match_pairs(images, found.get(role, {}).get(split, {}), source)


def _for_active_learning(official: Mapping[str, Sequence[Pair]], seed: int) -> dict[str, list[Pair]]:
    """Hold out 300 of the 2975 training pictures for validation, or the same share of fewer pictures."""
    train = official["train"]
    count = max(1, round(len(train) * _HELD_OUT / OFFICIAL["train"]))
    held_out = set(shuffled((pair.name for pair in train), f"val {seed}")[:count])
    return {
        "train": [pair for pair in train if pair.name not in held_out],
        "val": [pair for pair in train if pair.name in held_out],
        "test": list(official["val"]),
    }


def _incomplete(official: Mapping[str, Sequence[Pair]]) -> tuple[str, ...]:
    return tuple(
        f"{split}: {len(official[split])} of the owners' {count} pictures; figures are not comparable"
        for split, count in OFFICIAL.items()
        if len(official[split]) != count
    )


def write_fixture(out: Path, seed: int = 0) -> None:
    """Write a tiny synthetic dataset in the owners' layout, with labels framed by void.

    Args:
        out: the folder to fill.
        seed: of the pictures.
    """
    for split, cities, count in (("train", ("aachen", "bad-ulm"), 12), ("val", ("frankfurt",), 6)):
        for city in cities:
            for frame in range(count):
                name = f"{city}_{frame:06d}_000019"
                ids = synthetic_ids((64, 128), CLASSES, (seed, frame, len(name), len(split)))
                pictures = out / "leftImg8bit" / split / city
                truth = out / "gtFine" / split / city
                save_picture(
                    pictures / f"{name}_leftImg8bit.png", synthetic_picture(ids, CLASSES, (seed, frame))
                )
                save_picture(truth / f"{name}_gtFine_labelIds.png", with_void(ids, 4))
                # The owners ship these beside the labels; a preparation must not confuse them.
                save_picture(truth / f"{name}_gtFine_instanceIds.png", ids)


ADAPTER = Adapter(
    name="cityscapes",
    title="Cityscapes: 2975 + 500 street pictures, 19 classes",
    source="After registration, under the terms given there: https://www.cityscapes-dataset.com "
    "(leftImg8bit_trainvaltest.zip, gtFine_trainvaltest.zip)",
    prepare=prepare,
    fixture=write_fixture,
    options=(
        Option("protocol", "ssl", "ssl: 2975/500; al: 2675/300/500, resized.", ("ssl", "al")),
        Option("chip_size", 0, "Pixels a side of a chip; 0: 512 for ssl, 704 for al."),
        Option("side", _SIDE, "Pixels a side of the resized pictures of al."),
        Option("seed", 0, "Seed of the lists of labelled pictures and of the validation pictures of al."),
    ),
    fixture_options={"chip_size": 64, "side": 43},
)
