"""The tiny detector through a real TensorRT on a real GPU."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for needed in ("cv2", "onnx"):
    pytest.importorskip(needed)

from export.build_engine import BuildRequest, build_engine
from export.tensorrt_options import PluginUse, SizeRange, TensorRTOptions
from runtime.contract import read_contract, write_contract
from runtime.errors import ArtifactError, BackendError, BuildError
from runtime.geometry import Letterbox
from runtime.preprocess import letterbox_image
from runtime.trt_module import TensorRTModule
from tests.builders import TINY_BOXES_XYXY, TINY_CLASS_IDS, TINY_SCORES, write_tiny_artifact
from tests.fakes.fake_tensorrt import brightness, grey

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def engine(trt: TensorRTModule, device: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny detector built for this GPU, for one or two frames."""
    folder = tmp_path_factory.mktemp(trt.product)
    source = write_tiny_artifact(folder / "tiny.onnx")
    capabilities = (device.compute_capability,) if trt.product == "tensorrt-rtx" else ()
    options = TensorRTOptions(capabilities, SizeRange(1, 1, 2), plugins=PluginUse.NO)
    request = BuildRequest(source, folder / "tiny.engine", trt.product, options)
    try:
        build_engine(request)
    except BuildError as error:
        if trt.product == "tensorrt":
            raise
        pytest.skip(str(error))  # TensorRT-RTX knows no such GPU
    return request.out


@pytest.fixture(params=["processor", "gpu"])
def backend(
    request: pytest.FixtureRequest,
    trt: TensorRTModule,
    engine: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    """The open engine, with the letterbox on either side."""
    from runtime.backend_tensorrt import TensorRTBackend

    if request.param == "gpu":
        request.getfixturevalue("plugin_library")
    else:
        monkeypatch.setenv("CORNERRT_PLUGINS", "")
    backend = TensorRTBackend(trt)
    backend.open(engine)
    yield backend
    backend.close()


def test_a_white_frame_gives_the_detectors_boxes(backend: Any) -> None:
    outputs = backend.infer(grey(255))
    np.testing.assert_array_equal(outputs["boxes"][0], TINY_BOXES_XYXY)
    np.testing.assert_allclose(outputs["scores"][0], TINY_SCORES, atol=1e-3)
    np.testing.assert_array_equal(outputs["class_ids"][0], TINY_CLASS_IDS)


def test_every_frame_is_answered_from_its_own_pixels(backend: Any) -> None:
    for value in range(256):
        assert brightness(backend.infer(grey(value))) == value


def test_batches_of_every_size(backend: Any) -> None:
    for _ in range(2):
        pair = backend.infer(np.concatenate([grey(30), grey(90)]))
        assert np.rint(pair["scores"][:, 0] * 255).tolist() == [30, 90]
        assert brightness(backend.infer(grey(60))) == 60
    with pytest.raises(BackendError, match=r"at most \(2, 64, 64, 3\)"):
        backend.infer(grey(1, (3, 64, 64, 3)))
    assert brightness(backend.infer(grey(60))) == 60


@pytest.mark.parametrize("shape", [(480, 640, 3), (64, 64, 3), (200, 100, 3), (1, 1, 3)])
def test_prepared_pictures(backend: Any, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    letterbox = Letterbox.fit(shape[:2], (64, 64))
    wanted = backend.infer(letterbox_image(image, letterbox)[None])
    for _ in range(20):
        got = backend.infer_prepared(backend.prepare(image))
        np.testing.assert_allclose(got["scores"], wanted["scores"], atol=1 / 255)


def test_one_thread_prepares_while_another_infers(backend: Any) -> None:
    waiting: list[Any] = []
    room, ready = threading.Semaphore(4), threading.Semaphore(0)

    def capture() -> None:
        for number in range(500):
            room.acquire()
            waiting.append(backend.prepare(grey(number % 256, (64, 64, 3))))
            ready.release()

    thread = threading.Thread(target=capture)
    thread.start()
    for number in range(500):
        ready.acquire()
        assert brightness(backend.infer_prepared(waiting.pop(0))) == number % 256
        room.release()
    thread.join()


def test_a_frame_takes_no_memory(backend: Any, device: Any) -> None:
    from runtime.cuda_memory import free_memory

    for _ in range(5):
        backend.infer_prepared(backend.prepare(grey(1, (480, 640, 3))))
    with device.current():
        before = free_memory()
    for _ in range(200):
        backend.infer_prepared(backend.prepare(grey(1, (480, 640, 3))))
    with device.current():
        assert before - free_memory() < 16 * 2**20  # others may use the GPU meanwhile


def test_the_work_is_recorded(backend: Any, capfd: pytest.CaptureFixture[str]) -> None:
    backend.another().close()  # opening says so when it cannot be
    assert "no CUDA graph" not in capfd.readouterr().err


def test_two_cameras_share_one_engine(backend: Any) -> None:
    second = backend.another()
    results: dict[int, list[int]] = {}

    def camera(own: Any, start: int) -> None:
        values = range(start, start + 100)
        results[start] = [brightness(own.infer(grey(value))) for value in values]

    threads = [threading.Thread(target=camera, args=a) for a in ((backend, 0), (second, 100))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    second.close()
    assert results == {0: list(range(100)), 100: list(range(100, 200))}


def test_a_damaged_engine_is_one_error(trt: TensorRTModule, engine: Path, tmp_path: Path) -> None:
    from runtime.backend_tensorrt import TensorRTBackend

    damaged = tmp_path / "damaged.engine"
    damaged.write_bytes(engine.read_bytes()[:-100])
    write_contract(read_contract(engine), damaged)
    with pytest.raises((ArtifactError, BackendError)) as raised:
        TensorRTBackend(trt).open(damaged)
    assert "\n" not in str(raised.value)
