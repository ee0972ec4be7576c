"""Runtimes that compute a network on windows: PyTorch, OpenVINO or ONNX Runtime.

The last two run a converted copy of the network for windows of one size. A copy is used only if it agrees
with PyTorch on a test image. PyTorch computes everything else: GPUs, scenes in one piece, windows of other
sizes and networks that cannot be converted.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from tsfal_geo.config import ExportConfig
from tsfal_geo.errors import require_extra
from tsfal_geo.inference.compute import Compute

PYTORCH, OPENVINO, ONNX = "pytorch", "openvino", "onnx"
_PACKAGES = {OPENVINO: ("openvino",), ONNX: ("onnx", "onnxscript", "onnxruntime")}
_NAMES = {PYTORCH: "PyTorch", OPENVINO: "OpenVINO", ONNX: "ONNX Runtime"}

WORTHWHILE = 16 * 2**20
"""Pixels of all scenes from which a conversion, some 5 CPU seconds, costs less than it saves."""

_AGREEMENT = {torch.float32: 1e-4, torch.bfloat16: 0.02}
"""Largest mean difference of probabilities between a copy and PyTorch in float32."""
_OPSET = 18

Run = Callable[[Tensor], tuple[Tensor, ...]]
"""From one normalised image (1, B, h, w) float32 to output layers, float32."""


@dataclass(frozen=True)
class Converted:
    """A converted network.

    Attributes:
        run: computes the layers of one image.
        size: height and width of the images that it takes.
        name: of the runtime, with its number type.
    """

    run: Run
    size: tuple[int, int]
    name: str

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the layers of a batch, image by image.

        Args:
            images: (N, B, h, w) float32, normalised.

        Returns:
            Layers (N, channels, h / 4, w / 4) float32.
        """
        found = [self.run(image[None].contiguous()) for image in images]
        return tuple(torch.cat(layers) for layers in zip(*found, strict=True))


def choose_backend(export: ExportConfig, compute: Compute, pixels: int) -> str:
    """Choose the runtime of a network that predicts windows.

    Args:
        export: the configuration's section of maps; ``auto`` leaves the choice to the machine and the work.
        compute: device and number type.
        pixels: of all scenes together.

    Returns:
        ``pytorch``, ``openvino`` or ``onnx``. By ``auto`` a CPU gets OpenVINO if it is installed. Otherwise
        it gets ONNX Runtime, unless PyTorch computes in bfloat16, which is faster than its float32.

    Raises:
        UserError: the configured runtime is not installed.
    """
    wanted = export.backend
    if wanted in _PACKAGES:
        _require(wanted)
    if compute.device.type != "cpu" or export.window == "scene":
        return PYTORCH
    if wanted != "auto":
        return wanted
    if pixels >= WORTHWHILE:
        if _installed(OPENVINO):
            return OPENVINO
        if compute.dtype is None and _installed(ONNX):
            return ONNX
    return PYTORCH


def convert(network: nn.Module, channels: int, size: int, backend: str, compute: Compute) -> Converted | None:
    """Convert a network for square windows of one size.

    Args:
        network: in eval mode on the CPU; from normalised images (1, B, h, w) to a tuple of layers. It stays
            as it is.
        channels: B.
        size: pixels a side of a window.
        backend: ``openvino`` or ``onnx``.
        compute: number type, which OpenVINO follows; ONNX Runtime computes in float32.

    Returns:
        The copy; None if the runtime cannot convert the network or disagrees with PyTorch.

    Raises:
        UserError: the runtime is not installed.
    """
    _require(backend)
    # A trace keeps as constants what it cannot follow: they agree on the traced image, not on another one.
    generator = torch.Generator().manual_seed(0)
    traced, image = torch.randn((2, 1, channels, size, size), generator=generator)
    dtype = torch.bfloat16 if backend == OPENVINO and compute.dtype is torch.bfloat16 else torch.float32
    make = _with_openvino if backend == OPENVINO else _with_onnx
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            run = make(network, traced, dtype)
            pairs = list(zip(network(image), run(image), strict=True))
    except Exception:
        # Converters fail with errors of their own, of any type; PyTorch computes every network.
        logging.getLogger(__name__).info("conversion to %s failed", backend, exc_info=True)
        return None
    # Written so that NaN counts as a disagreement.
    if not all(float((ours - theirs).abs().mean()) <= _AGREEMENT[dtype] for ours, theirs in pairs):
        return None
    return Converted(run, (size, size), runtime_name(backend, dtype))


def runtime_name(backend: str, dtype: torch.dtype | None, instead_of: str | None = None) -> str:
    """Name a runtime for people.

    Args:
        backend: ``pytorch``, ``openvino`` or ``onnx``.
        dtype: number type; None: float32.
        instead_of: the runtime that could not convert the network.

    Example:
        >>> runtime_name("pytorch", None, "openvino")
        'PyTorch, float32 (OpenVINO cannot run this network)'
    """
    name = f"{_NAMES[backend]}, {str(dtype or torch.float32).removeprefix('torch.')}"
    return name if instead_of is None else f"{name} ({_NAMES[instead_of]} cannot run this network)"


def _installed(backend: str) -> bool:
    return all(find_spec(package) is not None for package in _PACKAGES[backend])


def _require(backend: str) -> None:
    for package in _PACKAGES[backend]:
        require_extra(package, backend, f"export.backend={backend}")


def _with_openvino(network: nn.Module, image: Tensor, dtype: torch.dtype) -> Run:
    import openvino

    model = openvino.convert_model(network, example_input=image, input=list(image.shape))
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "bf16" if dtype is torch.bfloat16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
        # Pinned threads of several processes would share a core.
        "ENABLE_CPU_PINNING": False,
    }
    request = openvino.compile_model(model, "CPU", options).create_infer_request()

    def run(one: Tensor) -> tuple[Tensor, ...]:
        found = request.infer([one.numpy()])
        # The request owns its outputs and overwrites them in the next call.
        return tuple(torch.from_numpy(values.copy()) for values in found.values())

    return run


def _with_onnx(network: nn.Module, image: Tensor, dtype: torch.dtype) -> Run:
    import onnxruntime

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(network, (image,), opset_version=_OPSET, dynamo=True, verbose=False)
    assert program is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (name,) = (each.name for each in session.get_inputs())

    def run(one: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.from_numpy(values) for values in session.run(None, {name: one.numpy()}))

    return run
