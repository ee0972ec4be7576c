"""``--allow-remote``: rasters on the web and in S3, read piece by piece."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click

# No listing of a file's folder on a server; EMPTY_DIR would also hide world files and names beside local
# rasters. What a server drops now and then is asked for again.
_ENVIRONMENT = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "VSI_CACHE": "TRUE",
    "VSI_CACHE_SIZE": "33554432",
}


def _allow(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        from tsfal_geo.raster.vrt import REMOTE

        os.environ[REMOTE] = "1"
        for name, setting in _ENVIRONMENT.items():
            os.environ.setdefault(name, setting)


remote_option = click.option(
    "--allow-remote",
    is_flag=True,
    expose_value=False,
    callback=_allow,
    is_eager=True,
    help="Open rasters on the web and in S3 (https://…, s3://…, and VRTs that name some).",
)


class RasterFolder(click.ParamType):
    """A folder, or the address of a raster, which becomes a text ``https://…`` or ``s3://…``."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """The address as it is; everything else as a path."""
        return value if isinstance(value, str) and re.match(r"(https?|s3)://", value) else Path(value)
