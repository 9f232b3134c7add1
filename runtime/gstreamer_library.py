"""GStreamer's C library through ctypes: what the process of ``runtime.gstreamer_child`` calls.

The binary interface is fixed for all of GStreamer 1. Standard library only.
"""

from __future__ import annotations

import ctypes
from typing import Any

_P, _S, _I = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_OUT = ctypes.POINTER(ctypes.c_int)


class GError(ctypes.Structure):
    """GError: what went wrong."""

    _fields_ = [("domain", ctypes.c_uint32), ("code", _I), ("message", _S)]


class MapInfo(ctypes.Structure):
    """GstMapInfo: where a buffer lies while it is mapped."""

    _fields_ = [
        ("memory", _P),
        ("flags", _I),
        ("data", _P),
        ("size", ctypes.c_size_t),
        ("maxsize", ctypes.c_size_t),
        ("reserved", _P * 8),
    ]


class Value(ctypes.Structure):
    """GValue: what an iterator yields."""

    _fields_ = [("type", ctypes.c_size_t), ("data", ctypes.c_uint64 * 2)]


# What is called: the name, what it returns, what it takes.
_FUNCTIONS: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
    ("gst_init_check", _I, (_P, _P, _P)),
    ("gst_element_factory_find", _P, (_S,)),
    ("gst_parse_launch", _P, (_S, ctypes.POINTER(ctypes.POINTER(GError)))),
    ("gst_bin_get_by_name", _P, (_P, _S)),
    ("g_object_set", None, (_P, _S, _S, _P)),
    ("gst_element_get_bus", _P, (_P,)),
    ("gst_element_set_state", _I, (_P, _I)),
    ("gst_bus_timed_pop_filtered", _P, (_P, ctypes.c_uint64, _I)),
    ("gst_message_parse_error", None, (_P, ctypes.POINTER(ctypes.POINTER(GError)), _P)),
    ("gst_message_get_structure", _P, (_P,)),
    ("g_quark_to_string", _S, (ctypes.c_uint32,)),
    ("gst_app_sink_try_pull_sample", _P, (_P, ctypes.c_uint64)),
    ("gst_sample_get_caps", _P, (_P,)),
    ("gst_sample_get_buffer", _P, (_P,)),
    ("gst_caps_get_structure", _P, (_P, ctypes.c_uint)),
    ("gst_structure_get_int", _I, (_P, _S, _OUT)),
    ("gst_structure_get_fraction", _I, (_P, _S, _OUT, _OUT)),
    ("gst_structure_get_string", _S, (_P, _S)),
    ("gst_buffer_map", _I, (_P, ctypes.POINTER(MapInfo), _I)),
    ("gst_buffer_unmap", None, (_P, ctypes.POINTER(MapInfo))),
    ("gst_mini_object_unref", None, (_P,)),
    ("gst_bin_iterate_recurse", _P, (_P,)),
    ("gst_iterator_next", _I, (_P, ctypes.POINTER(Value))),
    ("gst_iterator_free", None, (_P,)),
    ("g_value_get_object", _P, (ctypes.POINTER(Value),)),
    ("g_value_unset", None, (ctypes.POINTER(Value),)),
    ("gst_element_get_metadata", _S, (_P, _S)),
    ("gst_element_get_factory", _P, (_P,)),
    ("gst_object_get_name", _S, (_P,)),
)


def load_gstreamer() -> Any:
    """Load the C library and declare what is called.

    Raises:
        OSError: If it is not installed.
    """
    # A library's functions include those of the libraries that it needs, such as GLib.
    library: Any = ctypes.CDLL("libgstapp-1.0.so.0")
    for name, result, arguments in _FUNCTIONS:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    if not library.gst_init_check(None, None, None):
        raise OSError("GStreamer does not start")
    return library
