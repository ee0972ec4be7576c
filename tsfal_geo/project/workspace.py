"""A workspace and everything that can be done with it: the public API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tsfal_geo.config import Config, load_config
from tsfal_geo.project.answering import Answering
from tsfal_geo.project.export import ExportOptions, export_maps
from tsfal_geo.project.queries import Queries
from tsfal_geo.project.status import WorkspaceStatus, read_status
from tsfal_geo.raster.vrt import local_folder
from tsfal_geo.reporting import Reporter, SilentReporter
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    import xarray
    from numpy.typing import NDArray

    from tsfal_geo.assess.metrics import Scores
    from tsfal_geo.mapping.outputs.rasters import SceneMap
    from tsfal_geo.project.predict import Prediction
    from tsfal_geo.rounds.open_workspace import OpenWorkspace
    from tsfal_geo.rounds.result import RoundResult

PathLike = str | Path


class Workspace(Answering):
    """A folder with a model, labels and queries; `create_workspace` and `open_workspace` make one.

    Attributes:
        folder: the folder on disk.
    """

    def __init__(
        self, folder: WorkspaceFolder, request: Request, opened: OpenWorkspace | None = None
    ) -> None:
        self.folder = folder
        self._request = request
        self._opened = opened

    @property
    def config(self) -> Config:
        """The configuration that the next round uses."""
        return self._request.config

    @property
    def root(self) -> Path:
        """The folder's path."""
        return self.folder.root

    def train(self, reporter: Reporter | None = None) -> RoundResult:
        """Train until a person is needed or the budget is spent.

        A call trains a round where there are new labels, and selects queries. A call that was stopped goes on
        where it was.

        Args:
            reporter: takes lines and progress; None: nobody does.

        Returns:
            The last complete round.

        Raises:
            UserError: rasters, labels or configuration cannot be used as they are.
            Cancelled: the reporter was asked to stop; the next call goes on from there.

        Example:
            >>> result = workspace.train()
            >>> result.status
            'waiting'
        """
        from tsfal_geo.rounds.loop import train

        opened, self._opened = self._opened, None
        result = train(self._request, reporter, opened)
        self._reload()
        return result

    def request_queries(
        self,
        budget: float | None = None,
        strategy: str | None = None,
        reporter: Reporter | None = None,
        *,
        answers: int | None = None,
        minutes: float | None = None,
    ) -> Queries:
        """Select a new round of queries with the last round's model, without training.

        Args:
            budget: share of the valid pixels that may be labelled in the end, 0 to 1; None: as configured.
            strategy: name of the query strategy; None: as configured.
            reporter: takes lines and progress; None: nobody does.
            answers: annotators' answers in the end, with those until now; None: as configured.
            minutes: of annotators' time in the end; None: as configured.

        Returns:
            The new queries, by rank.

        Raises:
            UserError: there is no model yet, or a training is half done.

        Example:
            >>> queries = workspace.request_queries(budget=0.6, strategy="entropy")
            >>> queries[0].rank
            1
        """
        from tsfal_geo.rounds.loop import query

        limits = {"budget": budget, "strategy": strategy, "answers": answers, "minutes": minutes}
        named = {f"active.{name}": value for name, value in limits.items()}
        chosen = {key: value for key, value in named.items() if value is not None}
        self._request = replace(self._request, config=load_config(None, chosen, self.config))
        query(self._request, reporter)
        self._reload()
        return self.queries()

    def round(self, number: int | None = None) -> RoundResult:
        """Read the result of a complete round.

        Args:
            number: of the round; None: the last one.

        Raises:
            WorkspaceError: the round is not complete.

        Example:
            >>> workspace.round(0).number
            0
            >>> axes = workspace.round(0).plot()
        """
        from tsfal_geo.rounds.result import RoundResult

        number = self.folder.current_round if number is None else number
        metrics = self.folder.metrics(number)
        return RoundResult.of(self.root, self.folder.state.status, len(self.queries(number)), metrics)

    def predict(
        self,
        image: NDArray[Any] | xarray.DataArray,
        *,
        heights: NDArray[np.floating[Any]] | xarray.DataArray | None = None,
        nodata: float | None = None,
        probabilities: bool = True,
    ) -> Prediction:
        """Predict an image of any size.

        Args:
            image: (bands, H, W), with the bands and the pixel type of the training scenes.
            heights: (H, W), metres above local ground, for a model that was trained with a DSM.
            nodata: value of pixels without data; None: the array's own, if it declares one.
            probabilities: whether the probabilities of all classes are wanted.

        Returns:
            Classes, confidence and probabilities on the image's grid: NumPy arrays for a NumPy array,
            `xarray.DataArray` with the same coordinates for a `xarray.DataArray`.

        Raises:
            RasterError: an image that the model cannot predict.
            WorkspaceError: there is no model yet.

        Example:
            >>> image.shape
            (2, 160, 200)
            >>> workspace.predict(image).classes.shape
            (160, 200)
        """
        from tsfal_geo.inference.backends import choose_backend
        from tsfal_geo.inference.compute import choose_compute
        from tsfal_geo.inference.network import open_network
        from tsfal_geo.mapping.scene import settings_for
        from tsfal_geo.project.predict import predict_array

        pixels = prod(np.shape(image)[-2:])
        backend = choose_backend(self.config.export, choose_compute(), pixels)
        network = open_network(self.folder.current_model(), backend=backend, window=self.config.export.side)
        return predict_array(
            image,
            network,
            settings_for(network, self.config.export, self.config.plar.confidence),
            self.folder.scenes[0].dtype,
            heights=heights,
            nodata=nodata,
            probabilities=probabilities,
        )

    def export(
        self,
        rasters: PathLike | None = None,
        *,
        out: PathLike | None = None,
        layers: Sequence[str] = (),
        options: ExportOptions | None = None,
        reporter: Reporter | None = None,
    ) -> list[SceneMap]:
        """Write the map of every scene of a folder.

        Args:
            rasters: folder of scenes, or the address of a raster (``https://…``, ``s3://…``); None: the
                training scenes.
            out: folder of the maps; None: ``maps/`` in the workspace.
            layers: more rasters: some of ``confidence``, ``entropy``, ``error_mask``, ``probabilities``,
                ``source``.
            options: everything else that ``tsfal-geo export`` offers.
            reporter: takes lines and progress; None: nobody does.

        Returns:
            The files of each scene's map.

        Raises:
            UserError: there is no model, or a scene is not as the training scenes.

        Example:
            >>> maps = workspace.export("test", layers=("confidence",))
            >>> maps[0].classes.name
            's0.tif'
        """
        wanted = (options or ExportOptions()).with_layers(layers)
        is_address = isinstance(rasters, str) and "://" in rasters
        source = self.folder.raster_dir if rasters is None else rasters if is_address else Path(rasters)
        folder = local_folder(source, self.root / "remote")
        target = self.folder.maps if out is None else Path(out)
        return export_maps(self.folder, folder, target, wanted, reporter or SilentReporter())

    def evaluate(
        self, rasters: PathLike, reporter: Reporter | None = None, values: Mapping[str, str] | None = None
    ) -> Scores:
        """Compare the model's prediction of a folder of scenes with their label rasters, each pixel once.

        Args:
            rasters: folder of scenes with labels.
            reporter: takes lines and progress; None: nobody does.
            values: class by value of these label files, as ``{"255": "road"}``; None: as in training.

        Raises:
            UserError: no scene has labels, or some do not fit the workspace's classes.

        Example:
            >>> list(workspace.evaluate("test").class_iou)
            ['road', 'building', 'tree']
        """
        from tsfal_geo.project.evaluate import evaluate_folder

        return evaluate_folder(self.folder, Path(rasters), values, reporter or SilentReporter())

    def report(
        self,
        path: PathLike | None = None,
        *,
        raster: PathLike | None = None,
        compare: Sequence[PathLike] = (),
        scenes: int = 6,
        reporter: Reporter | None = None,
    ) -> Path:
        """Write accuracy, areas, confusion, effort and pictures as one HTML file, which needs no network.

        Args:
            path: of the file; None: ``maps/report.html`` in the workspace.
            raster: folder of scenes with label rasters for the confusion; None: the validation scenes.
            compare: other workspaces whose mIoU is drawn beside; one with a single round is a level line.
            scenes: number of scenes with pictures, at most.
            reporter: takes lines and progress; None: nobody does.

        Returns:
            The path of the file.

        Raises:
            UserError: no round is complete yet, or ``raster`` cannot be compared with the prediction.

        Example:
            >>> workspace.report("report.html").name
            'report.html'
        """
        from tsfal_geo.project.report.page import write_report

        return write_report(
            self.folder,
            self.folder.maps / "report.html" if path is None else Path(path),
            reporter or SilentReporter(),
            raster=None if raster is None else Path(raster),
            compare=[Path(other) for other in compare],
            scenes=scenes,
        )

    def status(self) -> WorkspaceStatus:
        """Read rounds, budget and open queries."""
        return read_status(self.folder)

    def _reload(self) -> None:
        self.folder = WorkspaceFolder.open(self.root)
        self._request = replace(self._request, fresh=False)

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()
