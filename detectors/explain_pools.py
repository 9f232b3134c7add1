"""What corner pooling does to one image: the features before and after each of the four pools."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from detectors.explain_corners import Corner
from detectors.heads import POOL_DIRECTIONS, CornerPool
from runtime.contract import MAP_NAMES
from runtime.errors import UsageError

KIND_OF = {
    direction: kind for kind, directions in POOL_DIRECTIONS.items() for direction in directions
}


@dataclass
class Watched:
    """What passed through a network while it was watched, of the first image of the last call.

    Attributes:
        maps: The raw maps, (1, channels, h, w) each.
        pools: Input and output of the corner pool of each direction, (channels, h, w) each.
    """

    maps: dict[str, Tensor] = field(default_factory=dict)
    pools: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class PoolView:
    """One channel of one corner pool.

    Attributes:
        direction: The border that its maxima travel towards.
        kind: The corner that it looks for, "tl" or "br".
        channel: The channel shown.
        channels: How many there are.
        before: float32 (h, w), what entered the pool.
        after: float32 (h, w), what left it.
    """

    direction: str
    kind: str
    channel: int
    channels: int
    before: np.ndarray
    after: np.ndarray


@contextlib.contextmanager
def watch(network: nn.Module) -> Iterator[Watched]:
    """Record a network's raw maps and the features around its corner pools.

    Args:
        network: A CornerNet in evaluation mode; unchanged afterwards.

    Yields:
        What was seen; filled while the block runs the network.

    Raises:
        UsageError: If the network predicts no corners, as soon as it has run.
    """
    seen = Watched()

    def keep_maps(_module: nn.Module, _inputs: object, maps: dict[str, Tensor]) -> None:
        if not set(MAP_NAMES) <= set(maps):
            raise UsageError(
                f"the network predicts {', '.join(maps)}; expected the maps of a CornerNet, "
                f"{', '.join(MAP_NAMES)}; choose another --model"
            )
        seen.maps = {name: values[:1].detach() for name, values in maps.items()}

    def keep_pool(pool: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        seen.pools[pool.direction] = (inputs[0][0].detach(), output[0].detach())

    pools = [module for module in network.modules() if isinstance(module, CornerPool)]
    handles = [pool.register_forward_hook(keep_pool) for pool in pools]
    handles.append(network.register_forward_hook(keep_maps))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def view_pools(seen: Watched, corners: Sequence[Corner]) -> tuple[PoolView, ...]:
    """Choose the channel of every pool that says most about the corners found.

    Args:
        seen: What ``watch`` recorded.
        corners: The strong corners of both kinds.

    Returns:
        A view per pool that ran, in the order top, left, bottom, right.
    """
    views = []
    for direction, kind in KIND_OF.items():
        if direction not in seen.pools:
            continue
        before, after = (features.float().cpu() for features in seen.pools[direction])
        cells = [corner.cell_xy for corner in corners if corner.kind == kind]
        channel = choose_channel(after, cells)
        images = (features[channel].numpy() for features in (before, after))
        views.append(PoolView(direction, kind, channel, len(after), *images))
    return tuple(views)


def choose_channel(pooled: Tensor, cells_xy: Sequence[tuple[int, int]]) -> int:
    """Return the channel that stands out most at the given cells.

    A channel's mean at the cells is compared with its mean over the map, in units of its standard
    deviation: a channel that is large everywhere says nothing about corners. Without cells it is
    the channel that varies most.

    Args:
        pooled: Float (channels, h, w), what left a pool.
        cells_xy: Columns and rows.
    """
    flat = pooled.flatten(1)
    deviation = flat.std(dim=1, correction=0)
    if not cells_xy:
        return int(deviation.argmax())
    columns, rows = torch.tensor(cells_xy).T
    excess = pooled[:, rows, columns].mean(dim=1) - flat.mean(dim=1)
    # A nearly constant channel would win by dividing by nearly nothing.
    return int((excess / (deviation + 0.1 * deviation.max() + 1e-12)).argmax())
