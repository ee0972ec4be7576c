"""Which versions a run used."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "torch",
    "torchgeo",
    "lightning",
    "segmentation-models-pytorch",
    "timm",
    "kornia",
    "rasterio",
    "numpy",
)


def package_versions() -> dict[str, str]:
    """Versions of tsfal-geo, Python and the packages that decide results; absent packages are left out."""
    found = {"tsfal-geo": version("tsfal-geo"), "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
