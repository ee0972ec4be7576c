"""ISPRS 2D Semantic Labelling, Vaihingen: 33 areas of true orthophotos (NIR, red, green; 9 cm) and heights.

The split reproduces the paper's numbers of chips: 233 for training, 111 for validation and 398 for test.
Chips have 512 pixels a side, and those of the last row and column are shifted back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from pathlib import Path, PurePosixPath

from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.datasets import vaihingen_fixture
from tsfal_geo.datasets.adapter import (
    Adapter,
    Option,
    Prepared,
    Progress,
    new_folder,
    no_progress,
    open_prepared,
    write_config,
)
from tsfal_geo.datasets.shipped import ShippedFile, check_md5, extract, list_shipped
from tsfal_geo.errors import LabelError, UserError
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.files import open_raster
from tsfal_geo.raster.label_reader import check_labels
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene

BANDS = ("NIR", "R", "G")

SPLITS: dict[str, tuple[int, ...]] = {
    "train": (1, 3, 5, 7, 13, 17, 21, 23, 26, 32, 37),
    "val": (11, 15, 28, 30, 34),
    "test": (2, 4, 6, 8, 10, 12, 14, 16, 20, 22, 24, 27, 29, 31, 33, 35, 38),
}
"""Split → areas; ``train`` and ``val`` divide the owners' training areas, ``test`` has their test areas."""

MD5 = {
    "ISPRS_semantic_labeling_Vaihingen.zip": "462b8dca7b6fa9eaf729840f0cdfc7f3",
    "ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE.zip": "4802dd6326e2727a352fb735be450277",
}

_FILES = {
    "top": "top_mosaic_09cm_area{}.tif",
    "labels": "top_mosaic_09cm_area{}.tif",
    "eroded": "top_mosaic_09cm_area{}_noBoundary.tif",
    "dsm": "dsm_09cm_matching_area{}.tif",
    "ndsm": "dsm_09cm_matching_area{}_normalized.jpg",
    "place": "dsm_09cm_matching_area{}.tfw",
}
_SHIPPED_IN = {
    "top": "top/ of ISPRS_semantic_labeling_Vaihingen.zip",
    "labels": "ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE.zip",
    "eroded": "ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE.zip",
    "dsm": "dsm/ of ISPRS_semantic_labeling_Vaihingen.zip",
    "ndsm": "the normalised DSMs",
}

Areas = dict[int, ShippedFile]


def prepare(
    source: Path,
    out: Path,
    progress: Progress = no_progress,
    *,
    eroded: bool = False,
    height: str = "none",
    chip_size: int = 512,
) -> Prepared:
    """Make folders for training from the owners' zips or folders.

    Args:
        source: folder that holds them, at any depth; unpacked files have precedence over those in zips.
        out: the folder to make.
        progress: receives the progress.
        eroded: use the ground truth with eroded boundaries, which are black and ignored.
        height: files for ``dsm/``: ``dsm``, ``ndsm`` (8-bit grey values, not metres) or ``none``.
        chip_size: pixels a side of a chip; the paper uses 512.

    Returns:
        The prepared dataset.

    Raises:
        UserError: an area is missing, or a zip is damaged or not the owners'.
        LabelError: a colour is none of the owners', or ground truth has another size.
        RasterError: an image or surface model cannot be used.
    """
    files = list_shipped(source, lambda name: "vaihingen" in name.lower() or "dsm" in name.lower())
    labels = "eroded" if eroded else "labels"
    chosen = {role: _choose(files, role) for role in ("top", labels, height, "place") if role != "none"}
    for role, found in chosen.items():
        if role != "place":
            _check_complete(source, files, role, found)
    _check_zips(chosen, progress)
    with new_folder(out) as draft:
        for split, areas in SPLITS.items():
            for area in areas:
                _write_area(draft / split, area, {role: found.get(area) for role, found in chosen.items()})
        scenes = [scene for split in SPLITS for scene in discover(draft / split, require_labels=True)]
        for number, scene in enumerate(scenes):
            progress(number / len(scenes), "checking colours")
            _check(scene)
        data = {"chip_size": chip_size, "dsm": "ignore" if height == "none" else "use"}
        write_config(draft, VAIHINGEN, {"data": data})
    return open_prepared(out, _notes(chosen))


