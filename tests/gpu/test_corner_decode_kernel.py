"""The kernels of decoding on a real GPU: the cases of the CPU, golden maps, CUDA graphs."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from plugins.decode_door import CornerDecodeDoor, DecodeAddresses, DecodeCall
from runtime.contract import MAP_NAMES
from tests.gpu.device_memory import DeviceArray, Gpu
from tests.plugins.corner_decode_cases import (
    CALLS,
    GOLDEN_CASES,
    LOOKS,
    Maps,
    Rows,
    assert_equal_rows,
    expected_rows,
    golden_maps,
    make_maps,
)

pytestmark = pytest.mark.gpu
LARGE = DecodeCall((4, 80, 192, 192), 100, 3, 0.5, 1000)


class OnDevice:
    """Maps, outputs and workspace of one call on the GPU; all but the maps start as garbage."""

    def __init__(self, gpu: Gpu, door: CornerDecodeDoor, call: DecodeCall, maps: Maps) -> None:
        self._door, self._call = door, call
        batch, count = call.shape[0], call.num_dets
        garbage = Rows(
            np.full((batch, count, 4), 77, np.float32),
            np.full((batch, count), 77, np.float32),
            np.full((batch, count), 77, np.int32),
            np.full((batch, count, 2), 77, np.float32),
        )
        self._maps = [gpu.upload(maps[name]) for name in MAP_NAMES]
        self._outputs: dict[str, DeviceArray] = {
            name: gpu.upload(values) for name, values in vars(garbage).items()
        }
        self._workspace = gpu.upload(np.full(door.workspace_bytes(call), 0xCD, np.uint8))

    def decode(self, stream: int = 0) -> int:
        """Enqueue; returns the error code."""
        outputs = {name: array.address for name, array in self._outputs.items()}
        maps = [array.address for array in self._maps]
        at = DecodeAddresses(maps, **outputs, workspace=self._workspace.address)
        return self._door.decode(self._call, at, stream)

    def rows(self) -> Rows:
        """Wait, and return the outputs."""
        return Rows(**{name: array.read() for name, array in self._outputs.items()})


@pytest.fixture(scope="module")
def door(gpu: Gpu, plugin_library: Path) -> CornerDecodeDoor:
    return CornerDecodeDoor(ctypes.CDLL(str(plugin_library)))


def check(gpu: Gpu, door: CornerDecodeDoor, call: DecodeCall, maps: Maps) -> None:
    device = OnDevice(gpu, door, call, maps)
    assert device.decode() == 0
    assert_equal_rows(device.rows(), expected_rows(call, maps))


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", CALLS)
def test_every_row_equals_the_reference(
    gpu: Gpu, door: CornerDecodeDoor, name: str, look: str
) -> None:
    check(gpu, door, CALLS[name], make_maps(CALLS[name], look))


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_every_row_equals_the_reference_on_golden_maps(
    gpu: Gpu, door: CornerDecodeDoor, case: str
) -> None:
    check(gpu, door, *golden_maps(case))


@pytest.mark.parametrize("look", ["plain", "ties"])
def test_a_batch_of_large_maps(gpu: Gpu, door: CornerDecodeDoor, look: str) -> None:
    check(gpu, door, LARGE, make_maps(LARGE, look))


def test_the_same_maps_give_the_same_bits(gpu: Gpu, door: CornerDecodeDoor) -> None:
    call = CALLS["many classes"]
    device = OnDevice(gpu, door, call, make_maps(call, "ties"))
    assert device.decode() == 0
    first = device.rows()
    for _ in range(20):
        assert device.decode() == 0
        for name, values in vars(device.rows()).items():
            np.testing.assert_array_equal(values, getattr(first, name))


def test_it_can_be_captured_in_a_graph(
    gpu: Gpu, door: CornerDecodeDoor, stream: ctypes.c_void_p
) -> None:
    call = CALLS["nano"]
    maps = make_maps(call, "ties")
    device = OnDevice(gpu, door, call, maps)
    graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
    gpu.call("cuStreamBeginCapture_v2", stream, 0)
    code = device.decode(stream.value or 0)
    gpu.call("cuStreamEndCapture", stream, ctypes.byref(graph))
    assert code == 0
    assert (device.rows().scores == 77).all()  # recorded, not run
    no_flags = ctypes.c_ulonglong(0)
    gpu.call("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, no_flags)
    gpu.call("cuGraphLaunch", executable, stream)
    assert_equal_rows(device.rows(), expected_rows(call, maps))
    gpu.call("cuGraphExecDestroy", executable)
    gpu.call("cuGraphDestroy", graph)
