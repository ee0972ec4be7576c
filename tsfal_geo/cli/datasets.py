"""``tsfal-geo datasets``: public datasets, prepared for training from the files that their owners ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.command import ReportedCommand, ReportedGroup
from tsfal_geo.cli.options import FOLDER
from tsfal_geo.cli.reporter import CommandReporter

if TYPE_CHECKING:
    from tsfal_geo.datasets.adapter import Adapter, Option, Prepared


@click.group("datasets", cls=ReportedGroup)
def command() -> None:
    """Prepare public datasets from the files that their owners ship."""


@command.command("list")
def list_command(reporter: CommandReporter) -> dict[str, Any]:
    """List the known datasets and their sources."""
    from tsfal_geo.datasets.registry import DATASETS

    reporter.output(*(f"{item.name}: {item.title}\n  {item.source}" for item in DATASETS.values()))
    return {
        "datasets": [
            {"name": item.name, "title": item.title, "source": item.source} for item in DATASETS.values()
        ]
    }


class _Datasets(click.Group):
    """A group with one command for each dataset, which has the dataset's own options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from tsfal_geo.datasets.registry import DATASETS

        return list(DATASETS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from tsfal_geo.datasets.registry import DATASETS

        adapter = DATASETS.get(cmd_name)
        return None if adapter is None else _prepare_command(adapter)


@command.group("prepare", cls=_Datasets)
def prepare() -> None:
    """Convert a dataset to folders that every command reads: prepare NAME SOURCE --out DIR."""


def _prepare_command(adapter: Adapter) -> click.Command:
    def run(source: Path, out: Path, reporter: CommandReporter, **options: Any) -> dict[str, Any]:
        prepared = adapter.prepare(source, out, reporter.progress, **options)
        reporter.finish()
        for note in prepared.notes:
            reporter.say(note)
        return _report(prepared, reporter)

    return ReportedCommand(
        adapter.name,
        callback=run,
        params=[
            click.Argument(["source"], type=click.Path(path_type=Path)),
            click.Option(["--out"], required=True, type=FOLDER, help="Folder to create."),
            *map(_click_option, adapter.options),
        ],
        help=f"{adapter.title}.\n\n{adapter.source}",
    )


def _click_option(option: Option) -> click.Option:
    flag = isinstance(option.default, bool)
    kind = click.Choice(option.choices) if option.choices else None if flag else type(option.default)
    return click.Option(
        [f"--{option.name.replace('_', '-')}"],
        is_flag=flag,
        type=kind,
        default=option.default,
        show_default=not flag,
        help=option.help,
    )


def _report(prepared: Prepared, reporter: CommandReporter) -> dict[str, Any]:
    """Count scenes and chips of each split, for people and as a result."""
    from tsfal_geo.config import load_config
    from tsfal_geo.raster.chips import scene_chips
    from tsfal_geo.reporting import find_scenes

    data = load_config(prepared.config).data
    splits = {}
    for name, folder in prepared.splits.items():
        scenes = find_scenes(folder, reporter)
        chips = len(scene_chips(scenes, data.chip_size, data.edge))
        splits[name] = {"folder": str(folder), "scenes": len(scenes), "chips": chips}
        reporter.say(f"{name}: {len(scenes)} scenes, {chips} chips of {data.chip_size} pixels")
    reporter.artefact("config", prepared.config)
    return {"splits": splits, "config": str(prepared.config)}
