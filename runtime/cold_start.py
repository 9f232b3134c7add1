"""From a new process to its first boxes: ``python -m runtime.cold_start ARTIFACT`` prints JSON.

What a service waits for when it is started again, and what memory it takes, which only a process
that has done nothing else can tell. ``measure_cold_start`` runs this file as a new process and
takes the time from before that process exists.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from runtime.command_line import CommandParser, count, thread_count
from runtime.errors import BackendError, run_command
from runtime.measurement import ColdStart, Memory
from runtime.memory_use import MemoryWatch

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURE_HW = (480, 640)
PROCESSES = 3  # the one with the median total is told: a single one may meet a busy moment
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class ColdStartSettings:
    """What the new process runs.

    Attributes:
        artifact: The model.
        backend: What runs it, or "auto".
        threads: CPU threads; 0 for all cores.
    """

    artifact: Path
    backend: str = "auto"
    threads: int = 0


@dataclass(frozen=True)
class FreshStart:
    """What a new process tells.

    Attributes:
        cold_start: How long it took.
        memory: What it took of host and GPU.
    """

    cold_start: ColdStart
    memory: Memory


def measure_cold_start(settings: ColdStartSettings, processes: int = PROCESSES) -> FreshStart:
    """Start new processes one after another, and return the one with the median total.

    The artifact and the libraries are in the system's file cache from the second on, as they are
    for a service that is started again; after a reboot the disk's time adds to it.

    Raises:
        BackendError: If a process fails; says what it said.
    """
    starts = (_start(settings) for _ in range(processes))
    runs = sorted(starts, key=lambda run: run.cold_start.total_ms)
    return runs[len(runs) // 2]


def _start(settings: ColdStartSettings) -> FreshStart:
    command = [sys.executable, "-m", "runtime.cold_start", str(settings.artifact.absolute())]
    command += ["--backend", settings.backend, "--threads", str(settings.threads)]
    # The monotonic clock is the system's: the new process goes on counting from here.
    command += ["--started-ns", str(time.monotonic_ns())]
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise BackendError(
            f"{settings.artifact} gave no result within {TIMEOUT_S:g} s in a new process; expected "
            "it to start; leave this out: --no-cold-start"
        ) from None
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1].removeprefix("error: ")
        raise BackendError(f"{settings.artifact} does not start in a new process: {said}")
    body = json.loads(done.stdout.splitlines()[-1])
    return FreshStart(ColdStart(**body["cold_start"]), Memory(**body["memory"]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_command(lambda: _run(arguments))


def build_parser() -> CommandParser:
    """Return the parser of this command."""
    parser = CommandParser(
        prog="python -m runtime.cold_start",
        description="Open an artifact, find objects in one picture, and say what that took.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("artifact", metavar="ARTIFACT", type=Path, help="model to run")
    add("--backend", default="auto", metavar="NAME", help="what runs it; default auto")
    add("--threads", type=thread_count, default=0, metavar="N", help="CPU threads; default: all")
    add(
        "--started-ns",
        type=count,
        metavar="N",
        help="reading of time.monotonic_ns before this process; default: when it was asked for",
    )
    return parser


def _run(arguments: Sequence[str] | None) -> int:
    namespace = build_parser().parse_args(arguments)
    settings = ColdStartSettings(namespace.artifact, namespace.backend, namespace.threads)
    started_ns = time.monotonic_ns() if namespace.started_ns is None else namespace.started_ns
    print(json.dumps(asdict(start_here(settings, started_ns))))
    return 0


def start_here(settings: ColdStartSettings, started_ns: int) -> FreshStart:
    """Do in this process what a stream does before its first result.

    Args:
        settings: What to run.
        started_ns: Reading of ``time.monotonic_ns`` from which the time counts.

    Raises:
        CornerRTError: If the artifact cannot be opened or run here.
    """
    from runtime.backends import available_cores, load_backend, open_backend
    from runtime.contract import read_contract
    from runtime.pattern_picture import PatternPicture
    from runtime.postprocess import PostprocessOptions, detections_from_raw

    target = read_contract(settings.artifact, verify=False).target
    threads = settings.threads or available_cores()
    load_backend(settings.backend, target, threads)  # imports its library; opening counts apart
    picture = PatternPicture(PICTURE_HW).render(0)
    imported_ns = time.monotonic_ns()
    watch = MemoryWatch(target)  # makes the GPU's context, which opening would do otherwise
    backend = open_backend(settings.artifact, settings.backend, threads)
    opened_ns = time.monotonic_ns()
    watch.opened()
    framed_ns = time.monotonic_ns()
    try:
        prepared = backend.prepare(picture)
        outputs = backend.infer_prepared(prepared)
        postprocess = PostprocessOptions().suited_to(backend.contract.decode)
        detections_from_raw(outputs, prepared.letterbox, postprocess)
        ended_ns = time.monotonic_ns()
        memory = watch.memory()
    finally:
        backend.close()
    parts_ns = (imported_ns - started_ns, opened_ns - imported_ns, ended_ns - framed_ns)
    return FreshStart(ColdStart(*(part / 1e6 for part in parts_ns)), memory)


if __name__ == "__main__":
    sys.exit(main())
