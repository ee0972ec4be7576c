"""Files of finished runs, written without the trainings."""

import json

import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from tsfal_geo.classes import ClassInfo, ClassMap
from tsfal_geo.config import load_config
from tsfal_geo.experiments.ablation import slug
from tsfal_geo.experiments.jobs import ExperimentJob
from tsfal_geo.raster.scene import Scene
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder
from tsfal_geo.workspace.state import State

CLASSES = ClassMap((ClassInfo(0, "roof", (1, 2, 3)), ClassInfo(1, "tree & grass", (4, 5, 6))))


@pytest.fixture
def finished(tmp_path):
    """Make jobs whose runs ended with given figures."""

    def make(
        row,
        seed,
        miou,
        share="",
        method="tsf",
        seconds=None,
        labelled=0.15,
        steps=(10,),
        first=None,
        host="A",
    ):
        root = tmp_path / "runs" / "-".join(slug(part) for part in (row, share, str(seed)) if part)
        config = load_config(None, {"train.method": method})
        scene = Scene("a", tmp_path / "a.tif", GeoBox((4, 4), Affine.identity(), None), 3, "uint8")
        state = State(tmp_path, None, CLASSES, (scene,), round=0, status="done")
        workspace = WorkspaceFolder.create(root, state, config)
        for number, count in enumerate(steps):
            workspace.round_dir(number).mkdir(parents=True)
            values = {
                "labelled_share": labelled,
                "miou": miou,
                "class_iou": {"roof": miou - 0.1, "tree & grass": miou + 0.1},
                "steps": count,
            }
            (workspace.round_dir(number) / "metrics.json").write_text(json.dumps(values))
        workspace.update(round=len(steps) - 1)
        if seconds is not None:
            (root / "cost.json").write_text(json.dumps({"machine": host, "seconds": seconds}))
        return ExperimentJob(row, share, seed, Request(root, tmp_path, None, config), first)

    return make
