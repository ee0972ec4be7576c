"""tsfal-geo: label less, map everything."""

__version__ = "0.1.0"
