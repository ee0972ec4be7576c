"""tsfal-geo: label less, map everything.

The library under the command line. A workspace is made for a folder of orthophotos; it trains, selects
queries, takes answers and writes maps:

    >>> import tsfal_geo as tg
    >>> workspace = tg.create_workspace("ws", rasters="dir", validation="val", config=config)
    >>> result = workspace.train()
    >>> workspace.label("anna", workspace.queries()[0], "building")
    >>> maps = workspace.export("test")

Names are imported when they are first used, so that ``import tsfal_geo`` is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsfal_geo.assess.metrics import Scores
    from tsfal_geo.classes import ClassInfo, ClassMap
    from tsfal_geo.config import Config, load_config
    from tsfal_geo.errors import UserError
    from tsfal_geo.labels.model import Query
    from tsfal_geo.mapping.outputs.rasters import SceneMap
    from tsfal_geo.project.export import ExportOptions
    from tsfal_geo.project.open_workspace import create_workspace, open_workspace
    from tsfal_geo.project.predict import Prediction
    from tsfal_geo.project.queries import Queries
    from tsfal_geo.project.status import WorkspaceStatus
    from tsfal_geo.project.workspace import Workspace
    from tsfal_geo.rounds.result import RoundResult
    from tsfal_geo.versions import __version__

__all__ = [
    "ClassInfo",
    "ClassMap",
    "Config",
    "ExportOptions",
    "Prediction",
    "Queries",
    "Query",
    "RoundResult",
    "SceneMap",
    "Scores",
    "UserError",
    "Workspace",
    "WorkspaceStatus",
    "__version__",
    "create_workspace",
    "load_config",
    "open_workspace",
]

_HOMES = {
    "ClassInfo": "classes",
    "ClassMap": "classes",
    "Config": "config",
    "ExportOptions": "project.export",
    "Prediction": "project.predict",
    "Queries": "project.queries",
    "Query": "labels.model",
    "RoundResult": "rounds.result",
    "SceneMap": "mapping.outputs.rasters",
    "Scores": "assess.metrics",
    "UserError": "errors",
    "Workspace": "project.workspace",
    "WorkspaceStatus": "project.status",
    "__version__": "versions",
    "create_workspace": "project.open_workspace",
    "load_config": "config",
    "open_workspace": "project.open_workspace",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
