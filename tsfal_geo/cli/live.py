"""``tsfal-geo live``: a session that follows each answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tsfal_geo.cli.command import ReportedCommand
from tsfal_geo.cli.options import workspace_option
from tsfal_geo.cli.reporter import CommandReporter


@click.command("live", cls=ReportedCommand)
@workspace_option
def command(workspace: Path, reporter: CommandReporter) -> dict[str, Any]:
    """Follow the answers that annotators commit: map, queries and accuracy change within a second.

    The session only reads the label stores. It goes on until it is stopped with Ctrl-C, or its stdin closes.
    Programs send messages to it with --json (docs/live.md).
    """
    from tsfal_geo.live.serve import Dialogue
    from tsfal_geo.live.session import LiveSession
    from tsfal_geo.reporting import stop_on_signals

    with stop_on_signals(reporter.stop), LiveSession(workspace, reporter, background=True) as session:
        Dialogue(session, reporter, reporter.messages).run()
        return {"round": session.round, **session.progress().to_json()}
