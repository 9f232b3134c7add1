"""Finding, describing and loading the plugin library, with a stand-in for TensorRT's registry."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

import plugins.library
from plugins.library import (
    PluginError,
    PluginName,
    describe_library,
    find_library,
    hash_library,
    load_plugins,
    open_library,
)

NAMES = (PluginName("CornerPool", "1", "cornerrt"), PluginName("Other", "2", "cornerrt"))
SOURCE = """
struct Name { const char *name, *version, *name_space; };
static const struct Name names[] = {{"CornerPool", "1", "cornerrt"}, {"Other", "2", "cornerrt"}};
const struct Name* cornerrt_plugin_name(int index) { return index < 2 ? &names[index] : 0; }
"""

needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc; apt install gcc")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that names two plugins and holds none."""
    path = tmp_path_factory.mktemp("library") / "libcornerrt_plugins.so"
    path.with_suffix(".c").write_text(SOURCE, "utf-8")
    subprocess.run(["gcc", "-shared", "-o", path, path.with_suffix(".c")], check=True)
    return path


class FakeTensorRT:
    """A TensorRT module with a registry that takes some plugins.

    Args:
        takes: Plugins that appear once a library is loaded.
        present: Plugins that are there before.
        name: The module's name.
    """

    def __init__(
        self,
        takes: tuple[PluginName, ...],
        present: tuple[PluginName, ...] = (),
        name: str = "tensorrt",
    ) -> None:
        self.__name__ = name
        self.__version__ = "10.3.0"
        self.all_creators: list[SimpleNamespace] = []
        self.loaded: list[str] = []
        self.log: list[str] = []
        self.ILogger = SimpleNamespace(Severity=SimpleNamespace(INFO="info"))
        self.logger = SimpleNamespace(log=lambda severity, text: self.log.append(text))
        self._takes = takes
        self._add(present)

    def get_plugin_registry(self) -> FakeTensorRT:
        return self

    def load_library(self, path: str) -> None:  # None is all that a failure gives, too
        self.loaded.append(path)
        self._add(self._takes)

    def _add(self, names: tuple[PluginName, ...]) -> None:
        for name, version, namespace in names:
            self.all_creators.append(
                SimpleNamespace(name=name, plugin_version=version, plugin_namespace=namespace)
            )


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins.library, "_loaded", {})


def test_the_variable_names_the_library(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORNERRT_PLUGINS", str(library))
    assert find_library() == library
    monkeypatch.setenv("CORNERRT_PLUGINS", str(library.parent / "absent.so"))
    assert find_library() is None
    monkeypatch.setenv("CORNERRT_PLUGINS", "")
    assert find_library() is None


def test_without_the_variable_it_is_what_make_built(
    library: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CORNERRT_PLUGINS", raising=False)
    monkeypatch.setattr(plugins.library, "BUILD_FOLDER", library.parent)
    assert find_library() == library
    monkeypatch.setattr(plugins.library, "BUILD_FOLDER", tmp_path)
    assert find_library() is None


def test_a_relative_path_becomes_absolute(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(library.parent)
    monkeypatch.setenv("CORNERRT_PLUGINS", library.name)
    assert find_library() == library


@needs_compiler
def test_a_description_has_digest_and_names(library: Path) -> None:
    found = describe_library(library)
    assert found.path == library
    assert found.sha256 == hash_library(library) == hashlib.sha256(library.read_bytes()).hexdigest()
    assert found.plugins == NAMES
    assert str(found.plugins[0]) == "CornerPool 1 cornerrt"


@needs_compiler
def test_a_library_that_is_cut_short_is_refused_unopened(library: Path, tmp_path: Path) -> None:
    whole, short = library.read_bytes(), tmp_path / "short.so"
    for size in (len(whole) - 1, len(whole) // 2, 64, 10):
        short.write_bytes(whole[:size])
        with pytest.raises(PluginError, match=r"short\.so is not .*; expected .*; build it"):
            describe_library(short)
    short.write_bytes(whole[:-1])
    with pytest.raises(OSError, match=f"{len(whole) - 1} bytes of at least {len(whole)}"):
        open_library(short)


@needs_compiler
def test_what_is_no_plugin_library_is_refused(tmp_path: Path) -> None:
    garbage, foreign = tmp_path / "garbage.so", tmp_path / "foreign.so"
    garbage.write_bytes(b"garbage")
    (tmp_path / "empty.c").touch()
    subprocess.run(["gcc", "-shared", "-o", foreign, tmp_path / "empty.c"], check=True)
    for path in (garbage, foreign):
        with pytest.raises(PluginError, match=rf"{path.name} is not .*; expected .*; build it"):
            describe_library(path)
    with pytest.raises(PluginError, match=r"absent.so is no file; expected .*; build it"):
        describe_library(tmp_path / "absent.so")


@needs_compiler
def test_loading_tells_the_logger(library: Path) -> None:
    api = FakeTensorRT(NAMES)
    assert load_plugins(api, api.logger, library).plugins == NAMES
    assert api.loaded == [str(library)]
    assert api.log == [f"plugins CornerPool 1 cornerrt, Other 2 cornerrt from {library}"]


@needs_compiler
def test_a_second_load_and_a_preloaded_library_are_success(library: Path) -> None:
    api = FakeTensorRT(NAMES)
    assert load_plugins(api, api.logger, library) == load_plugins(api, api.logger, library)
    assert len(api.loaded) == 1
    preloaded = FakeTensorRT((), NAMES)
    assert load_plugins(preloaded, api.logger, library).plugins == NAMES
    assert preloaded.loaded == []


@needs_compiler
def test_a_library_that_tensorrt_does_not_take_is_an_error(library: Path) -> None:
    for takes in ((), NAMES[1:], (NAMES[0]._replace(version="0"), NAMES[1])):
        api = FakeTensorRT(takes)
        with pytest.raises(PluginError, match=r"did not take CornerPool 1 cornerrt.*make plugins"):
            load_plugins(api, api.logger, library)


@needs_compiler
def test_a_process_has_one_library(library: Path, tmp_path: Path) -> None:
    api = FakeTensorRT(NAMES)
    load_plugins(api, api.logger, library)
    other = tmp_path / library.name
    other.write_bytes(library.read_bytes() + b"changed")
    with pytest.raises(PluginError, match=r"loaded another plugin library .* new process"):
        load_plugins(api, api.logger, other)


@needs_compiler
def test_rtx_without_its_unversioned_name_is_an_error_and_no_crash(library: Path) -> None:
    api = FakeTensorRT(NAMES, name="tensorrt_rtx")
    try:
        load_plugins(api, api.logger, library)
    except PluginError as error:
        assert "found neither libtensorrt_rtx.so nor" in str(error)
        assert not api.loaded
    else:  # this process, or this machine, has that name already
        assert api.loaded


@needs_compiler
def test_the_shim_beside_the_library_serves_rtx(library: Path) -> None:
    shim = library.parent / "rtx_shim" / "libtensorrt_rtx.so"
    shim.parent.mkdir()
    shim.write_bytes(library.read_bytes())
    api = FakeTensorRT(NAMES, name="tensorrt_rtx_bindings")
    assert load_plugins(api, api.logger, library).plugins == NAMES
