"""The decoding kernels on the GPU, against PyTorch's operators there.

Both are captured in a CUDA graph that works through several sets of maps, so that launches from
the host are not what is measured; large maps come from memory, small ones may stay in the cache,
as they do behind a network. Times are those of device events.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.common import Goal, Samples, Sense, Turn, ratio_of, run_rounds, spread_of
from benchmarks.report import Findings
from detectors.decode import decode_corners
from detectors.registry import find_spec
from plugins.decode_door import CornerDecodeDoor, DecodeAddresses, DecodeCall
from plugins.kernel_doors import CUDA_SUCCESS
from plugins.library import find_library
from runtime.contract import MAP_NAMES
from runtime.errors import ArtifactError, BackendError

# Name in the registry -> classes and cells of its heatmaps.
MAPS = {
    "cornernet-hourglass104": (80, 128, 128),
    "cornernet-squeeze": (80, 64, 64),
    "cornernet-nano": (6, 64, 64),
}
KERNELS, TORCH = "three kernels", "PyTorch operators"
GOAL_MS = 0.15  # for the largest maps, on a GPU of the H200's class
GOAL_MODEL = "cornernet-hourglass104"
SETS = 8  # of maps; those of hourglass-104 are 88 MB together

Maps = dict[str, Tensor]
Action = Callable[[Maps], object]


def measure(rounds: int) -> Findings:
    """Time the decoding of one image for every network.

    Args:
        rounds: Rounds that count.

    Raises:
        BackendError: If there is no GPU for torch, or no plugin library.
    """
    door = _open_door()
    samples: Samples = {}
    for model in MAPS:
        call = decode_call(model)
        turns = [
            _graph_turn(f"{model}: {KERNELS}", call, _Kernels(door, call)),
            _graph_turn(f"{model}: {TORCH}", call, lambda maps, call=call: _decode(call, maps)),
        ]
        samples |= run_rounds(turns, rounds)
    return summarize(samples)


def decode_call(model: str) -> DecodeCall:
    """Return how a network of the registry decodes one image."""
    params = find_spec(model).decode
    return DecodeCall(
        (1, *MAPS[model]),
        params.top_k,
        params.nms_kernel,
        params.ae_threshold,
        params.num_dets,
        params.pair_score,
    )


def summarize(samples: Samples) -> Findings:
    """Turn times into ratios and the goals: fast enough, and faster than PyTorch."""
    kernel_ms = spread_of(samples[f"{GOAL_MODEL}: {KERNELS}"]).median
    goals = [Goal(f"{GOAL_MODEL}: milliseconds", kernel_ms, Sense.AT_MOST, GOAL_MS)]
    ratios = {}
    for model in MAPS:
        label = f"{model}: {KERNELS}, times as fast as {TORCH}"
        ratios[label] = ratio_of(samples[f"{model}: {TORCH}"], samples[f"{model}: {KERNELS}"])
        goals.append(Goal(label, ratios[label].of_medians, Sense.AT_LEAST, 1.0))
    settings = {"maps": {name: list(shape) for name, shape in MAPS.items()}, "sets": SETS}
    return Findings(settings, samples, ratios, tuple(goals))


def random_maps(call: DecodeCall, device: str) -> Maps:
    """Return maps with many weak peaks, the most work for the search of the strongest."""
    batch, _, height, width = call.shape
    maps = {}
    for name in MAP_NAMES:
        channels = {"heat": call.shape[1], "tag": 1, "off": 2}[name[3:]]
        values = torch.randn(batch, channels, height, width, device=device)
        maps[name] = 1.5 * values - 4 if name.endswith("heat") else 0.3 * values
    return maps


class _Kernels:
    """Decodes with the plugin library, into tensors of its own."""

    def __init__(self, door: CornerDecodeDoor, call: DecodeCall) -> None:
        self._door, self._call = door, call
        batch, count = call.shape[0], call.num_dets
        self._boxes, self._scores, self._corner_scores = (
            torch.empty(batch, count, columns, device="cuda") for columns in (4, 1, 2)
        )
        self._class_ids = torch.empty(batch, count, dtype=torch.int32, device="cuda")
        size = door.workspace_bytes(call)
        self._workspace = torch.empty(size, dtype=torch.uint8, device="cuda")

    def __call__(self, maps: Maps) -> None:
        at = DecodeAddresses(
            [maps[name].data_ptr() for name in MAP_NAMES],
            self._boxes.data_ptr(),
            self._scores.data_ptr(),
            self._class_ids.data_ptr(),
            self._corner_scores.data_ptr(),
            self._workspace.data_ptr(),
        )
        code = self._door.decode(self._call, at, torch.cuda.current_stream().cuda_stream)
        if code != CUDA_SUCCESS:
            raise ArtifactError(
                f"decoding returned CUDA error {code}; expected kernels for this GPU; build them "
                "here: make plugins"
            )


def _decode(call: DecodeCall, maps: Maps) -> Tensor:
    return decode_corners(
        maps,
        call.top_k,
        call.nms_kernel,
        call.ae_threshold,
        call.num_dets,
        pair_score=call.pair_score,
    )


def _open_door() -> CornerDecodeDoor:
    if not torch.cuda.is_available():
        raise BackendError(
            "torch sees no NVIDIA GPU; expected one to measure on; install torch with CUDA"
        )
    library = find_library()
    if library is None:
        raise BackendError("found no plugin library; expected one to measure; run: make plugins")
    return CornerDecodeDoor(ctypes.CDLL(str(library)))


def _graph_turn(label: str, call: DecodeCall, action: Action) -> Turn:
    """Capture one pass over several sets of maps; returns a turn that times it per set."""
    sets = [random_maps(call, "cuda") for _ in range(SETS)]
    graph = torch.cuda.CUDAGraph()
    used = (sets, action)  # the graph works in their memory and does not hold it
    action(sets[0])  # what happens only at first
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        for maps in sets:
            action(maps)

    def turn() -> dict[str, float]:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        return {label: start.elapsed_time(end) / len(used[0])}

    return turn
