"""What a user can ask of TensorRT's builder, and which of it each product understands."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import UsageError
from runtime.manifest import HARDWARE_COMPATIBILITIES, RTX_CAPABILITIES

# Ampere, Ada and Blackwell desktop GPUs; all at once cost little more than one.
DEFAULT_CAPABILITIES = ("8.6", "8.9", "12.0")


class PluginUse(enum.Enum):
    """Whether custom nodes call our plugins.

    Attributes:
        AUTO: Where the library is built and loads; the summary says so if not.
        YES: An error without the library.
        NO: Never; nodes are replaced by standard operators.
    """

    AUTO = "auto"
    YES = "yes"
    NO = "no"


class DecodeForm(enum.Enum):
    """What an engine decodes with.

    Attributes:
        AUTO: The plugin where its library is loaded and takes the parameters, else operators.
        PLUGIN: The plugin; an error without it, or for parameters that it does not take.
        GRAPH: Standard operators.
        FASTEST: Whichever of the two takes less time on the GPU at hand; builds both.
    """

    AUTO = "auto"
    PLUGIN = "plugin"
    GRAPH = "graph"
    FASTEST = "fastest"


@dataclass(frozen=True)
class SizeRange:
    """The range of one dynamic dimension.

    Attributes:
        smallest: The least that the engine takes.
        usual: The size that its kernels are chosen for.
        largest: The most that it takes.

    Raises:
        UsageError: On creation, unless 1 <= smallest <= usual <= largest.
    """

    smallest: int = 1
    usual: int = 1
    largest: int = 1

    def __post_init__(self) -> None:
        """Check the order."""
        if not 1 <= self.smallest <= self.usual <= self.largest:
            raise UsageError(
                f"a dynamic size ranges from {self.smallest} over {self.usual} to {self.largest}; "
                "expected three whole numbers from 1 in rising order"
            )

    def holds(self, size: int) -> bool:
        """Say whether a size lies within."""
        return self.smallest <= size <= self.largest


@dataclass(frozen=True)
class TensorRTOptions:
    """How to build.

    Attributes:
        compute_capabilities: GPUs of a TensorRT-RTX engine, such as "8.6"; empty for the default
            ones, and for the full TensorRT, which builds for the GPU at hand.
        batch: Batch sizes, for models whose batch is dynamic.
        height: Heights of the input in pixels, for models whose height is dynamic.
        width: The same for widths.
        timing_cache: File of kernel timings, read and written; None keeps none.
        version_compatible: Let later versions of the same major number run the engine.
        hardware_compatibility: One of ``HARDWARE_COMPATIBILITIES``.
        optimization_level: 0 (fast build) to 5 (thorough); None is the product's default.
        workspace_mib: Limit of scratch memory in MiB; None is the whole GPU.
        plugins: Whether custom nodes call our plugins.
        decode: What decodes, as far as plugins are called at all.
    """

    compute_capabilities: tuple[str, ...] = ()
    batch: SizeRange = SizeRange()
    height: SizeRange | None = None
    width: SizeRange | None = None
    timing_cache: Path | None = None
    version_compatible: bool = False
    hardware_compatibility: str = HARDWARE_COMPATIBILITIES[0]
    optimization_level: int | None = None
    workspace_mib: int | None = None
    plugins: PluginUse = PluginUse.AUTO
    decode: DecodeForm = DecodeForm.AUTO


def capabilities_of(text: str) -> tuple[str, ...]:
    """Return the GPUs that ``--target-sm`` names: ("8.6", "12.0") of "86,120".

    Raises:
        UsageError: If a part is no compute capability that TensorRT-RTX builds for.
    """
    known = {name.replace(".", ""): name for name in RTX_CAPABILITIES}
    parts = [part.strip() for part in text.split(",")]
    if unknown := [part for part in parts if part not in known]:
        raise UsageError(
            f"--target-sm got {text!r} with {unknown[0]!r}; expected some of {', '.join(known)}, "
            "joined by commas; the full TensorRT builds for other GPUs: TARGET=tensorrt on them"
        )
    return tuple(known[part] for part in dict.fromkeys(parts))


def check_options(options: TensorRTOptions, target: str) -> None:
    """Refuse options that a target would ignore or cannot follow.

    Raises:
        UsageError: If there is one; names it.
    """
    given = {
        "--target-sm": bool(options.compute_capabilities),
        "--timing-cache": options.timing_cache is not None,
        "--version-compatible": options.version_compatible,
        "--hardware-compatibility": options.hardware_compatibility != HARDWARE_COMPATIBILITIES[0],
        "--plugins": options.plugins is not PluginUse.AUTO,
        "--decode": options.decode is not DecodeForm.AUTO,
    }
    understood = {
        "tensorrt-rtx": {"--target-sm", "--plugins", "--decode"},
        "tensorrt": set(given) - {"--target-sm"},
    }
    for option in set(given) - understood.get(target, set()):
        if given[option]:
            others = [name for name, names in understood.items() if option in names]
            raise UsageError(f"{option} means nothing to target {target}; use it with {others[0]}")


def arguments_of(options: TensorRTOptions) -> tuple[str, ...]:
    """Return the command-line options that stand for ``options``, less ``--target-sm``."""
    words: list[str] = []
    sizes = {"--batch": options.batch, "--height": options.height, "--width": options.width}
    for option, size in sizes.items():
        if size is not None and size != SizeRange():
            words += [option, *map(str, (size.smallest, size.usual, size.largest))]
    if options.timing_cache is not None:
        words += ["--timing-cache", str(options.timing_cache)]
    if options.version_compatible:
        words.append("--version-compatible")
    if options.hardware_compatibility != HARDWARE_COMPATIBILITIES[0]:
        words += ["--hardware-compatibility", options.hardware_compatibility]
    if options.optimization_level is not None:
        words += ["--opt-level", str(options.optimization_level)]
    if options.workspace_mib is not None:
        words += ["--workspace", str(options.workspace_mib)]
    if options.plugins is not PluginUse.AUTO:
        words += ["--plugins", options.plugins.value]
    if options.decode is not DecodeForm.AUTO:
        words += ["--decode", options.decode.value]
    return tuple(words)
