"""The kernels of corner pooling on a real GPU: the cases of the CPU, large maps, CUDA graphs."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from plugins.kernel_doors import CornerPoolDoors, FeatureMap, Layout, NumberType
from plugins.reference import corner_pool
from tests.gpu.device_memory import DeviceArray, Gpu
from tests.plugins.corner_pool_cases import DIRECTIONS, OFFERED, SHAPES, make_case, pack, unpack
from tests.plugins.test_corner_pool_kernel import SUM_SHAPES

pytestmark = pytest.mark.gpu
KINDS = [pytest.param(t, layout, id=f"{t.name}-{layout.name}") for t, layout in OFFERED]
LARGE_SHAPES = ((8, 128, 128, 128), (1, 256, 64, 64), (2, 3, 1500, 2100), (64, 33, 17, 19))


@pytest.fixture(scope="module")
def doors(gpu: Gpu, plugin_library: Path) -> CornerPoolDoors:
    return CornerPoolDoors(ctypes.CDLL(str(plugin_library)))


@pytest.mark.parametrize("shape", (*SHAPES, *LARGE_SHAPES), ids=str)
@pytest.mark.parametrize(("number_type", "layout"), KINDS)
def test_it_equals_the_reference(
    gpu: Gpu,
    doors: CornerPoolDoors,
    number_type: NumberType,
    layout: Layout,
    shape: tuple[int, int, int, int],
) -> None:
    case = make_case(number_type, layout, shape)
    packed = pack(case.values, layout)
    source = gpu.upload(packed)
    for direction in DIRECTIONS:
        result = gpu.upload(np.full_like(packed, 77))
        assert doors.pool(case.features, direction, source.address, result.address) == 0
        np.testing.assert_array_equal(
            unpack(result.read(), case.features), corner_pool(case.values, direction), direction
        )


@pytest.mark.parametrize("shape", (*SUM_SHAPES, (2, 128, 128, 128)), ids=str)
@pytest.mark.parametrize(("number_type", "layout"), KINDS[:4])
def test_the_sum_of_two_pools(
    gpu: Gpu,
    doors: CornerPoolDoors,
    number_type: NumberType,
    layout: Layout,
    shape: tuple[int, int, int, int],
) -> None:
    features, values = (case := make_case(number_type, layout, shape)).features, case.values
    other = np.flip(values, (1, 2, 3)) * values.dtype.type(0.37)
    first, second = gpu.upload(pack(values, layout)), gpu.upload(pack(other, layout))
    result = gpu.upload(np.full_like(pack(values, layout), 77))
    sides = (("top", first.address), ("left", second.address))
    assert doors.pool_sum(features, *sides, result.address) == 0
    with np.errstate(invalid="ignore", over="ignore"):
        expected = corner_pool(values, "top") + corner_pool(other, "left")
    np.testing.assert_array_equal(unpack(result.read(), features), expected)


def test_numbers_that_share_no_pack(gpu: Gpu, doors: CornerPoolDoors) -> None:
    """An address that is a multiple of one number only."""
    case = make_case(NumberType.HALF, Layout.LINEAR, (1, 4, 6, 32))
    source = gpu.upload(np.concatenate([[np.float16(0)], case.values.ravel()]))
    for direction in DIRECTIONS:
        result = gpu.upload(np.zeros(case.values.size + 1, np.float16))
        addresses = (array.address + 2 for array in (source, result))
        assert doors.pool(case.features, direction, *addresses) == 0
        np.testing.assert_array_equal(
            result.read()[1:].reshape(case.values.shape), corner_pool(case.values, direction)
        )


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_it_can_be_captured_in_a_graph(
    gpu: Gpu, doors: CornerPoolDoors, stream: ctypes.c_void_p, direction: str
) -> None:
    case = make_case(NumberType.FLOAT, Layout.LINEAR, (1, 8, 64, 64))
    source, result = gpu.upload(case.values), gpu.upload(np.zeros_like(case.values))
    graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
    gpu.call("cuStreamBeginCapture_v2", stream, 0)
    code = doors.pool(case.features, direction, source.address, result.address, stream.value or 0)
    gpu.call("cuStreamEndCapture", stream, ctypes.byref(graph))
    assert code == 0
    assert not result.read().any()  # recorded, not run
    no_flags = ctypes.c_ulonglong(0)
    gpu.call("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, no_flags)
    gpu.call("cuGraphLaunch", executable, stream)
    np.testing.assert_array_equal(result.read(), corner_pool(case.values, direction))
    gpu.call("cuGraphExecDestroy", executable)
    gpu.call("cuGraphDestroy", graph)


def test_offsets_beyond_32_bits(gpu: Gpu, doors: CornerPoolDoors) -> None:
    """4.4 GB of int8; the first and the last plane are looked at."""
    planes, height, width = 130, 5793, 5793
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    gpu.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
    if free.value < 10 << 30:
        pytest.skip(f"{free.value >> 30} GiB of GPU memory are free; needs 10")
    features = FeatureMap((1, planes, height, width), NumberType.INT8)
    plane = make_case(NumberType.INT8, Layout.LINEAR, (1, 1, height, width)).values[0, 0]
    source, result = (DeviceArray(gpu, features.shape, plane.dtype) for _ in range(2))
    for index in range(planes):
        source.write(plane, index * plane.nbytes)
    for direction in DIRECTIONS:
        assert doors.pool(features, direction, source.address, result.address) == 0
        expected = corner_pool(plane[None, None], direction)[0, 0]
        for index in (0, planes - 1):
            np.testing.assert_array_equal(
                result.read(plane.shape, index * plane.nbytes), expected, direction
            )
