"""Local code: a Python file of a user's own with every module that it loads from the user's folders, and their digest.

The files are read, never run. Found are the modules that `import` names, those that `import_module` and file names name
in so many words, and what these load in turn. What is loaded in another way is not found, and refused when it is run
(scoring/confinement.py).
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from workbench import files, paths
from workbench.errors import ScorerError
from workbench.scoring.permissions import NOTHING, Permissions

MOST_FILES = 1000
LONGEST_FILE = 4 * 1024 * 1024
"""Bytes of one source file."""

_IMPORTERS = {"import_module", "__import__", "find_spec", "run_module"}


class LocalCode(msgspec.Struct, frozen=True):
    """file: the scorer's own, as it is on the disk. modules: path -> digest of each file that it loads, its own too.
    permissions: what its process may use."""

    file: str
    modules: dict[str, str]
    permissions: Permissions = NOTHING

    @property
    def digest(self) -> str:
        """Of all of it, of its place and of what it may use."""
        parts = [self.file, *(f"{path}\0{digest}" for path, digest in sorted(self.modules.items()))]
        content = "\0".join([*parts, *self.permissions.describe()])
        return hashlib.blake2b(content.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()

    @property
    def content(self) -> str:
        """A digest of what the files hold alone, wherever they lie."""
        return hashlib.blake2b("\0".join(sorted(self.modules.values())).encode(), digest_size=16).hexdigest()

    def without_paths(self) -> LocalCode:
        """The same wherever the files lie."""
        named = {str(at): digest for at, digest in enumerate(sorted(self.modules.values()))}
        return msgspec.structs.replace(self, file="", modules=named)

    @property
    def others(self) -> tuple[str, ...]:
        """What it loads beside itself."""
        return tuple(path for path in self.modules if path != self.file)


def read_code(file: Path, folder: Path, permissions: Permissions = NOTHING) -> LocalCode:
    """A scorer's file with all that it loads. folder: the bench's. permissions: what its process may use.

    Raises FileError when it cannot be read, ScorerError when it loads more than can be looked through.
    """
    found = _CodeReader(file.resolve(), local_folders(file.resolve(), folder)).read()
    return msgspec.structs.replace(found, permissions=permissions)


def local_folders(file: Path, folder: Path) -> tuple[Path, ...]:
    """The folders whose modules are the user's own: the scorer's, the bench's, and the one where the user stands."""
    return tuple(dict.fromkeys(one.resolve() for one in (file.parent, folder, paths.working_folder())))


def is_installed(path: Path) -> bool:
    """Whether a file belongs to the interpreter or to a package that was installed into it."""
    holders = (sys.prefix, sys.base_prefix, sys.exec_prefix)
    if {"site-packages", "dist-packages"} & set(path.parts):
        return any(path.is_relative_to(one) for one in (*map(_real, holders), *map(_real, sys.path)))
    return path.is_relative_to(_real(str(Path(__file__).parents[1]))) or any(
        path.is_relative_to(_real(holder) / "lib") for holder in holders
    )


def _real(path: str) -> Path:
    return Path(path).resolve()


class _CodeReader:
    def __init__(self, file: Path, local: tuple[Path, ...]) -> None:
        self._file = file
        self._local = local
        self._roots = [file.parent]
        self._names: dict[str, None] = {}
        self._found: dict[Path, str] = {}

    def read(self) -> LocalCode:
        waiting = [self._file]
        while waiting:
            for path in waiting:
                self._accept(path)
            located = (path for name in self._names for path in self._locate(name))
            waiting = [path for path in dict.fromkeys(located) if path not in self._found]
        return LocalCode(str(self._file), {str(path): digest for path, digest in self._found.items()})

    def _accept(self, path: Path) -> None:
        if len(self._found) >= MOST_FILES or path.stat().st_size > LONGEST_FILE:
            raise ScorerError(
                f"{self._file} loads more than {MOST_FILES} files of your own, or one of more than"
                f" {LONGEST_FILE >> 20} MiB ({path}): too many to be agreed to",
                "Move it into a folder of its own, with only the modules that it needs.",
            )
        self._found[path] = files.digest(path)
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return  # it cannot be run either
        for node in ast.walk(tree):
            self._note(node, path)

    def _note(self, node: ast.AST, path: Path) -> None:
        match node:
            case ast.Import(names=aliases):
                self._names.update(dict.fromkeys(alias.name.partition(".")[0] for alias in aliases))
            case ast.ImportFrom(module=str(module), level=0):
                self._names[module.partition(".")[0]] = None
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(text)), *_]
            ):
                if called in _IMPORTERS and all(part.isidentifier() for part in text.split(".")):
                    self._names[text.partition(".")[0]] = None
            case ast.Constant(value=str(text)) if text and len(text) < 200 and text.isprintable():
                self._note_path(text, path)

    def _note_path(self, text: str, path: Path) -> None:
        """A text may be the path of a file that is run, or of a folder that is put on sys.path."""
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            found = (path.parent / text).resolve()
            if found.suffix == ".py" and found.is_file():
                self._names[str(found)] = None
            elif found.is_dir() and found not in self._roots and self._is_local(found):
                self._roots.append(found)

    def _locate(self, name: str) -> Iterator[Path]:
        if name.endswith(".py") and Path(name).is_absolute():
            yield Path(name)
            return
        if name in sys.stdlib_module_names:
            return
        for root in self._roots:
            yield from _list_module(root, name)
        yield from self._locate_editable(name)

    def _locate_editable(self, name: str) -> Iterator[Path]:
        """A module that the interpreter finds in one of the user's folders, such as one installed as editable."""
        try:
            spec = importlib.util.find_spec(name) if name not in ("__main__", "workbench") else None
        except (ImportError, ValueError, AttributeError):
            return
        locations = [*(spec.submodule_search_locations or ()), spec.origin] if spec else []
        for location in locations:
            path = Path(location).resolve() if location else None
            if path and self._is_local(path) and not is_installed(path):
                yield from [path] if path.suffix == ".py" else _list_package(path)

    def _is_local(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self._local)


def _list_module(root: Path, name: str) -> Iterator[Path]:
    with contextlib.suppress(OSError, ValueError):
        plain = root / f"{name}.py"
        if plain.is_file():
            yield plain.resolve()
        yield from _list_package(root / name)


def _list_package(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path.resolve() for path in sorted(folder.rglob("*.py")) if path.is_file())
