"""No foreign text is ever parsed as markup: what the source may and may not say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SCREEN = Path(__file__).parents[2] / "workbench/tui"
FILES = sorted(SCREEN.rglob("*.py"))
TITLES = {"border_title", "border_subtitle", "tooltip"}
SAFE_CALLS = {"plain", "plain_line"}


def find_unsafe(source: str) -> Iterator[str]:
    """Assignments of a title from anything but plain content or a literal; markup made of anything but a literal."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign):
            titled = [target for target in node.targets if isinstance(target, ast.Attribute) and target.attr in TITLES]
            if titled and not is_safe(node.value):
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "from_markup":
            if not is_literal(node.args[0]):
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.keyword) and node.arg == "markup" and ast.unparse(node.value) != "False":
            yield f"line {node.lineno}: markup={ast.unparse(node.value)}"


def is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def is_safe(node: ast.expr) -> bool:
    if is_literal(node):
        return "[" not in ast.literal_eval(node)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAFE_CALLS


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SCREEN)))
def test_titles_are_plain_and_markup_is_literal(path):
    assert not list(find_unsafe(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "source",
    [
        "pane.border_title = name",
        "pane.border_title = f'Adapters of {name}'",
        "self.border_subtitle = '[b]x'",
        "Content.from_markup(f'[b]{name}')",
        "Static(name, markup=True)",
        "widget.tooltip = variant.name",
    ],
)
def test_the_rule_finds(source):
    assert list(find_unsafe(source))
