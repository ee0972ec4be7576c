import importlib.util
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
