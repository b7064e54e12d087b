"""Defers imports, so that a run imports only what it uses.

Defining a TFX pipeline imports everything that its nodes could run: TensorFlow, Beam with its Google
Cloud clients, TFMA, KerasTuner, the Kubernetes client. A run whose nodes are all cached uses none of
them, and other runs need them only when the first executor starts. `install()` defers three things:

- the `__init__` of a few packages, until one of their names is used;
- executor modules, whose classes a component definition only names: a stand-in class has the
  dotted path, which is all that the compiled pipeline keeps;
- TensorFlow as TFX's file system for local paths, which Python's own file functions replace.

`release()` is called once, before the first executor is imported. From then on every deferred module
is the real one. Only `runner_local.py run` and the entry point of Kubeflow's steps call them;
docs/decisions/0005-light-imports.md has the figures.
"""

from __future__ import annotations

import abc
import importlib
import importlib.util
import re
import stat
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NamedTuple

# Packages whose `__init__` is deferred: name -> submodules that may be imported without it.
_PACKAGES: dict[str, re.Pattern[str]] = {
    "tensorflow": re.compile(r"core(\..*)?|tools(\.docs(\.doc_controls)?)?"),  # protocol buffers, decorators
    "tensorflow_data_validation": re.compile(r"(?!)"),
    "tensorflow_model_analysis": re.compile(r"sdk|constants|version|proto(\..*)?"),
    "tfx.components": re.compile(r".*"),
    "apache_beam": re.compile(r"(?!)"),
}

# Names of those packages that come from a module that is light enough to import at once.
_EVAL_CONFIG = "tensorflow_model_analysis.proto.config_pb2"
_LIGHT_NAMES: dict[str, dict[str, str]] = {
    "tensorflow_model_analysis": dict.fromkeys(
        (
            "EvalConfig",
            "ModelSpec",
            "SlicingSpec",
            "MetricsSpec",
            "MetricConfig",
            "MetricThreshold",
            "GenericValueThreshold",
            "GenericChangeThreshold",
            "MetricDirection",
        ),
        _EVAL_CONFIG,
    ),
}

# Modules that component definitions import only to name one of their classes.
_NAMED_ONLY = re.compile(
    r"(tfx\.)?components\..*executor"
    r"|tfx\.dsl\.components\.base\.base_beam_executor"
    r"|tfx\.orchestration\.portable\.(beam|docker)_executor_operator"
)
# Classes of deferred modules that definitions name in annotations or executor specs.
_STAND_IN_CLASSES = re.compile(
    r"(?:(tfx\.)?components\..*executor:\w*Executor"
    r"|tfx\.dsl\.components\.base\.base_beam_executor:BaseBeamExecutor"
    r"|tfx\.orchestration\.portable\.\w+:(Beam|Docker)ExecutorOperator"
    r"|tensorflow_data_validation:StatsOptions)"
)


