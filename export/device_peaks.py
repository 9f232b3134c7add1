"""Peaks of the devices that ``make roofline`` knows, each number with its source.

All figures are dense: where a document states a rate for 2:4 structured sparsity, half of it stands
here. Jetson figures are those of the GPU alone, without DLA. Where two documents disagree, the
larger figure is taken: it keeps the floor a floor.
"""

from __future__ import annotations

from collections.abc import Mapping

from export.device_record import Device, Evidence, Figure
from runtime.errors import UsageError

_ORIN_BRIEF = "NVIDIA Jetson AGX Orin Series Technical Brief v1.2"
_ORIN_RATES = f"{_ORIN_BRIEF}: 16 SM, 170 sparse INT8 TOPS and 5.3 FP32 TFLOPS at 1.3 GHz"
# Operations per clock of one streaming multiprocessor (SM); multiply and add are two.
# Orin: 170 sparse TOPS / 2 / (16 SM x 1.3 GHz) = 4096 for INT8; FP16 and BF16 have half of that,
# TF32 a quarter, as in GA100 (NVIDIA A100 Tensor Core GPU Architecture, table 1).
_ORIN = {"fp32": 256, "tf32": 1024, "fp16": 2048, "bf16": 2048, "int8": 4096}
# Volta in Xavier: 64 tensor cores x 64 FP16 multiply-adds in 8 SM; INT8 twice as many.
_XAVIER = {"fp32": 128, "fp16": 1024, "int8": 2048}
# Ampere GA10x: FP16 with FP16 accumulation; BF16 and FP32 accumulation run at half the rate
# (NVIDIA Ampere GA102 GPU Architecture V2.0, tables of the RTX 3080 and 3090).
_GA10X = {"fp32": 256, "tf32": 256, "fp16": 1024, "bf16": 512, "int8": 2048}
# GA102 in cards for servers, where FP32 accumulation is not slowed down (NVIDIA A40 datasheet).
_GA102_PRO = {"fp32": 256, "tf32": 512, "fp16": 1024, "bf16": 1024, "int8": 2048}
# Blackwell in Thor: 2070 sparse FP4 TFLOPS / 8 / (20 SM x 1.575 GHz) = 8192 for FP16. That INT8
# runs like FP8, and TF32 at half of FP16, is as in GB100; no document of Thor states it.
_THOR = {"fp32": 256, "tf32": 4096, "fp16": 8192, "bf16": 8192, "int8": 16384}


def _published(value: float, source: str) -> Figure:
    return Figure(value, Evidence.PUBLISHED, source)


def _unverified(value: float, source: str) -> Figure:
    return Figure(value, Evidence.UNVERIFIED, source)


def _rates(units: int, mhz: float, per_clock: Mapping[str, int], source: str) -> dict[str, Figure]:
    """Return peaks as SMs x operations per clock x clock."""
    note = f"{units} SM x {{}} operations per clock x {mhz:g} MHz, dense; {source}"
    return {
        precision: Figure(units * rate * mhz / 1e6, Evidence.DERIVED, note.format(rate))
        for precision, rate in per_clock.items()
    }


def _stated(source: str, **tera_operations: float) -> dict[str, Figure]:
    return {key: _published(value, source) for key, value in tera_operations.items()}


_AGX_BANDWIDTH = _published(204.8, f"{_ORIN_BRIEF}: 256-bit LPDDR5, 204.8 GB/s")
_AGX_L2 = _published(4, f"{_ORIN_BRIEF}: 4 MB L2")
_SMALL_ORIN_L2 = _unverified(
    4, "half of AGX Orin's L2 is switched off by FBP_PG_MASK of nvpmodel; all of it is assumed"
)
_NANO_SHEET = "Jetson Orin Nano Series Data Sheet: 1024 CUDA cores, 625 MHz, 40 sparse INT8 TOPS"
_NANO_SUPER = "Jetson Orin Nano Super Developer Kit Datasheet: 67 sparse INT8 TOPS, 1020 MHz"
_NX_SHEET = "Jetson Orin NX Series Data Sheet: 1024 CUDA cores, 918 MHz, 100 TOPS with two DLAs"
_NX_SUPER = "nvpmodel_p3767_0000_super.conf (Jetson Linux 36.4): GPU 1173 MHz at 40 W"
_DLA_README = "NVIDIA/Deep-Learning-Accelerator-SW, README: GPU sparse INT8"
_NVPMODEL = "nvpmodel_p3701_0000.conf of Jetson Linux"
_XAVIER_SHEET = "Jetson AGX Xavier Series Data Sheet: 512 CUDA cores, 1377 MHz, 22 INT8 TOPS on GPU"
_XAVIER_NX_SHEET = "Jetson Xavier NX Data Sheet v1.3: 384 CUDA cores, 48 tensor cores, 1100 MHz"
_THOR_SHEET = (
    "Jetson Thor Series Modules Data Sheet (T5000): 2560 CUDA cores, 2070 sparse FP4 TFLOPS"
)
_GA106 = "GeForce RTX 3060 specification: 28 SM, boost 1777 MHz, 101 sparse tensor TFLOPS"
_ADA_PAPER = "NVIDIA Ada GPU Architecture V2.01, appendix A"
_A10_SHEET = "NVIDIA A10 datasheet: 31.2 FP32 TFLOPS, 125 FP16; rates per SM of the NVIDIA A40's"
_L4_SHEET = "NVIDIA L4 datasheet, half of the figures with sparsity"
_T4_SHEET = "NVIDIA T4 datasheet and NVIDIA Turing GPU Architecture"
_A100_SHEET = "NVIDIA A100 datasheet and A100 Tensor Core GPU Architecture, dense"
_HOPPER = "NVIDIA H100 Tensor Core GPU Architecture, SXM5, half of the figures with sparsity"
_H200_SHEET = "NVIDIA H200 datasheet, SXM, half of the figures with sparsity"
_TITAN = "NVIDIA announcement of TITAN X (Pascal), July 2016: 11 TFLOPS FP32, 44 TOPS INT8"


