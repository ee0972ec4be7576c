"""The compilation of a network to layers on rows.

The network is traced once (torch.fx). Each node of the graph becomes a layer on rows, whose reach follows
from those of its inputs; convolutions take in the batch norms behind them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tsfal_geo.inference.rows.layers import LocalAverage, Pointwise, RowLayer, Sliding, Upsample
from tsfal_geo.models.encoders import LOW_STRIDE
from tsfal_geo.models.head import ImageMean, LocalMean, alike, spread, upsample, upsample_to

_ROW_MODULES = (
    _BatchNorm, nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.SiLU, nn.GELU, nn.Sigmoid,
    nn.Tanh, nn.LeakyReLU, nn.ELU, nn.Mish, nn.Identity, nn.Dropout, nn.Dropout2d,
)  # fmt: skip
_ROW_FUNCTIONS = (
    operator.add, operator.iadd, operator.mul, operator.imul, torch.add, torch.mul, torch.relu, torch.sigmoid,
    F.relu, F.relu6, F.hardtanh, F.silu, F.gelu, F.hardswish, alike,
)  # fmt: skip
_ROW_METHODS = ("float", "sigmoid", "detach", "contiguous", "relu", "add", "mul")


class UnstreamableError(Exception):
    """A network that cannot work on rows: a layer reads the image at once, or is unknown to the compiler."""


@dataclass(frozen=True)
class Step:
    """A layer of a compiled network.

    Attributes:
        make: creates the layer, once an image.
        inputs: the steps whose rows it takes; -1 is the image.
        last_used: those of them that no later step reads.
    """

    make: Callable[[], RowLayer]
    inputs: tuple[int, ...]
    last_used: tuple[int, ...]


class _Tracer(fx.Tracer):
    """A tracer that keeps the head's resizing functions and row modules as single nodes."""

    def __init__(self) -> None:
        super().__init__(autowrap_functions=(alike, upsample, upsample_to, spread))

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        leaf = isinstance(m, (ImageMean, LocalMean, *_ROW_MODULES))
        return leaf or super().is_leaf_module(m, module_qualified_name)


def traced(network: nn.Module) -> tuple[fx.Graph, dict[str, nn.Module]]:
    """Trace a network.

    Args:
        network: in eval mode; takes one image.

    Returns:
        Its graph, and its modules by name.

    Raises:
        UnstreamableError: its computation depends on the values or sizes of its input.
    """
    try:
        module = fx.GraphModule(network, _Tracer().trace(network))
    except Exception as error:  # a network that reads its input's values may raise anything under a trace
        raise UnstreamableError(f"cannot be traced: {error}") from error
    for node in module.graph.nodes:
        # Sizes fit by construction, as the input's are multiples of all strides.
        if node.op == "call_function" and node.target in (upsample, upsample_to, spread):
            node.args, node.kwargs = node.args[:1] if node.target is not upsample else node.args[:2], {}
    module.graph.eliminate_dead_code()
    return module.graph, dict(module.named_modules())


def norm_after(node: fx.Node, modules: Mapping[str, nn.Module]) -> _BatchNorm | None:
    """Find the batch norm that alone reads a convolution's output.

    Args:
        node: any node of a traced graph.
        modules: of the graph, by name.

    Returns:
        The norm; None where the node is no plain convolution, or something else reads its output.
    """
    users = list(node.users)
    if node.op != "call_module" or type(modules[str(node.target)]) is not nn.Conv2d:
        return None
    if len(users) != 1 or users[0].op != "call_module":
        return None
    module = modules[str(users[0].target)]
    return module if isinstance(module, _BatchNorm) and module.track_running_stats else None


def activation_of(norm: _BatchNorm) -> nn.Module:
    """Give the rest of a batch norm that does more than normalise: timm's norms hold dropout and activation.

    Args:
        norm: any batch norm.

    Returns:
        The rest as a module; an empty sequence, which is the identity, for PyTorch's own norms.
    """
    return nn.Sequential(*(getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)))


