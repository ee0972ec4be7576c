"""The command ``tsfal-geo bench``, on a tiny folder and on the datasets' fixtures."""

import csv

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner

from tsfal_geo.cli.bench import command
from tsfal_geo.errors import ConfigError, UserError
from tsfal_geo.experiments.tables import TABLES

TINY = (
    "data.chip_size=64", "model.encoder=tu-mobilenetv2_035", "model.weights=null", "model.output_stride=16",
    "model.multi_grid=null", "model.aux_head=false", "model.separable=true", "model.decoder_convs=1",
    "train.steps=2", "train.accelerator=cpu", "train.precision=32-true", "train.ohem=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """``train/`` and ``val/`` of one scene each, nothing else."""
    root = tmp_path_factory.mktemp("data")
    for number, split in enumerate(("train", "val")):
        truth = np.random.default_rng(number).integers(0, 2, (4, 4)).repeat(32, 0).repeat(32, 1)
        for kind, array in (("images", (truth * 90 + 60)[None].repeat(3, 0)), ("labels", truth[None])):
            path = root / split / kind / "a.tif"
            path.parent.mkdir(parents=True)
            with rasterio.open(
                path, "w", driver="GTiff", height=128, width=128, count=len(array), dtype="uint8",
                crs="EPSG:25832", transform=Affine(0.1, 0, 500_000, 0, -0.1, 5_400_000),
            ) as file:  # fmt: skip
                file.write(array.astype(np.uint8))
    return root


def bench(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)


def settings():
    classes = '[{"id": 0, "name": "a", "colour": [0, 0, 0]}, {"id": 1, "name": "b", "colour": [9, 9, 9]}]'
    return [part for item in (*TINY, f"classes={classes}") for part in ("--set", item)]


def test_a_table_on_a_folder_of_ones_own_and_again_it_only_reads(data, tmp_path):
    arguments = [
        "table1", "--data", data, "--out", tmp_path, "--seeds", 1, "--rows", "SupOnly,MT", "--shares", "1/2",
        *settings(),
    ]  # fmt: skip
    assert bench(*arguments).exit_code == 0
    with (tmp_path / "table.csv").open() as file:
        rows = {row["system"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"SupOnly", "MT"} and rows["SupOnly"]["cost of a step (SupOnly = 1)"] == "1.00 ×"
    assert all(0 <= float(row["1/2"].split()[0]) <= 100 for row in rows.values())
    weights = tmp_path / "runs" / "mt-1-2-0" / "rounds" / "000" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    assert bench(*arguments).exit_code == 0 and weights.stat().st_mtime_ns == before
    # A call for other rows, from another machine say, keeps the finished ones in the table.
    arguments[arguments.index("SupOnly,MT")] = "CutMix"
    assert bench(*arguments).exit_code == 0
    assert [line.split("|")[1].strip() for line in (tmp_path / "table.md").read_text().splitlines()[2:]] == [
        "SupOnly", "MT", "CutMix",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"cutmix-1-2-0: train\.steps was 2 and would be 3 now"):
        bench(*arguments, "--set", "train.steps=3")
    with pytest.raises(
        UserError, match=r"holds runs of `bench table1 --data .*`, asked for `bench table1 --quick`"
    ):
        bench("table1", "--quick", "--out", tmp_path)


def test_quick_runs_have_a_folder_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = []
    monkeypatch.setattr("tsfal_geo.experiments.run_table.run_jobs", lambda jobs, *_: made.extend(jobs))
    assert bench("table3", "--quick", "--seeds", 1, "--rows", "ours").exit_code == 0
    assert [str(job.request.root) for job in made] == ["bench-table3-quick/runs/ours-0"]


def test_missing_data_and_unknown_names_raise(data, tmp_path):
    with pytest.raises(UserError, match="bench table3: no data given; expected --data FOLDER"):
        bench("table3", "--out", tmp_path)
    with pytest.raises(ConfigError, match="--rows XYZ: expected some of SupOnly, MT"):
        bench("table1", "--data", data, "--out", tmp_path, "--rows", "TSF,XYZ")
    with pytest.raises(ConfigError, match="--shares 1/3: expected some of 1/16"):
        bench("table1", "--data", data, "--out", tmp_path, "--shares", "1/3")
    with pytest.raises(ConfigError, match=r"none: table4 has no shares"):
        bench("table4", "--data", data, "--out", tmp_path, "--shares", "1/3")


# Table 4 has the data of table 3 and rows of the ablation, each with a test of its own.
FEW = {
    "table1": ("TSF",),
    "table2": ("ours",),
    "table3": ("Random",),
    "table4": (),
}


def remaining_rows():
    """Halve the remaining rows of each table into two cases, since VAAL's own networks take minutes."""
    for name, table in TABLES.items():
        rows = [row.name for row in table.rows if row.name not in FEW[name]]
        yield from ((name, rows[: len(rows) // 2], 2), (name, rows[len(rows) // 2 :], 1))


@pytest.mark.parametrize(
    ("table", "rows", "workers"),
    [
        *((name, rows, 1) for name, rows in FEW.items() if rows),
        *(
            pytest.param(*case, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])
            for case in remaining_rows()
        ),
    ],
)
def test_every_row_of_every_table_runs_on_its_fixture(tmp_path, table, rows, workers):
    arguments = ["--quick", "--seeds", 1, "--out", tmp_path, "--rows", ",".join(rows), "--workers", workers]
    arguments += ["--set", "train.val_every=100"]  # validations on the way take longer than the steps
    arguments += ["--shares", "1/2"] if table == "table1" else []
    assert bench(table, *arguments).exit_code == 0
    with (tmp_path / "table.csv").open() as file:
        found = list(csv.DictReader(file))
    assert sorted(row["system"] for row in found) == sorted(rows)
    column = "1/2" if table == "table1" else "mIoU"
    assert all(0 <= float(row[column].split()[0]) <= 100 for row in found)