def _agx_orin(name: str, units: int, mhz: float, mode: str, bandwidth: Figure) -> Device:
    """Return one power mode; ``mode`` is its name and, after a colon, what else is published."""
    short, _, note = mode.partition(": ")
    rates = _rates(units, mhz, _ORIN, f"{_ORIN_RATES}; {note}")
    mode = f"{short}, {units} SM at {mhz:g} MHz"
    return Device(name, "Jetson AGX Orin 64 GB", mode, ("AGX Orin",), rates, bandwidth, _AGX_L2)


_JETSONS = (
    Device(
        "orin-nano",
        "Jetson Orin Nano 8 GB",
        "15 W, GPU 625 MHz",
        ("Orin Nano",),
        _rates(8, 625, _ORIN, _NANO_SHEET),
        _published(68.3, "Jetson Orin Nano Series Data Sheet: 128-bit LPDDR5, 68 GB/s"),
        _SMALL_ORIN_L2,
    ),
    Device(
        "orin-nano-super",
        "Jetson Orin Nano 8 GB Super",
        "MAXN SUPER, GPU 1020 MHz",
        ("Orin Nano",),
        _rates(8, 1020, _ORIN, _NANO_SUPER),
        _published(102.4, "Jetson Orin Nano Super Developer Kit Datasheet: 102 GB/s"),
        _SMALL_ORIN_L2,
    ),
    Device(
        "orin-nx",
        "Jetson Orin NX 16 GB",
        "MAXN before Super, GPU 918 MHz",
        ("Orin NX",),
        _rates(8, 918, _ORIN, _NX_SHEET),
        _published(102.4, "Jetson Orin NX Series Data Sheet: 128-bit LPDDR5, 102.4 GB/s"),
        _SMALL_ORIN_L2,
    ),
    Device(
        "orin-nx-super",
        "Jetson Orin NX 16 GB Super",
        "40 W or MAXN SUPER, GPU 1173 MHz",
        ("Orin NX",),
        _rates(8, 1173, _ORIN, _NX_SUPER),
        _published(102.4, "Jetson Orin NX Series Data Sheet: 128-bit LPDDR5, 102.4 GB/s"),
        _SMALL_ORIN_L2,
    ),
    _agx_orin("agx-orin", 16, 1300.5, f"MAXN: {_DLA_README} 171 TOPS", _AGX_BANDWIDTH),
    _agx_orin("agx-orin-50w", 16, 828.75, f"50 W: {_DLA_README} 109 TOPS", _AGX_BANDWIDTH),
    _agx_orin("agx-orin-30w", 8, 624.75, f"30 W: {_DLA_README} 41 TOPS", _AGX_BANDWIDTH),
    _agx_orin(
        "agx-orin-15w",
        6,
        420.75,
        f"15 W: 6 SM by {_NVPMODEL}, TPC_PG_MASK 248; {_DLA_README} 14 TOPS, which is less",
        Figure(136.5, Evidence.DERIVED, f"{_NVPMODEL}: memory 2133 MHz x 2 x 32 bytes"),
    ),
    Device(
        "agx-thor",
        "Jetson AGX Thor (T5000)",
        "MAXN, GPU 1575 MHz",
        ("Thor",),
        {
            key: figure if key == "fp32" else _unverified(figure.value, figure.source)
            for key, figure in _rates(20, 1575, _THOR, _THOR_SHEET).items()
        },
        _unverified(273, "256-bit LPDDR5X at 8533 MT/s, as reported"),
        _unverified(32, "NVIDIA developer forum 356355: 32 MiB, asked of the driver by a user"),
    ),
    Device(
        "xavier",
        "Jetson AGX Xavier 32 GB",
        "MAXN, GPU 1377 MHz",
        ("AGX Xavier", "Jetson-AGX"),
        _rates(8, 1377, _XAVIER, _XAVIER_SHEET),
        _published(137, "Jetson AGX Xavier technical specifications: 256-bit LPDDR4x, 137 GB/s"),
        _unverified(0.5, "524288 bytes, deviceQuery of a user's AGX Xavier"),
    ),
    Device(
        "xavier-nx",
        "Jetson Xavier NX 8 GB",
        "15 W, GPU 1100 MHz",
        ("Xavier NX",),
        _rates(6, 1100, _XAVIER, _XAVIER_NX_SHEET),
        _unverified(59.7, "128-bit LPDDR4x at 3733 MT/s, as reported"),
        _unverified(0.5, "524288 bytes, deviceQuery of a user's AGX Xavier"),
    ),
)

