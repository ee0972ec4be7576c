"""The user's way: Install from ZIP, into a profile without the plugin; it is active at once."""

import shutil
from pathlib import Path

import pyplugin_installer
import qgis.utils
from guards import drive
from qgis.core import QgsSettings

NAME = "tsfal_qgis"


def walk(desktop):
    place = Path(qgis.utils.home_plugin_path) / NAME
    qgis.utils.unloadPlugin(NAME)
    shutil.rmtree(place)
    QgsSettings().remove(f"PythonPlugins/{NAME}")
    qgis.utils.updateAvailablePlugins()
    pyplugin_installer.instance().installFromZipFile(desktop.workspace)
    desktop.until(lambda: NAME in qgis.utils.active_plugins, "the plugin's start")
    assert (place / "metadata.txt").is_file()
    desktop.step("installed")
    qgis.utils.unloadPlugin(NAME)
    desktop.pump(300)


drive(walk, 60)
