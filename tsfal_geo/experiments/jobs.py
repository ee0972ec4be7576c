"""Jobs, the trainings of a table: their configurations, their folders and their progress."""

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
    """A run of a row: a training, or rounds of training and queries.

    Attributes:
        row: the row's name, which is a method's.
        share: name of the labelled share; empty in tables without labelled shares.
        seed: seed of all random numbers.
        request: the run's folder, scenes and configuration.
        first: the first training that the run copies; None: the run trains from its own start.
    """

    row: str
    share: str
    seed: int
    request: Request
    first: Request | None

    @property
    def name(self) -> str:
        """Name for messages: row, labelled share and seed."""
        return ", ".join(part for part in (self.row, self.share, f"seed {self.seed}") if part)

    @property
    def begun(self) -> bool:
        """Presence of a run with the job's own configuration; a copy of the first training is none yet."""
        root = self.request.root
        return WorkspaceFolder.exists(root) and (
            self.first is None or WorkspaceFolder.read_progress(root)[0] > 0
        )

    @property
    def done(self) -> bool:
        """Completion of the run."""
        root = self.request.root
        return WorkspaceFolder.exists(root) and WorkspaceFolder.read_progress(root)[1] == "done"


@dataclass(frozen=True)
class Data:
    """The scenes of a table.

    Attributes:
        raster: folder of the training scenes.
        report: folder of the scenes whose mIoU the table reports.
        lists: folder of the dataset's own lists of labelled scenes (``1_16.txt`` …); None without lists.
        base: the dataset's configuration.
    """

    raster: Path
    report: Path
    lists: Path | None
    base: Config

    def is_of(self, table: Table) -> bool:
        """Compare the classes with those of the paper's dataset.

        Args:
            table: the table, which knows the paper's classes.

        Returns:
            True if names and order are equal.
        """
        return tuple(spec.name for spec in self.base.classes or ()) == table.classes


@dataclass(frozen=True)
class Plan:
    """The settings of a table's runs.

    Attributes:
        table: the table.
        data: the scenes.
        out: the table's folder; the runs are in its ``runs/``.
        changes: the user's configuration changes; they override the table's, and the rows' override them.
        most_rounds: upper limit of the rounds of rows that set their number; None: no limit.
    """

    table: Table
    data: Data
    out: Path
    changes: Changes
    most_rounds: int | None = None


def jobs_of(
    plan: Plan, seeds: Sequence[int], rows: Sequence[str], shares: Sequence[str] | None = None
) -> list[ExperimentJob]:
    """List the jobs of a table seed by seed, so that the first seed completes a table early.

    Args:
        plan: the table, its scenes and its folder.
        seeds: the runs' seeds.
        rows: names of the selected rows.
        shares: names of the selected labelled shares; None: all of them.

    Returns:
        The jobs, by seed, then in the table's order.

    Raises:
        ConfigError: a key or a value that the configuration does not have.
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
    """List the jobs with a run in the plan's folder, including runs of other calls and machines.

    Args:
        plan: the table, its scenes and its folder.

    Returns:
        The jobs, by seed, then in the table's order.

    Raises:
        ConfigError: a key or a value that the configuration does not have.
    """
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
        # A row without queries gets the steps of all rounds, so that no row trains longer than another.
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
