"""The trainings of a table: which there are, where they lie, how far they have come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tsfal_geo.config import Config, load_config
from tsfal_geo.experiments.ablation import FIRST, MODES, filled_batch, slug
from tsfal_geo.experiments.tables import Changes, Row, Table
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder


@dataclass(frozen=True)
class ExperimentJob:
    """One training, or a row's rounds.

    Attributes:
        row: the system's name.
        share: name of the labelled share; empty in tables without.
        seed: of everything random.
        request: what is trained, and where.
        first: the training that it begins with a copy of; None: it begins by itself.
    """

    row: str
    share: str
    seed: int
    request: Request
    first: Request | None

    @property
    def name(self) -> str:
        """For people."""
        return ", ".join(part for part in (self.row, self.share, f"seed {self.seed}") if part)

    @property
    def begun(self) -> bool:
        """Whether its configuration has come into use; a mere copy of its first training has not its own."""
        root = self.request.root
        return WorkspaceFolder.exists(root) and (self.first is None or WorkspaceFolder.standing(root)[0] > 0)

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        root = self.request.root
        return WorkspaceFolder.exists(root) and WorkspaceFolder.standing(root)[1] == "done"


@dataclass(frozen=True)
class Data:
    """Where a table's pictures are.

    Attributes:
        raster: training scenes.
        report: the scenes whose mIoU is reported.
        lists: folder of the dataset's own lists of labelled scenes (``1_16.txt`` …); None without.
        base: the dataset's configuration.
    """

    raster: Path
    report: Path
    lists: Path | None
    base: Config

    def is_of(self, table: Table) -> bool:
        """Whether they have the classes of the dataset that the paper's table is about."""
        return tuple(spec.name for spec in self.base.classes or ()) == table.classes


@dataclass(frozen=True)
class Plan:
    """A table as it is run.

    Attributes:
        table: which.
        data: where its pictures are.
        out: runs are in its ``runs/``.
        changes: what the user sets; they win over the table's, the rows' own win over them.
        most_rounds: of rows that have a number of their own; None: as many as they have.
    """

    table: Table
    data: Data
    out: Path
    changes: Changes
    most_rounds: int | None = None


def jobs_of(
    plan: Plan, seeds: Sequence[int], rows: Sequence[str], shares: Sequence[str] | None = None
) -> list[ExperimentJob]:
    """The jobs of a table, the seeds one after the other, so that a table can be read before all are done.

    Args:
        plan: the table, its data and folder.
        seeds: of the runs.
        rows: names of the rows wanted.
        shares: names of the labelled shares wanted; None: all of them.

    Raises:
        ConfigError: keys or values that no configuration has.
    """
    table, data = plan.table, plan.data
    base = load_config(None, {**table.base, **plan.changes}, data.base)
    jobs = []
    for seed in seeds:
        for row in table.rows:
            if row.name not in rows:
                continue
            for share in table.shares or ("",):
                if share and shares is not None and share not in shares:
                    continue
                config = _row_config(base, row, seed, plan.most_rounds)
                config = _with_share(config, table, share, data)
                root = plan.out / "runs" / f"{_stem(row, share)}-{seed}"
                request = Request(root, data.raster, data.report, config)
                first = None
                if row.shares_first and config.active.rounds:
                    alone = load_config(None, {"train.seed": seed, **MODES[FIRST]}, base)
                    first = replace(request, root=plan.out / "runs" / f"first-{seed}", config=alone)
                jobs.append(ExperimentJob(row.name, share, seed, request, first))
    return jobs


def begun_jobs(plan: Plan) -> list[ExperimentJob]:
    """The jobs that have come into use in the plan's folder, whoever began them, in the table's order."""
    table = plan.table
    rows = {_stem(row, share): row.name for row in table.rows for share in table.shares or ("",)}
    seeds, found = set(), set()
    for path in (plan.out / "runs").glob("*-*"):
        stem, _, seed = path.name.rpartition("-")
        if stem in rows and seed.isdigit():
            seeds.add(int(seed))
            found.add(rows[stem])
    return [job for job in jobs_of(plan, sorted(seeds), sorted(found)) if job.begun]


def _stem(row: Row, share: str) -> str:
    return "-".join(slug(part) for part in (row.name, share) if part)


def _row_config(base: Config, row: Row, seed: int, most_rounds: int | None) -> Config:
    changes = dict(row.changes)
    steps = base.train.steps
    if changes.get("active.rounds", base.active.rounds) == 0 and row.shares_first:
        # A row without queries trains as long as those that go on after them.
        steps += base.active.rounds * max(1, round(steps * base.active.round_steps))
    changes["train.steps"] = max(1, round(steps * row.steps))
    changes |= filled_batch(changes, base.train.batch_labelled, base.train.batch_unlabelled)
    if most_rounds is not None and changes.get("active.rounds", 0) > most_rounds:
        changes["active.rounds"] = most_rounds
    return load_config(None, {"active.oracle": True, "train.seed": seed, **changes}, base)


def _with_share(config: Config, table: Table, share: str, data: Data) -> Config:
    if not share:
        return config
    listed = None if data.lists is None else data.lists / f"{share.replace('/', '_')}.txt"
    if listed is not None and listed.exists():
        return load_config(None, {"data.labelled_list": str(listed)}, config)
    return load_config(None, {"data.labelled": table.shares[share]}, config)
