"""Frames through engines on the software GPU: what comes out, from which thread, and the end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugins.library
from runtime.backends import BACKENDS, open_backend
from runtime.errors import BackendError
from runtime.flow import CameraInput, FlowOptions
from runtime.geometry import Letterbox
from runtime.pipeline import Pipeline
from runtime.postprocess import PostprocessOptions
from runtime.preprocess import letterbox_image
from runtime.sources import SourceSpec
from runtime.trt_module import Gpu
from tests.builders import TINY_BOXES_XYXY, TINY_CLASS_IDS, TINY_CONTRACT, TINY_SCORES
from tests.fakes.cuda_driver import FakeDriver
from tests.fakes.fake_tensorrt import (
    FakeTensorRT,
    brightness,
    grey,
    new_backend,
    write_tiny_engine,
)
from tests.fakes.sinks import FakeSink
from tests.fakes.sources import FakeSource

Install = Callable[[FakeDriver], FakeDriver]
PRODUCTS = ("tensorrt", "tensorrt-rtx")

pytestmark = [
    pytest.mark.usefixtures("no_library"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("integrated", [False, True])
def test_a_white_frame_gives_the_detectors_boxes(
    tmp_path: Path, install_gpu: Install, product: str, integrated: bool
) -> None:
    driver = install_gpu(FakeDriver(integrated=integrated))
    backend = new_backend(FakeTensorRT(driver, product))
    backend.open(write_tiny_engine(tmp_path / "tiny.engine", product))
    outputs = backend.infer(grey(255))
    assert backend.name == product and backend.network_ms > 0
    np.testing.assert_array_equal(outputs["boxes"][0], TINY_BOXES_XYXY)
    np.testing.assert_allclose(outputs["scores"][0], TINY_SCORES, rtol=1e-6)
    np.testing.assert_array_equal(outputs["class_ids"][0], TINY_CLASS_IDS)
    assert {name: array.dtype.name for name, array in outputs.items()} == {
        spec.name: spec.dtype for spec in TINY_CONTRACT.outputs
    }
    backend.close()
    assert driver.is_empty


def test_the_largest_batch_is_that_of_the_engine(backend: Any) -> None:
    assert backend.largest_batch == 2
    backend.close()


def test_results_stay_valid_after_the_next_call_and_after_closing(backend: Any) -> None:
    outputs = [backend.infer(grey(value)) for value in (10, 200)]
    backend.close()
    assert [brightness(each) for each in outputs] == [10, 200]


@pytest.mark.parametrize("shape", [(48, 64, 3), (64, 64, 3), (200, 100, 3), (1, 1, 3)])
def test_a_prepared_picture_is_letterboxed_by_the_processor(
    backend: Any, driver: FakeDriver, shape: tuple[int, ...]
) -> None:
    check_prepared(backend, shape)
    assert "letterbox" not in driver.calls


@pytest.mark.parametrize("shape", [(48, 64, 3), (64, 64, 3), (200, 100, 3), (1, 1, 3)])
def test_a_prepared_picture_is_letterboxed_by_the_gpu(
    gpu_letterbox: None, backend: Any, driver: FakeDriver, shape: tuple[int, ...]
) -> None:
    check_prepared(backend, shape)
    assert "letterbox" in driver.calls


@pytest.mark.parametrize("scaled_on", ["processor", "gpu"])
def test_pictures_of_several_cameras_share_a_batch(
    scaled_on: str, request: pytest.FixtureRequest, driver: FakeDriver
) -> None:
    if scaled_on == "gpu":
        request.getfixturevalue("gpu_letterbox")
    backend = request.getfixturevalue("backend")
    bright = np.full((48, 64, 3), 200, np.uint8)
    dark = np.full((96, 96, 3), 40, np.uint8)
    alone = [backend.infer_prepared(backend.prepare(image)) for image in (bright, dark)]
    together = backend.infer_batch([backend.prepare(bright), backend.prepare(dark)])
    for one, same in zip(together, alone, strict=True):
        assert {name: array.shape for name, array in one.items()} == {
            name: array.shape for name, array in same.items()
        }
        assert brightness(one) == brightness(same)


def test_a_smaller_batch_keeps_the_shape_and_its_graph(backend: Any, driver: FakeDriver) -> None:
    frames = [backend.prepare(np.full((64, 64, 3), value, np.uint8)) for value in (200, 40)]
    backend.infer_batch(frames)
    session = backend._session
    plan = session._plan
    (alone,) = backend.infer_batch(frames[1:])
    assert session._plan is plan, "a new shape would cost a new graph"
    assert brightness(alone) == 40
    assert alone["boxes"].shape[0] == 1


def check_prepared(backend: Any, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    kept = image.copy()
    prepared = backend.prepare(image)
    np.testing.assert_array_equal(image, kept)
    image[:] = 0  # not needed afterwards
    outputs = backend.infer_prepared(prepared)
    letterbox = Letterbox.fit(shape[:2], (64, 64))
    assert prepared.letterbox == letterbox
    wanted = backend.infer(letterbox_image(kept, letterbox)[None])
    np.testing.assert_array_equal(outputs["scores"], wanted["scores"])


def test_one_thread_prepares_while_another_infers(
    gpu_letterbox: None, backend: Any, driver: FakeDriver
) -> None:
    waiting: list[Any] = []
    room, ready = threading.Semaphore(4), threading.Semaphore(0)

    def capture() -> None:
        for value in range(200):
            room.acquire()
            waiting.append(backend.prepare(grey(value, (60 + value % 5, 64, 3))))
            ready.release()

    thread = threading.Thread(target=capture)
    thread.start()
    seen = []
    for _ in range(200):
        ready.acquire()
        prepared = waiting.pop(0)
        scores = backend.infer_prepared(prepared)["scores"]
        height = prepared.letterbox.resized_hw[0] * prepared.letterbox.resized_hw[1]
        seen.append(round(float(scores[0, 0]) * 255 * 64 * 64 / height))
        room.release()
    thread.join()
    assert seen == list(range(200))


def test_pictures_that_are_dropped_cost_no_memory(backend: Any, driver: FakeDriver) -> None:
    for value in range(50):
        prepared = backend.prepare(grey(value, (64, 64, 3)))
    assert brightness(backend.infer_prepared(prepared)) == 49
    assert len(driver.pinned) <= 4


@pytest.mark.parametrize("is_live", [False, True])
def test_a_stream_of_changing_sizes_from_capture_to_sink(
    gpu_letterbox: None, backend: Any, driver: FakeDriver, is_live: bool
) -> None:
    images = [grey(value, (60 + value % 7, 80, 3)) for value in range(100, 200)]
    sink = FakeSink()
    options = FlowOptions(PostprocessOptions(score_threshold=0.0))
    source = FakeSource(images, is_live)
    camera = CameraInput(SourceSpec("gate", is_live, lambda: source), source)
    summary = Pipeline([camera], backend, [sink], options).run()
    assert summary.frames + summary.dropped == 100
    assert is_live or summary.dropped == 0
    for result in sink.results:
        letterbox = Letterbox.fit(result.frame.image.shape[:2], (64, 64))
        seen = letterbox.resized_hw[0] * letterbox.resized_hw[1] / 64**2
        wanted = (100 + result.frame.sequence) / 255 * seen * TINY_SCORES[0]
        assert float(result.detections.scores[0]) == pytest.approx(wanted, rel=1e-3)
    assert len(driver.pinned) <= 9  # eight pictures and the outputs


def test_many_files_at_once_have_room_on_the_gpu(backend: Any, driver: FakeDriver) -> None:
    images = [grey(9, (60, 80, 3))] * 30
    specs = [SourceSpec(name, False, lambda: FakeSource(images)) for name in "abcdef"]
    cameras = [CameraInput(spec, spec.open()) for spec in specs]
    summary = Pipeline(cameras, backend, [FakeSink(delay_s=0.001)], FlowOptions()).run()
    assert (summary.frames, summary.dropped) == (180, 0)
    assert len(driver.pinned) > 9, "the test must need more than one camera does"


def test_a_plugin_library_without_the_letterbox_is_one_error(
    driver: FakeDriver, engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old.so"
    old.write_bytes(b"not a library")
    monkeypatch.setattr(plugins.library, "find_library", lambda: old)
    with pytest.raises(BackendError, match=r"old\.so has no letterbox kernel .*make plugins"):
        new_backend(FakeTensorRT(driver)).open(engine)
    assert driver.is_empty


def test_a_closed_backend_refuses_and_closes_again(backend: Any) -> None:
    prepared = backend.prepare(grey(1, (64, 64, 3)))
    backend.close()
    backend.close()
    for use in (
        lambda: backend.infer(grey(1)),
        lambda: backend.prepare(grey(1, (64, 64, 3))),
        lambda: backend.infer_prepared(prepared),
    ):
        with pytest.raises(BackendError, match="call open"):
            use()


def test_a_backend_opens_again(backend: Any, engine: Path) -> None:
    backend.close()
    backend.open(engine)
    assert brightness(backend.infer(grey(8))) == 8


def test_a_gpu_that_fails_is_reported_once(driver: FakeDriver, engine: Path) -> None:
    backend = new_backend(FakeTensorRT(driver))
    backend.open(engine)
    driver.refuse = frozenset({"launch", "free", "free_pinned", "destroy_graph"})
    with pytest.raises(BackendError, match="cuGraphLaunch failed"):
        backend.infer(grey(1))
    backend.close()  # freeing fails too, and says nothing
    driver.refuse = frozenset()


@pytest.mark.parametrize("product", PRODUCTS)
def test_auto_takes_the_gpu_for_an_engine(
    driver: FakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, product: str
) -> None:
    from runtime import backends

    modules = {product: FakeTensorRT(driver, product).module()}
    monkeypatch.setattr(backends, "find_gpu", lambda: Gpu("Fake GPU", "8.6"))
    monkeypatch.setattr(backends, "load_product", modules.__getitem__)
    backend = open_backend(write_tiny_engine(tmp_path / "tiny.engine", product))
    assert backend.name == product
    assert brightness(backend.infer(grey(70))) == 70
    backend.close()
    assert list(BACKENDS)[:3] == ["tensorrt", "tensorrt-rtx", "onnxruntime"]


def test_a_driver_that_pycuda_cannot_use_is_one_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: FakeDriver
) -> None:
    from runtime import backends

    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setattr(backends, "find_gpu", lambda: Gpu("Fake GPU", "8.6"))
    monkeypatch.setattr(backends, "load_product", lambda product: FakeTensorRT(driver).module())
    with pytest.raises(BackendError, match=r"'tensorrt' artifact: tensorrt: pycuda cannot be i"):
        open_backend(write_tiny_engine(tmp_path / "tiny.engine"))


DURATIONS_MS = {
    "copy_to_device": 2.0,
    "letterbox": 1.0,
    "copy_on_device": 0.25,
    "execute": 5.0,
    "copy_to_host": 0.5,
}


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_timed_frame_tells_letterbox_copies_and_network_apart(
    tmp_path: Path, driver: FakeDriver, gpu_letterbox: None, product: str
) -> None:
    backend = new_backend(FakeTensorRT(driver, product))
    backend.open(write_tiny_engine(tmp_path / "tiny.engine", product))
    driver.durations_ms = DURATIONS_MS
    for value in (40, 90):
        outputs, parts = backend.infer_timed(backend.prepare(grey(value, (100, 90, 3))))
        assert brightness(outputs) == brightness(
            backend.infer_prepared(backend.prepare(grey(value, (100, 90, 3))))
        )
        assert list(parts) == ["enqueue", "copy in", "letterbox", "network", "copy out"]
        enqueue_ms = parts.pop("enqueue")
        assert parts == {"copy in": 2.0, "letterbox": 1.0, "network": 5.0, "copy out": 0.5}
        assert 0.0 <= enqueue_ms <= backend.network_ms
    assert backend.prepare_stage == "copy in"
    backend.close()
    assert driver.is_empty


def test_without_the_gpus_letterbox_the_copy_to_the_input_is_copying_in(
    backend: Any, driver: FakeDriver
) -> None:
    driver.durations_ms = DURATIONS_MS
    outputs, parts = backend.infer_timed(backend.prepare(grey(90, (100, 90, 3))))
    assert backend.prepare_stage == "letterbox" and outputs["boxes"].shape == (1, 3, 4)
    assert {name: parts[name] for name in ("copy in", "network", "copy out")} == {
        "copy in": 2.25,
        "network": 5.0,
        "copy out": 0.5,
    }
    assert "letterbox" not in parts


def test_a_timed_frame_runs_a_graph_of_the_network_that_is_recorded_once(
    backend: Any, driver: FakeDriver
) -> None:
    driver.calls.clear()
    for value in (5, 6, 7):
        outputs, _ = backend.infer_timed(backend.prepare(grey(value, (64, 64, 3))))
        assert brightness(outputs) == value
    assert driver.calls.count("begin_capture") == 1 and driver.calls.count("launch") == 3
    assert brightness(backend.infer(np.concatenate([grey(30), grey(90)]))) == 30
    assert brightness(backend.infer_timed(backend.prepare(grey(8, (64, 64, 3))))[0]) == 8


def test_where_graphs_are_refused_timing_does_without_and_says_so_once(
    driver: FakeDriver, engine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = new_backend(FakeTensorRT(driver))
    backend.open(engine)
    driver.refuse = frozenset({"capture"})
    for value in (5, 6):
        outputs, parts = backend.infer_timed(backend.prepare(grey(value, (64, 64, 3))))
        assert brightness(outputs) == value and parts["network"] == 0.0
    assert capsys.readouterr().err.count("notice: no CUDA graph") == 1
    backend.close()
    assert driver.is_empty


def test_timing_a_closed_backend_is_an_error(backend: Any) -> None:
    frame = backend.prepare(grey(5, (64, 64, 3)))
    backend.close()
    with pytest.raises(BackendError, match="no artifact is open"):
        backend.infer_timed(frame)
