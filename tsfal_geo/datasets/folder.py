"""Any folder of pictures and labels that `tsfal-geo info` accepts, divided for training, validation and test.

Such a folder can train without preparation. The preparation draws the validation pictures, links all files,
and writes the classes to a file, in which users can name them.
"""

from __future__ import annotations

from pathlib import Path

from tsfal_geo.classes import ClassInfo, ClassMap
from tsfal_geo.config import parse_label_values, parse_map_options
from tsfal_geo.datasets.adapter import (
    Adapter,
    Option,
    Prepared,
    Progress,
    link_file,
    new_folder,
    no_progress,
    open_prepared,
    shuffled,
    write_config,
    write_lists,
)
from tsfal_geo.datasets.synthetic import save_picture, synthetic_ids, synthetic_picture, with_void
from tsfal_geo.errors import UserError
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.files import sidecars
from tsfal_geo.raster.label_judgement import judge_labels
from tsfal_geo.raster.label_tables import classes_are_named, folder_class_map
from tsfal_geo.raster.scene import Scene


def prepare(
    source: Path,
    out: Path,
    progress: Progress = no_progress,
    *,
    val: float = 0.2,
    test: float = 0.0,
    ignore: str = "",
    map: str = "",
    chip_size: int = 512,
    seed: int = 0,
) -> Prepared:
    """Divide a folder's scenes; those without labels go to training.

    Args:
        source: the folder, as for ``train --raster``.
        out: the folder to make.
        progress: receives the progress.
        val: share of the labelled scenes for validation, rounded to scenes, at least one.
        test: share of the labelled scenes for a test; 0 for no test.
        ignore: ids in the label files that mean no class, separated by commas.
        map: classes that values of the label files mean, as ``255=building;0=background``.
        chip_size: pixels a side of a chip.
        seed: of the division and of the lists of labelled scenes.

    Returns:
        The prepared dataset.

    Raises:
        UserError: too few scenes have labels, or shares or ids are out of range.
        RasterError: a raster cannot be used.
        LabelError: labels do not fit their scene or the class map.
    """
    ignored = _ids(ignore)
    if not (0 < val < 1 and 0 <= test < 1 and val + test < 1):
        raise UserError(
            f"--val {val} --test {test}: expected shares from 0 to 1 that leave some for training"
        )
    scenes = {scene.name: scene for scene in discover(source)}
    labelled = shuffled((name for name, scene in scenes.items() if scene.labels is not None), seed)
    counts = {"val": max(1, round(val * len(labelled))), "test": round(test * len(labelled))}
    if len(labelled) <= sum(counts.values()):
        raise UserError(
            f"{source}: found {len(labelled)} scenes with labels, expected more than "
            f"{sum(counts.values())}: some for training too"
        )
    drawn = {"val": labelled[: counts["val"]], "test": labelled[counts["val"] : sum(counts.values())]}
    split_of = {name: split for split, names in drawn.items() for name in names}
    values = parse_label_values(parse_map_options(part for part in map.split(";") if part.strip()))
    classes = folder_class_map(list(scenes.values()), values).ignoring(ignored)
    progress(0.0, "checking labels")
    found = [scenes[name] for name in labelled]
    declared = bool(values) or classes_are_named(found)
    lines = judge_labels(source, found, classes, declared=declared)
    with new_folder(out) as draft:
        for number, (name, scene) in enumerate(scenes.items()):
            progress(number / len(scenes), "linking pictures")
            _link_scene(scene, draft / split_of.get(name, "train"))
        train = [name for name in labelled if name not in split_of]
        write_config(draft, classes, {"data": {"chip_size": chip_size}})
        notes = (*lines, *write_lists(draft, train, seed))
    return open_prepared(out, notes)


def _ids(text: str) -> tuple[int, ...]:
    try:
        ids = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        ids = (-1,)
    if not all(0 <= value <= 255 for value in ids):
        raise UserError(f"--ignore {text}: expected ids from 0 to 255 separated by commas, such as 0,11")
    return ids


def _link_scene(scene: Scene, folder: Path) -> None:
    homes = {"images": scene.path, "labels": scene.labels, "dsm": scene.dsm}
    for home, path in homes.items():
        if path is None:
            continue
        if path.suffix.lower() == ".vrt":
            raise UserError(
                f"{path}: a VRT finds its parts from where it lies and cannot be linked; divide the folder "
                "by hand"
            )
        link_file(path, folder / home / f"{scene.name}{path.suffix}")
        for beside in sidecars(path):
            link_file(beside, folder / home / f"{scene.name}{beside.name.removeprefix(path.stem)}")


def write_fixture(out: Path, seed: int = 0) -> None:
    """Write synthetic pictures and labels of several sizes into one folder, matched by name; id 5 is void.

    Args:
        out: the folder to fill.
        seed: of the pictures.
    """
    classes = ClassMap(
        tuple(
            ClassInfo(number, name, colour)
            for number, (name, colour) in enumerate(
                {"road": (90, 90, 90), "wall": (180, 120, 60), "sky": (120, 170, 230)}.items()
            )
        )
    )
    for number in range(10):
        shape = (48 + 8 * (number % 3), 56 + 16 * (number % 2))
        ids = synthetic_ids(shape, classes, (seed, number))
        save_picture(out / f"{number:03d}_img.jpg", synthetic_picture(ids, classes, (seed, number)))
        save_picture(out / f"{number:03d}_gt.png", with_void(ids, 5))


ADAPTER = Adapter(
    name="folder",
    title="Your own folder of pictures and labels, divided for training, validation and test",
    source="Pictures in it or in images/, labels in labels/ or matched by name (docs/rasters.md)",
    prepare=prepare,
    fixture=write_fixture,
    options=(
        Option("val", 0.2, "Share of the labelled pictures for validation."),
        Option("test", 0.0, "Share of the labelled pictures for a test."),
        Option("ignore", "", "Ids in the label files that mean no class, separated by commas."),
        Option("map", "", "Classes that values of the label files mean, such as 255=building;0=background."),
        Option("chip_size", 512, "Pixels a side of a chip."),
        Option("seed", 0, "Seed of the division and of the lists of labelled pictures."),
    ),
    fixture_options={"chip_size": 64, "ignore": "5"},
)
