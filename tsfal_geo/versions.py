"""The version of tsfal-geo, read only here, and the versions of the packages that a run depends on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

__version__ = version("tsfal-geo")

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
    """Collect the versions of tsfal-geo, Python and the packages that decide results.

    Returns:
        Name → version; packages that are not installed are left out.
    """
    found = {"tsfal-geo": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
