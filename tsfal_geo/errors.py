"""Errors for users: each message names the file or option, the finding, the expectation and the remedy."""

from importlib.util import find_spec


class UserError(Exception):
    """A mistake of the user, in one line that names the file or option and the remedy.

    The command line prints the message without a traceback.

    Attributes:
        exit_code: exit status of the command.
        code: kind of the error in the JSON protocol.
    """

    exit_code = 2
    code = "user"


class RasterError(UserError, ValueError):
    """A raster that cannot be used unchanged."""

    code = "raster"


class LabelError(UserError, ValueError):
    """Labels that do not fit their scene or the class map."""

    code = "labels"


class ConfigError(UserError, ValueError):
    """A configuration key or value that does not exist or is out of range."""

    code = "config"


class WeightsError(UserError, RuntimeError):
    """Weights that are not available, or do not fit the network."""

    code = "weights"


class WorkspaceError(UserError, RuntimeError):
    """A folder that is no workspace, or a workspace that is damaged, locked or of a newer schema."""

    exit_code = 3
    code = "workspace"


class Cancelled(Exception):
    """The end of a run by closed stdin, SIGINT or SIGTERM; all completed work is kept."""

    exit_code = 4
    code = "cancelled"


def require_extra(package: str, extra: str, purpose: str) -> None:
    """Refuse to start on something whose optional package is not installed.

    Args:
        package: the package, by the name that it is imported by.
        extra: the extra of ``tsfal-geo`` that installs it.
        purpose: the file, option or format that needs it; the message begins with it.

    Raises:
        UserError: the package is not installed.
    """
    if find_spec(package) is None:
        raise UserError(f"{purpose} needs {package}; `pip install 'tsfal-geo[{extra}]'`")
