"""``--allow-remote``: rasters on the web and in S3, of which only the required blocks are read."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

# No listing of a file's folder on a server; EMPTY_DIR would also hide world files and names beside local
# rasters. Requests that a server drops are repeated.
_ENVIRONMENT = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "VSI_CACHE": "TRUE",
    "VSI_CACHE_SIZE": "33554432",
}

_NOWHERE = "/vsicurl/nowhere"


def forbid_network() -> None:
    """Turn GDAL's access to the network off, before GDAL is loaded; ``--allow-remote`` turns it on again.

    Every raster and vector file is checked before it is opened, too: this is the second lock.
    """
    os.environ.setdefault("CPL_VSIL_CURL_ALLOWED_FILENAME", _NOWHERE)


def _allow(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        from tsfal_geo.raster.vrt import REMOTE

        os.environ[REMOTE] = "1"
        if os.environ.get("CPL_VSIL_CURL_ALLOWED_FILENAME") == _NOWHERE:
            del os.environ["CPL_VSIL_CURL_ALLOWED_FILENAME"]
        for name, setting in _ENVIRONMENT.items():
            os.environ.setdefault(name, setting)


remote_option = click.option(
    "--allow-remote",
    is_flag=True,
    expose_value=False,
    callback=_allow,
    is_eager=True,
    help="Open rasters on the web and in S3: https://…, s3://…, and VRTs that refer to them.",
)


def path_or_address(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> Path | str | None:
    """Keep the address of a raster (``https://…``, ``s3://…``) as text; turn everything else into a path.

    Args:
        value: the text of an option; None: it was not given.

    Returns:
        The address, the path, or None.
    """
    return value if value is None or re.match(r"(https?|s3)://", value) else Path(value)
