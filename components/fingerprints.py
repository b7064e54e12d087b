"""Hashes of the code that a node runs and of the files it reads by path.

TFX's cache key covers a node's inputs and parameters, but neither the code of functions named by dotted path
nor the content of files named by path. Nodes take these hashes as parameters, so an edit re-runs the nodes
that use it and no others.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
from pathlib import Path

from components.project import PACKAGES

# Results depend on the versions of these libraries.
LIBRARIES = (
    "apache-beam",
    "tensorflow",
    "tensorflow-model-analysis",
    "tensorflow-text",
    "tensorflow-transform",
    "tf-keras",
    "tfx",
    "tokenizers",
    "transformers",
)
# Hashed only for code that imports them directly.
LIBRARIES_OF_ONE_NODE = ("ai-edge-litert", "kserve", "onnx", "onnxruntime", "tf2onnx")


def code_fingerprint(*modules: str) -> str:
    """Hash (16 hex digits) of modules, of everything they import from this project, and of the library versions.

    Args:
        modules: dotted names inside this project, such as `components.trainer.run_fn`.
    """
    digest = hashlib.sha256()
    sources = {name: path for module in modules for name, path in _closure(module).items()}
    for name, path in sorted(sources.items()):
        digest.update(f"{name}\0".encode())
        digest.update(path.read_bytes())
        files = path.with_name("files")  # what a package ships that is not Python
        if files.is_dir():
            digest.update(content_fingerprint(files).encode())
    imported = {
        other.partition(".")[0]
        for name, path in sources.items()
        for other in _imports(path, _package(name, path))
    }
    of_one_node = [name for name in LIBRARIES_OF_ONE_NODE if name.replace("-", "_") in imported]
    for library in (*LIBRARIES, *of_one_node):
        digest.update(f"{library}=={_version(library)}\n".encode())
    return digest.hexdigest()[:16]


@functools.cache
def _version(library: str) -> str:
    return importlib.metadata.version(library)


def content_fingerprint(*paths: Path) -> str:
    """Hash (16 hex digits) of the contents of files and, recursively, of folders.

    Raises:
        OSError: a path cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(f"{file.relative_to(path) if file != path else ''}\0".encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def _closure(module: str) -> dict[str, Path]:
    """The module and, transitively, every module of this project that it imports."""
    own = {module.partition(".")[0], *PACKAGES}
    sources: dict[str, Path] = {}
    pending = [module]
    while pending:
        name = pending.pop()
        path = _source(name)
        if name in sources or path is None:
            continue
        sources[name] = path
        imported = _imports(path, _package(name, path))
        pending.extend(other for other in imported if other.partition(".")[0] in own)
        pending.append(name.rpartition(".")[0] or name)
    return sources


@functools.cache
def _source(name: str) -> Path | None:
    """The source file of a module; None if the name is not a module (for example, a class)."""
    root = importlib.util.find_spec(name.partition(".")[0])
    if root is None or root.origin is None:
        return None
    base = Path(root.origin).parent.joinpath(*name.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _package(module: str, path: Path) -> str:
    """The package that relative imports of a module start from."""
    return module if path.name == "__init__.py" else module.rpartition(".")[0]


@functools.cache
def _imports(path: Path, package: str) -> list[str]:
    """Dotted names of a file's imports: modules and the names imported from them."""
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return names
