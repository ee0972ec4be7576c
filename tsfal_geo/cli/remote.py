"""``--allow-remote``: rasters on the web and in S3, read piece by piece."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click

from tsfal_geo.errors import RasterError

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


def local_folder(raster: Path | str, folder: Path) -> Path:
    """The folder of the scenes; for an address, one in ``folder`` with a VRT of the raster.

    Raises:
        RasterError: remote rasters are not allowed, or it cannot be read.
    """
    if isinstance(raster, Path):
        return raster
    from tsfal_geo.raster.vrt import REMOTE

    if os.environ.get(REMOTE) != "1":
        raise RasterError(f"{raster}: is on the network; allow it with --allow-remote")
    import rasterio
    import rasterio.shutil
    from rasterio.errors import RasterioError

    bucket = raster.removeprefix("s3://")
    source = f"/vsicurl/{raster}" if bucket == raster else f"/vsis3/{bucket}"
    stem = re.sub(r"[^\w.-]", "_", Path(raster.split("?")[0]).stem)
    target = folder / stem / f"{stem}.vrt"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with rasterio.open(source) as dataset:
            rasterio.shutil.copy(dataset, target, driver="VRT")
    except RasterioError as error:
        mend = "check the address" if bucket == raster else "check the address and the credentials"
        raise RasterError(f"{raster}: cannot be read ({error}); {mend}") from None
    return target.parent
