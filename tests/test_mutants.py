"""The list of planted faults fits the package; ``make check-slow`` plants them."""

from tests.mutants import HOME, listed


def test_every_fault_can_be_planted_and_has_tests():
    faults = listed()
    assert len(faults) >= 60 and len({fault.name for fault in faults}) == len(faults)
    for fault in faults:
        text = (HOME / "tsfal_geo" / fault.path).read_text(encoding="utf-8")
        assert text.count(fault.old) == 1 and fault.old != fault.new, fault.name
        compile(text.replace(fault.old, fault.new), fault.path, "exec")
        files = [word for word in fault.tests.split() if word.startswith("tests/")]
        assert files and all((HOME / file).exists() for file in files), fault.name
