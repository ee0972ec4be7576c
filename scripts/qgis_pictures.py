"""Takes the pictures of the QGIS plugin again: trains on sample_tiles, then drives the desktop.

Run as `.venv/bin/python scripts/qgis_pictures.py [FOLDER]`, after `make system-test-deps`. Without FOLDER the
pictures go to docs/pictures.
"""

import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
DESKTOP = ROOT / "qgis_plugin" / "tests" / "desktop"
WORK = ROOT / "build" / "qgis-pictures"
PICTURES = ROOT / "docs" / "pictures"
COLOURS = 170
LARGEST = 200_000


def main(folder: Path = PICTURES) -> None:
    """Train if there is no workspace yet, take the pictures, compress them.

    Args:
        folder: folder of the pictures.
    """
    sys.path.insert(0, str(DESKTOP))
    from run import run

    engine = Path(sys.executable).with_name("tsfal-geo")
    workspace = WORK / "town"
    if not (workspace / "rounds" / "000" / "queries.gpkg").is_file():
        tiles = ROOT / "sample_tiles"
        words = ["train", "--raster", tiles, "--val", tiles / "val", "--workspace", workspace]
        subprocess.run([engine, *words, "--config", ROOT / "configs" / "cpu_demo.yaml"], check=True)
    for old in (workspace / "labels").glob("*"):
        old.unlink()
    outcome = run(DESKTOP / "pictures.py", WORK / "raw", workspace=str(workspace), engine=str(engine))
    if not outcome.ok:
        sys.exit(str(outcome))
    folder.mkdir(parents=True, exist_ok=True)
    for raw in sorted((WORK / "raw").glob("*.png")):
        target = folder / f"qgis_{raw.stem.partition('_')[2]}.png"
        picture = Image.open(raw).convert("RGB")
        # The octree keeps the few pixels of a class's colour, which a median cut would lose.
        few = picture.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(target, optimize=True)
        if target.stat().st_size > LARGEST:
            sys.exit(f"{target}: {target.stat().st_size} bytes, expected {LARGEST} at most")
        print(target)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
