"""A template's syntax tree, rewritten so that everything that takes work goes through the sandbox that counts it.

Jinja lets a sandbox see operators, calls and filters, but not loops, slices, comparisons, `~` or the text that a loop
repeats: these become filters that no template can name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.visitor import NodeTransformer

TURNS, TICK, JOIN, SLICE, COMPARE, SEARCH, METHOD, KEY = (
    "loop turns", "loop body", "concatenation", "slice of", "compared value", "searched value", "method of", "key of",
)  # fmt: skip
"""The filters that a limited tree uses."""

GLOBAL = "global named"
"""The filter that gives one of Jinja's own functions by its name."""

MOST_NODES = 40_000
"""Nodes of a template; Python compiles about as many in two seconds."""


def count_nodes(tree: nodes.Node) -> int:
    """How many nodes a tree has."""
    waiting, count = [tree], 0
    while waiting:
        count += 1
        waiting.extend(waiting.pop().iter_child_nodes())
    return count


def has_too_many_tags(environment: Environment, source: str) -> bool:
    """Whether the tags alone exceed MOST_NODES: each is a node at least, and parsing 100,000 takes Jinja five seconds.

    Raises TemplateSyntaxError.
    """
    if source.count("{{") + source.count("{%") <= MOST_NODES:
        return False
    kinds = (kind for _, kind, _ in environment.lexer.tokeniter(source, None))  # those inside `{% raw %}` are text
    opened = (kind for kind in kinds if kind in ("variable_begin", "block_begin"))
    return next(islice(opened, MOST_NODES, None), None) is not None


def check_modifiers(tree: nodes.Template) -> None:
    """Raises TemplateSyntaxError for an `autoescape` that is worked out: Jinja would do it while it compiles."""
    for kind in (nodes.EvalContextModifier, nodes.ScopedEvalContextModifier):
        for node in tree.find_all(kind):
            for option in vars(node)["options"]:
                if not isinstance(option.value, nodes.Const):
                    raise TemplateSyntaxError(f"{option.key} takes true or false", node.lineno)


def instrument(tree: nodes.Template) -> nodes.Template:
    """The tree with everything counted that it may do again and again."""
    limited: nodes.Template = _Instrumenter().visit(tree)
    for kind in (nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block):
        for block in limited.find_all(kind):
            body: list[nodes.Node] = vars(block)["body"]
            length = sum(len(data.data) for part in body for data in _find_data(part))
            tick = _apply(TICK, nodes.Const(length), [], block.lineno)
            body.insert(0, nodes.ExprStmt(tick).set_lineno(block.lineno))
    return limited


def _find_data(node: nodes.Node) -> Iterator[nodes.TemplateData]:
    if isinstance(node, nodes.TemplateData):
        yield node
    yield from node.find_all(nodes.TemplateData)


class _Instrumenter(NodeTransformer):
    """Puts a filter around each place."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _apply(TURNS, node.iter, [], node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _apply(JOIN, node.nodes[0], node.nodes[1:], node.lineno)

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.node, nodes.Getattr):
            node.node = _apply(METHOD, node.node.node, [nodes.Const(node.node.attr)], node.lineno)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        bounds = [bound or nodes.Const(None) for bound in (node.arg.start, node.arg.stop, node.arg.step)]
        return _apply(SLICE, node.node, bounds, node.lineno)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _apply(COMPARE, node.expr, [], node.lineno)
        for operand in node.ops:
            name = SEARCH if operand.op in ("in", "notin") else COMPARE
            operand.expr = _apply(name, operand.expr, [], node.lineno)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.key, nodes.Const):
            node.key = _apply(KEY, node.key, [], node.lineno)
        return node


def _apply(name: str, expression: Any, arguments: Sequence[nodes.Expr], line: int) -> nodes.Filter:
    made = nodes.Filter(expression, name, list(arguments), [], None, None)
    made.set_lineno(line)
    return made
