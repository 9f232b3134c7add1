"""Whether a custom node calls our plugin or becomes standard operators.

A function body that stays in the file wins over the plugin in some versions of TensorRT and loses
in others. So the body of what a plugin does is deleted, which means the same to all of them, and
what no plugin does is written out in standard operators before TensorRT sees it.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import onnx.inliner
from onnx import ModelProto

from export.decode_function import CORNER_DECODE, decodes_by_plugin, inline_corner_decode
from export.functions import CORNER_POOL, DOMAIN, CornerPoolForm, inline_corner_pool
from export.int8_plugins import pool_integers
from export.tensorrt_options import DecodeForm, PluginUse, TensorRTOptions
from plugins.library import LIBRARY_VARIABLE, PluginError, PluginLibrary, find_library, load_plugins
from runtime.errors import BuildError
from runtime.manifest import PluginRecord


@dataclass(frozen=True)
class PluginChoice:
    """What was decided about custom nodes.

    Attributes:
        records: Plugins that the engine will call.
        remark: A clause for the build's summary; "" for a model without custom nodes.
    """

    records: tuple[PluginRecord, ...] = ()
    remark: str = ""


def choose_plugins(
    model: ModelProto, api: Any, logger: Any, options: TensorRTOptions, precision: str
) -> PluginChoice:
    """Load the plugin library if it serves, and prepare the graph for what it offers.

    Args:
        model: Changed in place: afterwards its custom nodes are those of plugins, without bodies.
        api: The TensorRT module.
        logger: TensorRT's logger.
        options: What the user asked for.
        precision: Of the model.

    Raises:
        BuildError: If the user asks for plugins, and they are not there or of no use.
        ExportError: If a node has neither plugin nor body, needs a fixed size, or the decoder is
            to be a plugin that does not take its parameters.
    """
    wanted = {node.op_type for node in model.graph.node if node.domain == DOMAIN}
    if not wanted:
        return PluginChoice()
    library, reason = _load(api, logger, options.plugins, precision)
    if library is None:
        if asked := _asked_for_plugins(options):
            raise BuildError(
                f"{asked}, but {reason}; expected a library that TensorRT loads; build it: "
                "make plugins, or take --plugins no"
            )
        write_out_nodes(model, ())
        return PluginChoice((), reason)
    if not decodes_by_plugin(model, options.decode):
        wanted.discard(CORNER_DECODE)
    records = tuple(
        PluginRecord(plugin.name, plugin.version, library.sha256)
        for plugin in library.plugins
        if plugin.name in wanted
    )
    write_out_nodes(model, {record.name for record in records})
    names = ", ".join(f"{record.name} {record.version}" for record in records)
    return PluginChoice(records, f"with plugins {names}" if names else "no plugin of use")


def _asked_for_plugins(options: TensorRTOptions) -> str:
    """Return the option that is an error without plugins; "" if there is none."""
    if options.plugins is PluginUse.YES:
        return "--plugins yes"
    return "--decode plugin" if options.decode is DecodeForm.PLUGIN else ""


def write_out_nodes(model: ModelProto, kept: Collection[str]) -> ModelProto:
    """Replace custom nodes by standard operators, except those that plugins do.

    Args:
        model: Changed in place.
        kept: Operators of plugins; their function bodies are deleted.

    Returns:
        The same model.

    Raises:
        ExportError: If corner pooling has no fixed size, or a node has no body.
    """
    if CORNER_DECODE not in kept:
        inline_corner_decode(model)
    if CORNER_POOL not in kept:
        inline_corner_pool(model, CornerPoolForm.MAX_POOL)
    if CORNER_POOL in kept:
        pool_integers(model)
    for function in [f for f in model.functions if f.domain == DOMAIN and f.name in kept]:
        model.functions.remove(function)
    if model.functions:  # of other origin
        model.CopyFrom(onnx.inliner.inline_local_functions(model))
    return model


def _load(
    api: Any, logger: Any, use: PluginUse, precision: str
) -> tuple[PluginLibrary | None, str]:
    """Return the loaded library, or None and the reason as a clause."""
    if use is PluginUse.NO:
        return None, "plugins not asked for"
    if precision == "bf16":
        return None, "without plugins: they have no BF16"
    path = find_library()
    if path is None:
        named = os.environ.get(LIBRARY_VARIABLE)
        absent = f" ({LIBRARY_VARIABLE} names {named}, which is no file)" if named else ""
        return None, f"without plugin library{absent}: make plugins"
    try:
        return load_plugins(api, logger, path), ""
    except PluginError as error:
        return None, f"without plugins: {error}"