class Compiler:
    """A compiler from the nodes of a graph to steps.

    A layer that reads r of its input's rows above or below a row adds r rows of that input to the reach, each
    as high as the input's stride. A node with several inputs has the greatest of their reaches.

    Attributes:
        index: the step of each node.
        stride: rows of the image to one row of a node.
        reach: rows of the image, above and below, that a node's row depends on.
    """

    def __init__(self, modules: Mapping[str, nn.Module], dtype: torch.dtype, cells: int) -> None:
        """Start without steps.

        Args:
            modules: of the graph, by name.
            dtype: floating-point type to compute in.
            cells: a side of the neighbourhood over which image pooling averages, odd.
        """
        self._modules, self._dtype, self._cells = modules, dtype, cells
        self._made: list[tuple[Callable[[], RowLayer], tuple[int, ...]]] = []
        self.index: dict[fx.Node, int] = {}
        self.stride: dict[fx.Node, int] = {}
        self.reach: dict[fx.Node, int] = {}
        self._folded: dict[fx.Node, _BatchNorm] = {}

    def add(self, node: fx.Node) -> None:
        """Compile the next node of the graph.

        Args:
            node: the nodes that it reads were compiled before.

        Raises:
            UnstreamableError: the node cannot work on rows.
        """
        if node.op == "placeholder":
            self.index[node], self.stride[node], self.reach[node] = -1, 1, 0
        elif node.op == "call_module":
            self._module(node, self._modules[str(node.target)])
        elif node.op == "call_function":
            self._function(node)
        elif node.op == "call_method" and (
            node.target in _ROW_METHODS or (node.target == "softmax" and node.args[1:] == (1,))
        ):
            self._pointwise(node, getattr(Tensor, str(node.target)))
        elif node.op != "output":
            raise UnstreamableError(f"{node.op} {node.target}")

    def steps(self, outputs: set[int]) -> tuple[Step, ...]:
        """Give all steps, with the last use of each.

        Args:
            outputs: steps whose rows are kept to the end.
        """
        last_use = {i: step for step, (_, inputs) in enumerate(self._made) for i in inputs}
        return tuple(
            Step(make, inputs, tuple(i for i in set(inputs) if last_use[i] == step and i not in outputs))
            for step, (make, inputs) in enumerate(self._made)
        )

    def _module(self, node: fx.Node, module: nn.Module) -> None:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        if source in self._folded and self._folded[source] is module:
            # The convolution before it has taken it in.
            self._pointwise(node, activation_of(self._folded[source]))
        elif type(module) is nn.Conv2d:
            norm = norm_after(node, self._modules) if self._folds(module.weight) else None
            self._convolution(node, module, norm)
        elif isinstance(module, nn.MaxPool2d):
            self._pooling(node, module)
        elif isinstance(module, (ImageMean, LocalMean)):
            reach = self.reach[source] + self._cells // 2 * self.stride[source]
            self._append(node, partial(LocalAverage, self._cells), self.stride[source], reach)
        elif isinstance(module, _ROW_MODULES):
            self._pointwise(node, module)
        else:
            raise UnstreamableError(f"{node.target}: {type(module).__name__}")

    def _function(self, node: fx.Node) -> None:
        target: Any = node.target
        source = node.all_input_nodes[0] if node.all_input_nodes else None
        if target in (upsample, upsample_to) and source is not None:
            stride = self.stride[source]
            factor = stride // LOW_STRIDE if target is upsample_to else node.args[1]
            assert isinstance(factor, int)
            reach = self.reach[source] + (stride if factor > 1 else 0)
            self._append(node, partial(Upsample, factor), stride // factor, reach)
        elif target is spread:
            self._pointwise(node, _identity)
        elif target is torch.cat:
            dimension = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
            if dimension != 1:
                raise UnstreamableError(f"cat along dimension {dimension}")
            self._pointwise(node, lambda *rows: torch.cat(rows, 1))
        elif target in _ROW_FUNCTIONS:
            self._pointwise(node, target)
        else:
            raise UnstreamableError(str(target))

    def _convolution(self, node: fx.Node, module: nn.Conv2d, norm: _BatchNorm | None) -> None:
        if module.padding_mode != "zeros" or isinstance(module.padding, str):
            raise UnstreamableError(f"{node.target}: padding {module.padding}, {module.padding_mode}")
        if norm is not None:
            self._folded[node] = norm
            module = fuse_conv_bn_eval(module, norm)
        above, beside = _pair(module.padding)
        dilation = module.dilation[0]
        extent = dilation * (module.kernel_size[0] - 1) + 1
        self._window(node, self._kernel(module, (0, beside)), extent, module.stride[0], above, 0)

    def _kernel(self, module: nn.Conv2d, padding: tuple[int, int]) -> Callable[[Tensor], Tensor]:
        weight = module.weight.detach().to(self._dtype)
        bias = None if module.bias is None else module.bias.detach()
        shape: dict[str, Any] = {
            "stride": module.stride,
            "dilation": module.dilation,
            "groups": module.groups,
        }
        if self._half_on_cpu(weight):
            # oneDNN adds a float32 bias before it rounds; a rounded bias would shift whole channels.
            return partial(torch.mkldnn_convolution, weight=weight, bias=bias, padding=padding, **shape)
        bias = None if bias is None else bias.to(self._dtype)
        return partial(F.conv2d, weight=weight, bias=bias, padding=padding, **shape)

    def _half_on_cpu(self, weight: Tensor) -> bool:
        return weight.device.type == "cpu" and self._dtype == torch.bfloat16

    def _pooling(self, node: fx.Node, module: nn.MaxPool2d) -> None:
        kernel, stride, dilation, padding = (
            _pair(v) for v in (module.kernel_size, module.stride, module.dilation, module.padding)
        )
        if module.ceil_mode:
            raise UnstreamableError(f"{node.target}: ceil_mode")
        function = partial(
            F.max_pool2d, kernel_size=kernel, stride=stride, padding=(0, padding[1]), dilation=dilation
        )
        extent = dilation[0] * (kernel[0] - 1) + 1
        self._window(node, function, extent, stride[0], padding[0], -torch.inf)

    def _folds(self, weight: Tensor) -> bool:
        return self._dtype == torch.float32 or self._half_on_cpu(weight)

    def _window(
        self, node: fx.Node, function: Callable[[Tensor], Tensor], extent: int, stride: int, padding: int,
        fill: float,
    ) -> None:  # fmt: skip
        source = node.all_input_nodes[0]
        reach = self.reach[source] + max(extent - 1 - padding, padding) * self.stride[source]
        if extent == stride == 1 and not padding:
            self._pointwise(node, function)
            return
        make = partial(Sliding, function, extent, stride, padding, fill)
        self._append(node, make, self.stride[source] * stride, reach)

    def _pointwise(self, node: fx.Node, function: Callable[..., Tensor]) -> None:
        sources = node.all_input_nodes
        if len({self.stride[source] for source in sources}) != 1:
            raise UnstreamableError(f"{node.target}: its inputs have rows of several strides")
        nodes, kwargs = node.args, node.kwargs

        def called(*rows: Tensor) -> Tensor:
            values = dict(zip(sources, rows, strict=True))
            args = fx.node.map_arg(nodes, lambda n: values[n])
            return function(*args, **kwargs)

        # A concatenation's rows come as one list, a function's constants with its rows.
        plain = node.op == "call_module" or node.target in (torch.cat, spread)
        reach = max(self.reach[source] for source in sources)
        make = partial(Pointwise, function if plain else called, len(sources))
        self._append(node, make, self.stride[sources[0]], reach)

    def _append(self, node: fx.Node, make: Callable[[], RowLayer], stride: int, reach: int) -> None:
        inputs = tuple(self.index[source] for source in node.all_input_nodes)
        self.index[node], self.stride[node], self.reach[node] = len(self._made), stride, reach
        self._made.append((make, inputs))


def _identity(rows: Tensor) -> Tensor:
    return rows


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
