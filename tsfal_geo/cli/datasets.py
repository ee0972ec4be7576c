"""``tsfal-geo datasets``: public datasets, from the files that their owners ship to folders for training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.options import json_option
from tsfal_geo.cli.reporter import CommandReporter

if TYPE_CHECKING:
    from tsfal_geo.datasets.adapter import Adapter, Option, Prepared


@click.group("datasets")
def command() -> None:
    """Prepare public datasets from the files that their owners ship."""


@command.command("list")
def list_command() -> None:
    """The datasets known, and where to get them."""
    from tsfal_geo.datasets.registry import DATASETS

    for adapter in DATASETS.values():
        click.echo(f"{adapter.name}: {adapter.title}\n  {adapter.source}")


class _Datasets(click.Group):
    """One command a dataset, with the dataset's own options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from tsfal_geo.datasets.registry import DATASETS

        return list(DATASETS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from tsfal_geo.datasets.registry import DATASETS

        adapter = DATASETS.get(cmd_name)
        return None if adapter is None else _prepare_command(adapter)


@command.group("prepare", cls=_Datasets)
def prepare() -> None:
    """Make folders that every command reads: prepare NAME SOURCE --out DIR."""


def _prepare_command(adapter: Adapter) -> click.Command:
    @click.argument("source", type=click.Path(path_type=Path))
    @click.option(
        "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder to make."
    )
    @json_option
    def run(source: Path, out: Path, as_json: bool, **options: Any) -> None:
        reporter = CommandReporter(as_json)
        try:
            prepared = adapter.prepare(source, out, reporter.progress, **options)
        finally:
            reporter.finish()
        for note in prepared.notes:
            reporter.say(note)
        reporter.result(_told(prepared, reporter))

    made = click.command(adapter.name, help=f"{adapter.title}.\n\n{adapter.source}")(run)
    made.params += [_click_option(option) for option in adapter.options]
    return made


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


def _told(prepared: Prepared, reporter: CommandReporter) -> dict[str, Any]:
    """What is there now, for people and as a result."""
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
