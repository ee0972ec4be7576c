"""Every run of the tests has a QGIS profile of its own: nobody's settings are read or changed."""

import os
import tempfile

os.environ["QGIS_CUSTOM_CONFIG_PATH"] = tempfile.mkdtemp(prefix="tsfal-qgis-")
