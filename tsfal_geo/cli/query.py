"""``tsfal-geo query``: queries from the current model, without training."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from tsfal_geo.cli.options import config_options, json_option, workspace_option
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.config import QueryStrategy, load_config, parse_set


@click.command("query")
@workspace_option
@click.option("--strategy", type=click.Choice(get_args(QueryStrategy)), help="How queries are chosen.")
@click.option("--budget", type=float, help="Labelled share at the end.")
@config_options
@json_option
def command(
    workspace: Path,
    strategy: str | None,
    budget: float | None,
    config_path: Path | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write a new round of queries from the last round's model, taking in the labels that came since."""
    from tsfal_geo.project.open_workspace import open_workspace
    from tsfal_geo.workspace.folder import WorkspaceFolder

    config = load_config(config_path, parse_set(settings), WorkspaceFolder.open(workspace).config)
    reporter = CommandReporter(as_json)
    try:
        opened = open_workspace(workspace, config=config)
        opened.request_queries(budget, strategy, reporter)
    finally:
        reporter.finish()
    reporter.result(opened.round().to_json())