def _choose(files: Sequence[ShippedFile], role: str) -> Areas:
    """The files of a role by area; plain files precede zips, complete ground truth precedes partial."""
    pattern = re.compile(re.escape(_FILES[role]).replace(r"\{\}", r"(\d+)"), re.IGNORECASE)
    matches = [(match, file) for file in files if (match := pattern.fullmatch(file.name.name))]
    roots = {file.name.parent.parent for file in files if file.folder == "top"}
    fitting = [(int(match[1]), file) for match, file in matches if _in_place(file, role, roots)]
    fitting.sort(
        key=lambda item: (item[1].member is not None, "participants" in item[1].folder, item[1].name)
    )
    return {area: file for area, file in reversed(fitting)}


def _in_place(file: ShippedFile, role: str, roots: Set[PurePosixPath]) -> bool:
    """Tell orthophotos from ground truth by the folder, since their names are equal.

    Ground truth may also lie beside ``top/``, as after unpacking all zips into one folder.
    """
    if role == "top":
        return file.folder == "top"
    if role == "labels":
        return file.name.parent in roots or re.search("gts|ground_truth", file.folder.lower()) is not None
    return True


def _check_complete(source: Path, files: Sequence[ShippedFile], role: str, found: Areas) -> None:
    areas = {area for split in SPLITS.values() for area in split}
    missing = sorted(areas - found.keys())
    if not missing:
        return
    nested = next((file for file in files if file.name.suffix == ".zip"), None)
    unpack = f"; {nested.path} holds zips: unpack it" if nested is not None else ""
    raise UserError(
        f"{source}: found {len(areas) - len(missing)} of {len(areas)} files of {_SHIPPED_IN[role]}, no "
        f"{_FILES[role].format(missing[0])}; expected them below this folder, as shipped{unpack}"
    )


def _check_zips(chosen: dict[str, Areas], progress: Progress) -> None:
    used = {file.path for found in chosen.values() for file in found.values() if file.member is not None}
    for path in sorted(used):
        if path.name in MD5:
            progress(0.0, f"checking {path.name}")
            check_md5(path, MD5[path.name])


def _write_area(folder: Path, area: int, files: dict[str, ShippedFile | None]) -> None:
    """Link the files of an area under the orthophoto's stem, so that the names match exactly."""
    stem = Path(_FILES["top"].format(area)).stem
    homes = {"top": "images", "labels": "labels", "eroded": "labels", "dsm": "dsm", "ndsm": "dsm"}
    for role, file in files.items():
        if role == "place" or file is None:
            continue
        extract(file, folder / homes[role] / f"{stem}{file.name.suffix.lower()}")
        where = files.get("place")
        if where is not None and homes[role] != "labels":
            extract(where, folder / homes[role] / f"{stem}.wld")


def _check(scene: Scene) -> None:
    """Check bands, labels and surface model, so that no file fails in the middle of a training."""
    with open_raster(scene.path) as dataset:
        if dataset.count != len(BANDS):
            raise UserError(
                f"{scene.path}: found {dataset.count} bands, expected {', '.join(BANDS)} as shipped"
            )
    assert scene.labels is not None
    with open_raster(scene.labels) as dataset:
        if dataset.count != 3:
            raise LabelError(
                f"{scene.labels}: found {dataset.count} band, expected ground truth in the owners' "
                "colours (ids have no order that can be checked); use the shipped files"
            )
    check_labels(scene, VAIHINGEN)
    if scene.dsm is not None:
        SceneReader([scene], None, use_dsm=True).close()


def _notes(chosen: dict[str, Areas]) -> tuple[str, ...]:
    if chosen["place"]:
        return ()
    return (
        "no Vaihingen_dsm_tiles_geoinfo: the areas have no georeference, and maps of them have none either",
    )


ADAPTER = Adapter(
    name="vaihingen",
    title="ISPRS 2D Semantic Labelling, Vaihingen: 33 areas, six classes, NIR-R-G and DSM at 9 cm",
    source="From ISPRS, under the terms given there: "
    "https://www.isprs.org/resources/datasets/benchmarks/UrbanSemLab/2d-sem-label-vaihingen.aspx",
    prepare=prepare,
    fixture=vaihingen_fixture.write,
    options=(
        Option("eroded", False, "Ground truth with eroded boundaries, as in the owners' evaluation."),
        Option("height", "none", "Heights as an extra channel.", ("none", "dsm", "ndsm")),
        Option("chip_size", 512, "Pixels a side of a chip."),
    ),
    fixture_options={"chip_size": 64},
)
