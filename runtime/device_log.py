"""Samples a device in a thread of its own beside the work that is measured."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Sequence

from runtime.device_samples import DeviceMonitor, DeviceSample
from runtime.device_summary import summarise_device
from runtime.measurement import Device
from runtime.spans import FrameSpans

# A Jetson's power sensors answer in some milliseconds and average over some themselves.
INTERVAL_S = 0.2
# An hour and a half at that interval. A longer run keeps every second sample, then every fourth.
MOST_SAMPLES = 27_000


class DeviceLog:
    """Takes samples from entering to leaving its ``with`` block.

    Only its thread asks the monitor, which stays open.

    Args:
        monitor: To ask.
        interval_s: Between samples.
        most_samples: How many are kept; an even number from 4.
    """

    def __init__(
        self,
        monitor: DeviceMonitor,
        interval_s: float = INTERVAL_S,
        most_samples: int = MOST_SAMPLES,
    ) -> None:
        self.monitor = monitor
        self._interval_s = interval_s
        self._most = most_samples
        self._samples: list[DeviceSample] = []
        self._is_over = threading.Event()
        self._has_begun = threading.Event()
        self._fault = ""
        self._thread = threading.Thread(target=self._run, daemon=True, name="device log")

    def __enter__(self) -> DeviceLog:
        """Start, and wait for the first sample."""
        self._thread.start()
        try:
            self._has_begun.wait()
        except BaseException:  # Ctrl-C: nobody would end the thread
            self._is_over.set()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Take a last sample and stop."""
        self._is_over.set()
        self._thread.join()

    @property
    def samples(self) -> Sequence[DeviceSample]:
        """Those so far, in order of time; call after the block for all."""
        return tuple(self._samples)

    def device(self, frames: Sequence[FrameSpans], window_s: float | None = None) -> Device:
        """Return what the device did while frames ran: ``summarise_device`` of all samples.

        A monitor that failed on the way is told among what is missing.

        Raises:
            ValueError: If no frame counts.
        """
        device = summarise_device(self.monitor, self.samples, frames, window_s)
        faults = [self._fault] if self._fault else []
        return dataclasses.replace(device, missing=(*device.missing, *faults))

    def _run(self) -> None:
        next_s = time.monotonic()
        try:
            while True:
                is_last = self._is_over.is_set()
                self._samples.append(self.monitor.sample())
                self._has_begun.set()
                if is_last:
                    return
                if len(self._samples) >= self._most:
                    self._samples = _thin_out(self._samples)
                    self._interval_s *= 2
                next_s = max(next_s + self._interval_s, time.monotonic())
                self._is_over.wait(next_s - time.monotonic())
        except Exception as error:  # of a driver's library, in a thread where nobody sees it
            self._fault = f"sensors: they failed after {len(self._samples)} samples: {error!r}"
        finally:
            self._has_begun.set()  # whatever happened, nobody waits for ever


def _thin_out(samples: list[DeviceSample]) -> list[DeviceSample]:
    """Keep the first sample and every second one after it; no reason of throttling is lost."""
    kept = samples[:1]
    for before, sample in zip(samples[1::2], samples[2::2], strict=False):
        reasons = tuple(dict.fromkeys((*before.throttled, *sample.throttled)))
        kept.append(dataclasses.replace(sample, throttled=reasons))
    if len(samples) % 2 == 0:
        kept.append(samples[-1])
    return kept
