"""tsfal-geo: label less, map everything."""

from importlib.metadata import version

__version__ = version("tsfal-geo")