class _StandInClass(abc.ABCMeta):
    """The metaclass of stand-ins, which know their dotted path and act as the real class when used.

    It is an ABCMeta, because a class that derives from a stand-in may have abstract bases too.
    """

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        if not bases:
            return super().__new__(mcs, name, bases, namespace)
        real = tuple(base._real() if isinstance(base, mcs) else base for base in bases)
        return types.new_class(name, real, exec_body=lambda body: body.update(namespace))

    def _real(cls) -> Any:
        module = _load(cls.__module__)
        return getattr(module, cls.__name__)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls._real()(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(cls._real(), name)

    def __instancecheck__(cls, instance: object) -> bool:
        return cls.__module__ not in _state.pending and isinstance(instance, cls._real())


@dataclass
class _State:
    """What is currently deferred: module name -> the module object whose code has not run."""

    active: bool = False
    pending: dict[str, ModuleType] = field(default_factory=dict)


_state = _State()


def _stand_in(module: str, name: str) -> type:
    return _StandInClass(name, (), {"__module__": module, "__qualname__": name})


def _load(name: str) -> ModuleType:
    """Runs the code of a deferred module in the module object that other modules already refer to."""
    module = _state.pending.pop(name, None)
    if module is None:
        return importlib.import_module(name)
    stand_ins = {k: v for k, v in vars(module).items() if isinstance(v, _StandInClass)}
    for key in ("__getattr__", *stand_ins):
        vars(module).pop(key, None)
    assert module.__spec__ is not None
    loader = module.__spec__.loader_state
    loader.exec_module(module)
    for light, home in _LIGHT_NAMES.get(name, {}).items():
        vars(module).setdefault(light, getattr(importlib.import_module(home), light))
    return module


def _getattr_of(module: ModuleType) -> Callable[[str], Any]:
    """Returns the `__getattr__` (PEP 562) of a deferred module, which provides names that it does not have yet."""
    package = module.__name__

    def __getattr__(name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if name in _LIGHT_NAMES.get(package, {}):
            return getattr(importlib.import_module(_LIGHT_NAMES[package][name]), name)
        if _STAND_IN_CLASSES.fullmatch(f"{package}:{name}"):
            stand_in = _stand_in(package, name)
            setattr(module, name, stand_in)
            return stand_in
        if _is_light_submodule(package, name):
            return importlib.import_module(f"{package}.{name}")
        return getattr(_load(package), name)

    return __getattr__


def _is_light_submodule(package: str, name: str) -> bool:
    light = _PACKAGES.get(package)
    return bool(light and light.fullmatch(name)) and importlib.util.find_spec(f"{package}.{name}") is not None


class _DeferringLoader:
    """Creates the module object without running its code."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        _state.pending[module.__name__] = module
        vars(module)["__getattr__"] = _getattr_of(module)


class _AlreadyLoaded:
    """Returns a submodule that its package's `__init__` has just imported."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _DeferringFinder:
    """The first finder of `sys.meta_path`, which decides what is deferred."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if _state.active and (name in _PACKAGES or _NAMED_ONLY.fullmatch(name)):
            return _deferred_spec(name)
        package = name.partition(".")[0]
        if package in _state.pending and not _PACKAGES[package].fullmatch(name[len(package) + 1 :]):
            _load(package)
            if name in sys.modules:
                return ModuleSpec(name, _AlreadyLoaded(sys.modules[name]))  # type: ignore[arg-type]
        return None


_finder = _DeferringFinder()


def _deferred_spec(name: str) -> ModuleSpec | None:
    for finder in sys.meta_path:
        spec = finder.find_spec(name, _parent_path(name), None) if finder is not _finder else None
        if spec is not None and spec.loader is not None:
            spec.loader_state = spec.loader
            spec.loader = _DeferringLoader()  # type: ignore[assignment]
            return spec
    return None


def _parent_path(name: str) -> Any:
    parent = name.rpartition(".")[0]
    return sys.modules[parent].__path__ if parent else None


def install() -> None:
    """Starts to defer imports; call it before the first import of TFX."""
    _state.active = True
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    _prefer_local_files()


def _prefer_local_files() -> None:
    """Uses Python's own file functions for local paths, even after `release`: file fingerprints must not change."""
    from tfx.dsl.io import fileio  # noqa: F401  (registers TFX's own plugins first)
    from tfx.dsl.io.filesystem_registry import DEFAULT_FILESYSTEM_REGISTRY
    from tfx.dsl.io.plugins.local import LocalFilesystem

    class LocalFiles(LocalFilesystem):
        """TFX's plugin for local files, extended to return what callers expect from TensorFlow's plugin."""

        @staticmethod
        def stat(path: Any) -> FileStatistics:
            result = LocalFilesystem.stat(path)
            return FileStatistics(result.st_size, result.st_mtime_ns, stat.S_ISDIR(result.st_mode))

        @staticmethod
        def glob(pattern: Any) -> list[Any]:
            return sorted(LocalFilesystem.glob(pattern))

    DEFAULT_FILESYSTEM_REGISTRY.register(LocalFiles, priority=0)


class FileStatistics(NamedTuple):
    """What `tf.io.gfile.stat` returns: bytes, nanoseconds since 1970."""

    length: int
    mtime_nsec: int
    is_directory: bool


def release(load: bool = True) -> None:
    """Ends the deferral before the first executor is imported.

    Executor modules are forgotten, so that the next import by dotted path finds the real ones;
    packages that are still deferred are loaded on their first use, by the thread that uses them.

    Args:
        load: whether to load TensorFlow and Beam now; if not, call `load_for_threads` before Beam runs.
    """
    if not _state.active:
        return
    _state.active = False
    for name in [n for n in _state.pending if _NAMED_ONLY.fullmatch(n)]:
        _forget(name)
    if load:
        load_for_threads()


def load_for_threads() -> None:
    """Loads TensorFlow and Beam if they are still deferred, because Beam's worker threads would race to load them."""
    for name in ("tensorflow", "apache_beam"):
        if name in _state.pending:
            _load(name)


def _forget(name: str) -> None:
    del _state.pending[name], sys.modules[name]
    parent, _, child = name.rpartition(".")
    vars(sys.modules[parent]).pop(child, None)
