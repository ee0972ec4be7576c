"""Three rounds read each thing once: counted where it is opened, parsed or built."""

from collections import Counter
from functools import wraps

import pytest

import tsfal_geo as tg
from tests.helpers.loop_case import tiny_config
from tsfal_geo.labels import gpkg_store, history
from tsfal_geo.models import segmenter
from tsfal_geo.raster import label_judgement
from tsfal_geo.rounds import first_queries, inputs, loop, open_workspace
from tsfal_geo.training.methods import build


@pytest.fixture
def calls(monkeypatch):
    """Count calls by what they are given; rounds come between them as they begin."""
    found = []

    def count(module, name, key):
        original = getattr(module, name)

        @wraps(original)
        def counted(*args, **options):
            found.append(key(*args, **options))
            return original(*args, **options)

        monkeypatch.setattr(module, name, counted)

    count(inputs, "discover", lambda folder, **_: ("discovered", str(folder)))
    count(inputs, "SceneReader", lambda scenes, *_, **__: ("opened", str(scenes[0].path.parent)))
    count(label_judgement, "check_labels", lambda scene, _: ("checked", str(scene.labels)))
    count(open_workspace, "validation_set", lambda folder, *_: ("validation", str(folder)))
    for module in (gpkg_store, history):
        count(module, "read_label_file", lambda path, *_: ("parsed", path.name))
    count(loop, "run_round", lambda _, number, **__: ("round", number))
    for module, name in (
        (open_workspace, "build_network"),
        (first_queries, "build_segmenter"),
        (build, "build_network"),
    ):
        count(module, name, lambda *args, **_: ("built", args[3]))
    return found


def test_three_rounds_read_and_build_each_thing_once(folder, tmp_path, calls):
    config = tiny_config(active__oracle=True, active__budget=0.5)
    tg.create_workspace(tmp_path / "ws", folder, folder, config).train()
    assert [number for name, number in calls if name == "round"] == [0, 1, 2]
    counts = Counter(calls)
    # The folder is given twice here: as training and as validation scenes.
    assert counts["discovered", str(folder)] == 2
    assert counts["opened", str(folder / "images")] == 2
    assert {n for (name, _), n in counts.items() if name == "checked"} == {2}
    assert counts["validation", str(folder)] == 1
    # Student and friend of each of the three rounds, and none that checks whether one can be built.
    assert sum(n for (name, _), n in counts.items() if name == "built") == 6
    # A round begins with what people have said until then: each file of theirs is parsed once for it.
    parsed = [value for name, value in calls if name == "parsed"]
    assert Counter(parsed) == {"oracle.gpkg": 2}


def test_a_cold_start_builds_one_network(tmp_path, calls):
    from tests.helpers.loop_case import write_scenes

    bare = write_scenes(tmp_path / "bare", labels=False)
    tg.create_workspace(tmp_path / "ws", bare, config=tiny_config(data__labelled=None)).train()
    assert [value for name, value in calls if name == "built"] == [0]
    assert segmenter.build_segmenter is not None
