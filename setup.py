"""The wheel brings the QGIS plugin along, for `tsfal-geo plugin`; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

_PLUGIN = Path("qgis_plugin") / "tsfal_qgis"


class BuildWithPlugin(build_py):
    """Copies the plugin's folder, which is no part of the package in the source tree."""

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "tsfal_geo" / _PLUGIN
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(_PLUGIN, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))


setup(cmdclass={"build_py": BuildWithPlugin})
