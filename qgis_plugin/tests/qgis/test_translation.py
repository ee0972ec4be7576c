"""The plugin in German and French, by the locale that QGIS itself takes."""

import shutil
import subprocess
from pathlib import Path

import pytest
from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication

import tsfal_qgis
from tsfal_qgis.compat import tr
from tsfal_qgis.plugin import TsfalPlugin

FOLDER = Path(tsfal_qgis.__file__).parent / "i18n"
COMPILER = next(filter(shutil.which, ("/usr/lib/qt5/bin/lrelease", "lrelease")), None)


@pytest.mark.parametrize(
    ("locale", "skip"), [("de_AT", "Überspringen"), ("fr", "Passer"), ("en_GB", "Skip"), ("nl", "Skip")]
)
def test_texts_are_those_of_the_locale_of_qgis(qgis_app, monkeypatch, locale, skip):
    monkeypatch.setattr(QgsApplication, "locale", staticmethod(lambda: locale))
    plugin = TsfalPlugin(None)
    try:
        assert tr("Skip") == skip
    finally:
        if plugin._translator is not None:
            QCoreApplication.removeTranslator(plugin._translator)
    assert tr("Skip") == "Skip"


@pytest.mark.parametrize("language", ["de", "fr"])
def test_the_compiled_file_is_that_of_the_texts(language, tmp_path):
    if COMPILER is None:
        pytest.skip("NOT COVERED: compiled translations; apt-get install qttools5-dev-tools")
    made = tmp_path / "made.qm"
    source = FOLDER / f"tsfal_{language}.ts"
    subprocess.run([COMPILER, "-silent", str(source), "-qm", str(made)], check=True)
    assert made.read_bytes() == source.with_suffix(".qm").read_bytes(), "run tools/strings.py"
