"""From the command line's sources to what can be opened, and opened again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from runtime.camera_addresses import CameraAddress, CameraKind, parse_cameras, unique_names
from runtime.camera_files import ImageFilesSource, list_images
from runtime.camera_test_pattern import PatternSource, parse_test_address
from runtime.camera_v4l2 import CameraSource, CaptureOptions
from runtime.camera_video import VideoSource, check_video
from runtime.errors import SourceError, UsageError
from runtime.options_sources import SourceOptions
from runtime.sources import Source, SourceSpec


def open_sources(options: SourceOptions) -> list[SourceSpec]:
    """Return the sources that were asked for: cameras, then videos, then images.

    Nothing is opened yet; addresses are checked, and that files exist. Whether a camera is there
    shows when it is opened.

    Raises:
        UsageError: If there is none, or an address is malformed.
        SourceError: If a video does not exist, or a folder holds no image.
    """
    cameras = parse_cameras(options.camera)
    wanted = [(camera.name, "") for camera in cameras]
    wanted += [("", path.name) for path in options.video]
    wanted += [("", pattern) for pattern in options.images]
    if not wanted:
        raise UsageError("got no source; expected --camera, --video or --images; name one")
    names = iter(unique_names(wanted))
    specs = [_camera_spec(replace(camera, name=next(names)), options) for camera in cameras]
    specs += [_video_spec(path, next(names)) for path in options.video]
    specs += [_images_spec(pattern, next(names)) for pattern in options.images]
    return specs


def open_all(
    specs: Sequence[SourceSpec], wait_for_cameras: bool, report: Callable[[str], None]
) -> list[Source | None]:
    """Open all sources side by side; None for a camera that is to be waited for.

    Args:
        specs: What to open.
        wait_for_cameras: Whether a camera that does not answer is no error.
        report: Takes a line for the user about each of those.

    Raises:
        SourceError: Of the first that cannot be opened.
    """
    opened: list[Source | None] = [None] * len(specs)
    errors: list[BaseException | None] = [None] * len(specs)

    def attempt(index: int) -> None:
        try:
            opened[index] = specs[index].open()
        except BaseException as error:
            errors[index] = error

    # Daemons: Ctrl-C must not wait for a camera that takes its time to answer.
    threads = [
        threading.Thread(target=attempt, args=(index,), name=f"open {spec.name}", daemon=True)
        for index, spec in enumerate(specs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for spec, error in zip(specs, errors, strict=True):
        if error is None:
            continue
        if not (isinstance(error, SourceError) and wait_for_cameras and spec.is_live):
            for source in opened:
                if source is not None:
                    source.close()
            raise error
        report(f"{error}; going on without it until it answers")
    return opened


def _camera_spec(camera: CameraAddress, options: SourceOptions) -> SourceSpec:
    if camera.kind is CameraKind.TEST_PATTERN:
        pattern = parse_test_address(camera.target, options.camera_size, options.camera_fps)
        is_live = pattern.frame_rate is not None
        return SourceSpec(camera.name, is_live, partial(PatternSource, pattern, camera.name))
    return SourceSpec(camera.name, True, partial(_OPENERS[camera.kind], camera, options))


def _video_spec(path: Path, name: str) -> SourceSpec:
    check_video(path)
    return SourceSpec(name, False, partial(VideoSource, path, name))


def _images_spec(pattern: str, name: str) -> SourceSpec:
    list_images(pattern)
    return SourceSpec(name, False, partial(ImageFilesSource, pattern, name))


def _open_v4l2(camera: CameraAddress, options: SourceOptions) -> Source:
    asked = CaptureOptions(
        options.camera_size, options.camera_fps, options.pixel_format, options.stall_timeout
    )
    return CameraSource(camera.target, asked, camera.name)


def _open_csi(camera: CameraAddress, options: SourceOptions) -> Source:
    from runtime.camera_gstreamer import open_csi

    return open_csi(int(camera.target), camera.name, options)


def _open_rtsp(camera: CameraAddress, options: SourceOptions) -> Source:
    from runtime.camera_network import open_rtsp

    return open_rtsp(camera.target, camera.name, options)


def _open_mjpeg(camera: CameraAddress, options: SourceOptions) -> Source:
    from runtime.camera_network import open_mjpeg

    return open_mjpeg(camera.target, camera.name, options)


_OPENERS: dict[CameraKind, Callable[[CameraAddress, SourceOptions], Source]] = {
    CameraKind.V4L2: _open_v4l2,
    CameraKind.CSI: _open_csi,
    CameraKind.RTSP: _open_rtsp,
    CameraKind.MJPEG: _open_mjpeg,
}
