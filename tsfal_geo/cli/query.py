"""``tsfal-geo query``: queries from the current model, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from tsfal_geo.cli.command import ReportedCommand
from tsfal_geo.cli.options import budget_options, budget_overrides, config_options, workspace_option
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.config import QueryStrategy, load_config, parse_set


@click.command("query", cls=ReportedCommand)
@workspace_option
@click.option("--strategy", type=click.Choice(get_args(QueryStrategy)), help="Strategy that selects queries.")
@budget_options
@config_options
def command(
    workspace: Path,
    strategy: str | None,
    config_path: Path | None,
    settings: tuple[str, ...],
    reporter: CommandReporter,
    **limits: Any,
) -> dict[str, Any]:
    """Select a new round of queries with the last round's model and the current labels, without training."""
    from tsfal_geo.project.open_workspace import open_workspace
    from tsfal_geo.workspace.folder import WorkspaceFolder

    overrides = {**parse_set(settings), **budget_overrides(limits)}
    config = load_config(config_path, overrides, WorkspaceFolder.open(workspace).config)
    opened = open_workspace(workspace, config=config)
    opened.request_queries(strategy=strategy, reporter=reporter)
    return opened.round().to_json()
