import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

_SPEC = importlib.util.spec_from_file_location("strings", Path(__file__).parents[2] / "tools" / "strings.py")
strings = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(strings)


def test_every_text_of_the_plugin_can_be_translated():
    found = strings.strings()
    assert len(found) > 50
    sources = [
        e.text for e in ElementTree.fromstring(strings.document(found).split("\n", 2)[2]).iter("source")
    ]
    assert sources == sorted(found)
    assert strings.TARGET.read_text(encoding="utf-8") == strings.document(found), "run tools/strings.py"


def test_a_text_that_is_composed_at_run_time_is_rejected(tmp_path):
    (tmp_path / "a.py").write_text('x = 1\ntr(f"round {x}")\n')
    with pytest.raises(ValueError, match=r"a\.py:2"):
        strings.strings(tmp_path)


@pytest.mark.parametrize("language", ["de", "fr"])
def test_a_translation_is_complete_and_has_the_same_places(language):
    path = strings.TARGET.with_name(f"tsfal_{language}.ts")
    found, translated = strings.strings(), strings.translations_of(path)
    assert translated.keys() == found.keys(), "run tools/strings.py, and translate what is new"
    assert path.read_text(encoding="utf-8") == strings.document(found, translated, language)
    for text, other in translated.items():
        assert sorted(re.findall(r"\{\w*\}", text)) == sorted(re.findall(r"\{\w*\}", other)), text
        assert text.count("\n") == other.count("\n"), text
        # A name of a key or of a program is the same in each language.
        for word in ("tsfal-geo", "postgresql://", "QGIS", "maps/", "dsm/"):
            assert (word in text) == (word in other), text


def test_new_texts_are_unfinished_and_old_ones_are_dropped():
    found = {"new": [("a.py", 1)], "kept": [("a.py", 2)]}
    text = strings.document(found, {"kept": "geblieben", "gone": "fort"}, "de")
    assert text.count('type="unfinished"') == 1
    assert "geblieben" in text and "gone" not in text
