"""The source tree as data: modules, classes, identifiers, and who imports whom."""

from __future__ import annotations

import ast
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[2]
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Site(NamedTuple):
    """Where something stands. path: relative to the checkout."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@cache
def list_files(root: str = "workbench") -> dict[str, Path]:
    """Module name -> file."""
    found = {}
    for path in sorted((CHECKOUT / root).rglob("*.py")):
        parts = path.relative_to(CHECKOUT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def find_classes(root: str = "workbench") -> dict[str, list[Site]]:
    """Name of a class at the top of a module -> where it is."""
    found: dict[str, list[Site]] = defaultdict(list)
    for path in list_files(root).values():
        for node in _parse(path).body:
            if isinstance(node, ast.ClassDef):
                found[node.name].append(Site(str(path.relative_to(CHECKOUT)), node.lineno))
    return found


def find_identifiers(root: str = "workbench") -> dict[str, list[Site]]:
    """Identifier -> where it is used, inside f-strings too; names of files count as used in line 1."""
    found: dict[str, list[Site]] = defaultdict(list)
    for path in list_files(root).values():
        where = str(path.relative_to(CHECKOUT))
        found[path.stem].append(Site(where, 1))
        for name, line in _list_names(path):
            found[name].append(Site(where, line))
    return found


def split_words(identifier: str) -> list[str]:
    """`PrefillBudget` and `prefill_budget` are both prefill, budget."""
    return [part.lower() for part in _PART.findall(identifier)]


def _list_names(path: Path) -> Iterator[tuple[str, int]]:
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.NAME:
                yield token.string, token.start[0]
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.JoinedStr):  # one string token before Python 3.12
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name):
                    yield inner.id, inner.lineno
                elif isinstance(inner, ast.Attribute):
                    yield inner.attr, inner.lineno


def find_imports(root: str = "workbench") -> dict[str, set[str]]:
    """Module -> the modules of ours that it imports at its top or for the type checker; not inside functions."""
    files = list_files(root)
    return {name: set(_list_imports(path, files)) - {name} for name, path in files.items()}


def _list_imports(path: Path, files: dict[str, Path]) -> Iterator[str]:
    for node in _list_top(_parse(path).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in files:
                    yield inner
                elif node.module in files:
                    yield node.module


def _list_top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If):
            yield from _list_top([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _list_top(
                [*node.body, *node.orelse, *node.finalbody, *(s for h in node.handlers for s in h.body)]
            )
        else:
            yield node


def find_circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, by Tarjan's strongly connected components."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in sorted(imports.get(name, ())):
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            position = stack.index(name)
            group = stack[position:]
            del stack[position:]
            if len(group) > 1:
                circles.append(sorted(group))

    for name in imports:
        if name not in order:
            visit(name)
    return circles
