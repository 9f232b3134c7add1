"""Rounding what an addition reads: it is no module, so no hook reaches its operands.

A ``TorchFunctionMode`` sees every torch function while the network runs; hooks on the modules say
whose ``forward`` is running, so that an addition has the name that the exported graph gives it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from detectors.fake_quantize_layers import round_activation
from detectors.network_facts import addition_name

_ADDITIONS = (torch.add, Tensor.add, Tensor.add_)

Scales = Mapping[str, tuple[float | None, float | None]]


def round_additions(network: nn.Module, scales: Scales) -> None:
    """Let a network round operands of additions; what others read of them stays as it is.

    Args:
        network: Changed in place: it gets hooks, which a copy of it gets its own of.
        scales: Steps of both operands' grids, None for one that is not rounded, by the addition's
            name; see ``detectors.network_facts.addition_name``.
    """
    if not scales:
        return
    watch = _AdditionWatch(scales)
    network.register_forward_pre_hook(watch.begin)
    for path, module in network.named_modules():
        visit = _Visit(watch, path)
        module.register_forward_pre_hook(visit.enter)
        module.register_forward_hook(visit.leave, always_call=True)
    network.register_forward_hook(watch.end, always_call=True)


class _AdditionWatch(TorchFunctionMode):
    """Counts additions by the module in whose ``forward`` they happen, and rounds their operands.

    Attributes:
        paths: Modules whose ``forward`` is running, the innermost last.
    """

    def __init__(self, scales: Scales) -> None:
        super().__init__()
        self.paths: list[str] = []
        self._scales = scales
        self._counts: Counter[str] = Counter()

    def begin(self, module: nn.Module, inputs: Any) -> None:
        """Watch from here on."""
        self.paths.clear()
        self._counts.clear()
        self.__enter__()

    def end(self, module: nn.Module, inputs: Any, outputs: Any) -> None:
        """Watch no longer."""
        self.__exit__(None, None, None)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a torch function; torch switches the mode off while this runs."""
        if func in _ADDITIONS and self.paths:
            path = self.paths[-1]
            name = addition_name(path, self._counts[path])
            self._counts[path] += 1
            if name in self._scales:
                args = tuple(map(_rounded, args, self._scales[name]))
        return func(*args, **(kwargs or {}))


class _Visit:
    """Hooks of one module; an object and no closure, so that copies of a network get their own.

    Args:
        watch: Told that the module's ``forward`` begins and ends.
        path: Of the module.
    """

    def __init__(self, watch: _AdditionWatch, path: str) -> None:
        self._watch, self._path = watch, path

    def enter(self, module: nn.Module, inputs: Any) -> None:
        self._watch.paths.append(self._path)

    def leave(self, module: nn.Module, inputs: Any, outputs: Any) -> None:
        self._watch.paths.pop()


def _rounded(operand: Tensor, scale: float | None) -> Tensor:
    return operand if scale is None else round_activation(operand, scale)
