r"""What this machine's GPU or processor reaches at best, for `make roofline`.

python -m benchmarks.ceilings --for-roofline build/h200.ceilings.json
make roofline DEVICE=h200 ROOFLINE='--measured-ceilings build/h200.ceilings.json'
python -m benchmarks.ceilings --device cpu --for-roofline build/cpu.peaks.json
make roofline DEVICE=custom PRECISION=fp32 ROOFLINE='--peaks build/cpu.peaks.json'

A ceiling is the fastest round of large matrix products, and of copies of memory: no network will be
faster, and none of the figures comes from a datasheet.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch

from benchmarks.common import Samples, Turn, run_rounds, timed
from benchmarks.report import Findings, benchmark_parser, run_benchmark
from export.device_record import CEILINGS_FORMAT, PEAKS_FORMAT
from runtime.atomic_file import write_text
from runtime.command_line import CommandParser, check_output
from runtime.errors import BackendError
from runtime.machine_facts import cpu_model

NAME = "ceilings"
COPY = "copy"


@dataclass(frozen=True)
class Load:
    """How much is computed in one turn.

    Attributes:
        side: Rows and columns of the square matrices.
        copied_bytes: Of one copy; read once and written once.
        repeats: Products, or copies, in one turn.
    """

    side: int
    copied_bytes: int
    repeats: int


# Large enough that starting a kernel costs nothing beside it, and far beyond every cache.
GPU_LOAD = Load(8192, 1 << 30, 10)
CPU_LOAD = Load(2048, 1 << 28, 2)


@dataclass(frozen=True)
class Arithmetic:
    """One kind of matrix product.

    Attributes:
        dtype: Of both matrices.
        allows_tf32: Whether FP32 may be rounded to TF32.
    """

    dtype: torch.dtype
    allows_tf32: bool = False


# By the names of ``export.device_record.PRECISIONS``.
GPU_KINDS = {
    "fp32": Arithmetic(torch.float32),
    "tf32": Arithmetic(torch.float32, allows_tf32=True),
    "fp16": Arithmetic(torch.float16),
    "bf16": Arithmetic(torch.bfloat16),
    "int8": Arithmetic(torch.int8),
}
CPU_KINDS = {"fp32": Arithmetic(torch.float32)}  # what its networks are computed in


def measure(rounds: int) -> Findings:
    """Measure the GPU's ceilings, as a part of ``gpu_check``.

    Args:
        rounds: Rounds that count.

    Raises:
        BackendError: If torch sees no GPU.
    """
    if not torch.cuda.is_available():
        raise BackendError("torch sees no GPU; expected a build of torch with CUDA")
    return find_ceilings(torch.device("cuda"), GPU_KINDS, GPU_LOAD, rounds)


def find_ceilings(
    device: torch.device, kinds: dict[str, Arithmetic], load: Load, rounds: int
) -> Findings:
    """Measure a device.

    Args:
        device: Where to compute.
        kinds: Matrix products by name; those that the device lacks are named in the facts.
        load: How much to compute.
        rounds: Rounds that count.

    Returns:
        The times, and in the facts ``tera_operations`` by name and ``gigabytes_per_second``.
    """
    facts: dict[str, Any] = {}
    turns: list[Turn] = []
    for name, kind in kinds.items():
        product = _product(device, kind, load.side)
        try:
            product()
        except RuntimeError as error:  # torch says so in many words
            facts[name] = f"not run: {str(error).splitlines()[0]}"
            continue
        turns.append(timed(name, _finished(device, kind, product, load.repeats)))
    source = torch.ones(load.copied_bytes // 4, device=device)
    target = torch.empty_like(source)
    copy = _finished(device, Arithmetic(torch.float32), lambda: target.copy_(source), load.repeats)
    turns.append(timed(COPY, copy))
    samples = run_rounds(turns, rounds)
    return Findings(
        {"side": load.side, "copied_bytes": load.copied_bytes, "repeats": load.repeats},
        samples,
        {},
        (),
        facts | figures_of(samples, load),
    )


def figures_of(samples: Samples, load: Load) -> dict[str, Any]:
    """Return the ceilings: the fastest round of everything.

    Args:
        samples: Milliseconds of a turn, by kind.
        load: What was done in a turn.

    Returns:
        ``tera_operations`` by kind, a multiplication and an addition being two, and
        ``gigabytes_per_second``, reading and writing added up.
    """
    seconds = {name: min(values) / 1e3 / load.repeats for name, values in samples.items()}
    operations, moved = 2 * load.side**3, 2 * load.copied_bytes
    return {
        "tera_operations": {n: operations / s / 1e12 for n, s in seconds.items() if n != COPY},
        "gigabytes_per_second": moved / seconds[COPY] / 1e9,
    }


def _product(device: torch.device, kind: Arithmetic, side: int) -> Callable[[], torch.Tensor]:
    """Return a product of two square matrices."""
    if kind.dtype == torch.int8:
        left, right = (torch.ones(side, side, dtype=kind.dtype, device=device) for _ in range(2))
        # The only way to 8-bit products in torch; its right matrix lies column by column.
        return lambda: torch._int_mm(left, right.t())
    left, right = (torch.rand(side, side, device=device).to(kind.dtype) for _ in range(2))
    return lambda: left @ right


def _finished(
    device: torch.device, kind: Arithmetic, action: Callable[[], object], repeats: int
) -> Callable[[], None]:
    """Return what does something a few times and waits for the device."""

    def run() -> None:
        with torch.inference_mode(), _tf32(kind.allows_tf32):
            for _ in range(repeats):
                action()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return run


@contextlib.contextmanager
def _tf32(is_allowed: bool) -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = is_allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def roofline_json(device: torch.device, name: str, findings: Findings, source: str) -> str:
    """Return what the roofline reads.

    Args:
        device: What was measured. A GPU's file is for ``--measured-ceilings``, beside a datasheet;
            a processor has none there, so that its file is a device itself, for ``--peaks``.
        name: As the device calls itself.
        findings: From ``find_ceilings``.
        source: Command and date.
    """
    figures = {key: findings.facts[key] for key in ("tera_operations", "gigabytes_per_second")}
    if device.type == "cuda":
        head = {"format": CEILINGS_FORMAT, "device": name, "source": source}
    else:
        head = {"format": PEAKS_FORMAT, "title": name, "mode": "measured", "source": source}
        figures["l2_mebibytes"] = None
    return json.dumps(head | figures, indent=1) + "\n"


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = benchmark_parser(NAME, __doc__)
    add = parser.add_argument
    add("--device", choices=("cuda", "cpu"), default="cuda", help="default %(default)s")
    add("--for-roofline", type=Path, metavar="F.json", help="also write what make roofline reads")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    if options.for_roofline is not None:
        check_output("--for-roofline", options.for_roofline, ".json")
    if options.device == "cuda":
        findings, name = measure(options.rounds), torch.cuda.get_device_name()
    else:
        torch.set_num_threads(options.threads)
        findings = find_ceilings(torch.device("cpu"), CPU_KINDS, CPU_LOAD, options.rounds)
        name = f"{cpu_model()}, threads: {options.threads}"
    if options.for_roofline is not None:
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        source = f"python -m benchmarks.{NAME} --device {options.device}, {today}"
        text = roofline_json(torch.device(options.device), name, findings, source)
        write_text(options.for_roofline, text)
    return findings


if __name__ == "__main__":
    sys.exit(main())