_CARDS = (
    Device(
        "rtx-3060",
        "GeForce RTX 3060 12 GB",
        "boost 1777 MHz, FP16 accumulation",
        ("RTX 3060",),
        _rates(28, 1777, _GA10X, _GA106),
        _published(360, "GeForce RTX 3060 specification: 192-bit GDDR6 at 15 Gbit/s"),
        _unverified(3, "3 MB L2 of GA106, compilations of specifications"),
    ),
    Device(
        "rtx-4090",
        "GeForce RTX 4090",
        "boost 2520 MHz, FP16 accumulation",
        ("RTX 4090",),
        _stated(_ADA_PAPER, fp32=82.6, tf32=82.6, fp16=330.3, bf16=165.2, int8=660.6),
        _published(1008, _ADA_PAPER),
        _published(72, f"{_ADA_PAPER}: 73728 KB"),
    ),
    Device(
        "a10",
        "NVIDIA A10",
        "boost",
        ("NVIDIA A10",),
        _rates(72, 1695, _GA102_PRO, _A10_SHEET),
        _published(600, _A10_SHEET),
        _unverified(6, "6 MB L2 of GA102, compilations of specifications"),
    ),
    Device(
        "l4",
        "NVIDIA L4",
        "boost",
        ("NVIDIA L4",),
        _stated(_L4_SHEET, fp32=30.3, tf32=60, fp16=121, bf16=121, int8=242.5),
        _published(300, _L4_SHEET),
        _published(48, f"{_ADA_PAPER}: AD104, 49152 KB"),
    ),
    Device(
        "t4",
        "NVIDIA T4",
        "boost",
        ("T4",),
        _stated(_T4_SHEET, fp32=8.1, fp16=65, int8=130),
        _published(320, _T4_SHEET),
        _published(4, f"{_T4_SHEET}: 4096 KB"),
    ),
    Device(
        "a100",
        "NVIDIA A100 SXM 80 GB",
        "boost",
        ("A100",),
        _stated(_A100_SHEET, fp32=19.5, tf32=156, fp16=312, bf16=312, int8=624),
        _published(2039, _A100_SHEET),
        _published(40, f"{_A100_SHEET}: 40960 KB"),
    ),
    Device(
        "h100",
        "NVIDIA H100 SXM 80 GB",
        "boost",
        ("H100",),
        _stated(_HOPPER, fp32=66.9, tf32=494.7, fp16=989.4, bf16=989.4, int8=1978.9),
        _published(3352, _HOPPER),
        _published(50, f"{_HOPPER}: 50 MB"),
    ),
    Device(
        "h200",
        "NVIDIA H200 SXM 141 GB",
        "boost",
        ("H200",),
        _stated(_H200_SHEET, fp32=67, tf32=494.5, fp16=989.5, bf16=989.5, int8=1979),
        _published(4800, _H200_SHEET),
        _published(50, f"{_HOPPER}: 50 MB, the same chip"),
    ),
    # Its FP16 rate is 1/64 of FP32's: nobody computes in it. Its INT8 is DP4A, not tensor cores.
    Device(
        "titan-x-pascal",
        "NVIDIA TITAN X (Pascal)",
        "boost 1531 MHz",
        ("TITAN X (Pascal)", "TITAN X Pascal"),
        _stated(_TITAN, fp32=11, int8=44),
        _published(480, "NVIDIA announcement of TITAN X (Pascal): 384-bit GDDR5X, 480 GB/s"),
        _unverified(3, "NVIDIA's Turing slides of 2018: 3 MB L2 of Pascal's 384-bit chip"),
    ),
)

DEVICES: Mapping[str, Device] = {device.name: device for device in (*_JETSONS, *_CARDS)}


def find_device(name: str) -> Device:
    """Return a device by the name that users type.

    Raises:
        UsageError: If there is none; lists those that are known.
    """
    if name not in DEVICES:
        raise UsageError(
            f"unknown device {name!r}; expected one of {', '.join(DEVICES)}, "
            "or custom with --peaks F.json"
        )
    return DEVICES[name]
