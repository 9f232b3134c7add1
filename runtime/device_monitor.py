"""What this device takes and how warm it is: ``python -m runtime.device_monitor``.

A Jetson is read through its kernel's files, or else through ``tegrastats``; other machines with an
NVIDIA GPU, and the GPU of a Thor, through NVML.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from runtime.atomic_file import write_text
from runtime.command_line import CommandParser, check_output
from runtime.device_samples import DeviceMonitor, DeviceSample
from runtime.device_table import format_header, format_sample
from runtime.errors import BackendError, CornerRTError, UsageError, run_command
from runtime.jetson_sysfs import JetsonMonitor, is_jetson

FORMAT = "cornerrt-device-1"
INTERVAL_S = 1.0
HERE = Path("/")


class JoinedMonitor:
    """Two monitors of one device: what the first does not tell comes from the second.

    Args:
        first: Whose name and total rail count, if it has one.
        second: For the rest.
    """

    def __init__(self, first: DeviceMonitor, second: DeviceMonitor) -> None:
        self._first, self._second = first, second
        self.name = f"{first.name} and {second.name}"
        self.power_mode = first.power_mode or second.power_mode
        self.total_rail = first.total_rail
        # What the second lacks is no loss where the first has it, as power on a Thor.
        has_load = "gpu" in second.sample().loads
        self.missing = tuple(
            line for line in first.missing if not (has_load and line.startswith("GPU load"))
        )

    def sample(self) -> DeviceSample:
        """Read both now. Energy is left out: the second's counter is not of the whole device."""
        first, second = self._first.sample(), self._second.sample()
        return DeviceSample(
            at_ns=first.at_ns,
            power_mw={**second.power_mw, **first.power_mw},
            temperatures_c={**second.temperatures_c, **first.temperatures_c},
            clocks_mhz={**second.clocks_mhz, **first.clocks_mhz},
            loads={**second.loads, **first.loads},
            throttled=tuple(dict.fromkeys((*first.throttled, *second.throttled))),
        )

    def close(self) -> None:
        """Let go of both."""
        self._first.close()
        self._second.close()


def open_monitor(root: Path = HERE) -> DeviceMonitor | None:
    """Open the device that this program runs on.

    Args:
        root: Of the file system; in another than "/" only a Jetson's files are read.

    Returns:
        A monitor, to be closed; None if there is no device that tells anything.
    """
    if not is_jetson(root):
        return _try_open(_open_nvml) if root == HERE else None
    jetson = JetsonMonitor(root)
    if root != HERE:
        return jetson
    first: DeviceMonitor = jetson
    if jetson.total_rail is None:
        first = _try_open(_open_tegrastats) or jetson
    if "gpu" in jetson.sample().loads:
        return first
    second = _try_open(_open_nvml)  # Thor: the kernel has no file for the GPU's load
    return JoinedMonitor(first, second) if second else first


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_command(lambda: _show(build_parser().parse_args(argv)))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = CommandParser(
        prog="python -m runtime.device_monitor",
        description="Show power, temperatures, clocks and throttling once a second.",
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=HERE,
        metavar="FOLDER",
        help="a copy of a Jetson's file system to read instead of this one",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        metavar="N",
        help="how long; until Ctrl-C if left out",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples at the end")
    return parser


def collect_samples(
    monitor: DeviceMonitor,
    seconds: float | None,
    show: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> list[DeviceSample]:
    """Show a sample a second.

    Args:
        monitor: To ask.
        seconds: How long; until Ctrl-C if None.
        show: Takes a line.
        sleep: Waits; given by tests.

    Returns:
        All samples, also after Ctrl-C, which is the usual end, or when nobody reads the lines
        any more.
    """
    samples: list[DeviceSample] = []
    try:
        while True:
            samples.append(monitor.sample())
            show(format_sample(samples[-1], samples[0].at_ns, monitor.total_rail))
            if seconds is not None and len(samples) * INTERVAL_S > seconds:
                return samples
            sleep(INTERVAL_S)
    except (KeyboardInterrupt, BrokenPipeError):
        return samples


def _show(arguments: argparse.Namespace) -> int:
    if arguments.json:
        check_output("--json", arguments.json, ".json")
    monitor = open_monitor(arguments.root)
    if monitor is None:
        raise _no_device(arguments.root)
    samples: list[DeviceSample] = []
    try:
        with contextlib.suppress(BrokenPipeError):  # of the header: nobody reads on
            _print_line("\n".join(format_header(monitor)))
            samples = collect_samples(monitor, arguments.seconds, _print_line)
    finally:
        monitor.close()
    if arguments.json:
        write_text(arguments.json, _json(monitor, samples))
    return 0


def _json(monitor: DeviceMonitor, samples: Sequence[DeviceSample]) -> str:
    described: Mapping[str, object] = {
        "format": FORMAT,
        "name": monitor.name,
        "power_mode": monitor.power_mode,
        "total_rail": monitor.total_rail,
        "missing": monitor.missing,
        "samples": [dataclasses.asdict(sample) for sample in samples],
    }
    return json.dumps(described, indent=1, allow_nan=False) + "\n"


def _no_device(root: Path) -> CornerRTError:
    if root != HERE:
        return UsageError(
            f"--root got {root}, where no file tells of a Jetson; expected a copy of a Jetson's "
            "file system, with its sys and proc folders; name that folder"
        )
    return BackendError(
        "found no device here that tells its power; expected a Jetson, or an NVIDIA GPU with its "
        "driver and nvidia-ml-py: pip install nvidia-ml-py"
    )


def _print_line(line: str) -> None:
    """Print at once; raises ``BrokenPipeError``, once, if nobody reads any more."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # What is left in the buffer would be tried once more at exit, and change the status.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected seconds from 0")
    return seconds


def _try_open(factory: Callable[[], DeviceMonitor]) -> DeviceMonitor | None:
    try:
        return factory()
    except (BackendError, ImportError):
        return None


def _open_nvml() -> DeviceMonitor:
    from runtime.nvml_monitor import NvmlMonitor

    return NvmlMonitor()


def _open_tegrastats() -> DeviceMonitor:
    from runtime.tegrastats_monitor import TegrastatsMonitor

    return TegrastatsMonitor()


if __name__ == "__main__":
    sys.exit(main())
