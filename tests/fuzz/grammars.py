"""Mutations in the words of a language: expressions and statements of Jinja, values and lines of YAML and JSON.

Random bytes make a text that no parser takes; these make texts that are taken, and mean something odd.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

from .mutations import mutate

Rules = Mapping[str, tuple[str, ...]]
"""Name -> texts that stand for it, in which `<name>` is written out in turn; the first is the one without an end."""

JINJA: Rules = {
    "name": ("'a b'", "<known>", "<known>", "<known>", "[1, 'b']", "{'a': 2}", "loop", "x", "self", "caller"),
    "literal": ("1", "'a'", "-3", "0", "1.5e308", "2 ** 9", "''", "none", "true", "99999999999999999999", "'%s{0}'"),
    "integer": ("2", "-1", "0", "300", "99999999"),
    "filter": (
        "list", "upper", "string", "join(<e>)", "sort", "unique", "reverse", "length", "first", "last", "sum", "safe",
        "tojson", "tojson(indent=<integer>)", "replace(<e>, <e>)", "map('upper')", "map(attribute=<e>)", "batch(<e>)",
        "groupby(<e>)", "batch(<integer>)", "float", "int", "slice(<integer>)", "center(<integer>)", "escape", "round",
        "wordwrap(<integer>)", "truncate(<integer>)", "indent(<integer>)", "format(<e>)", "default(<e>)", "dictsort",
        "items", "attr(<e>)", "round(<integer>)", "xmlattr", "pprint", "wordcount", "striptags", "trim(<e>)", "abs",
        "filesizeformat", "forceescape", "urlencode", "title", "min", "max", "rejectattr(<e>)", "select('eq', <e>)",
        "selectattr(<e>, 'in', <e>)",
    ),
    "operator": ("~", "+", "-", "*", "//", "/", "%", "**", "and", "or", "==", "<", "in", "not in"),
    "method": (
        "split(<e>)", "format(<e>)", "items()", "keys()", "join(<e>)", "replace(<e>,<e>)", "strip(<e>)", "title",
        "encode()", "zfill(<integer>)", "ljust(<integer>)", "get(<e>)", "update(<e>)", "append(<e>)", "pop()",
        "__class__", "startswith(<e>)", "count(<e>)", "translate(<e>)", "expandtabs(<integer>)", "splitlines()",
        "cycle(<e>)", "index", "role", "format_map(<e>)", "casefold()", "to_bytes(<integer>)", "as_integer_ratio()",
    ),
    "test": ("defined", "none", "mapping", "sequence", "number", "divisibleby(<e>)", "in <e>", "sameas(<e>)", "odd"),
    "e": (
        "<name>", "<literal>", "<name>", "<e>|<filter>", "(<e>)|<filter>", "<e> <operator> <e>", "(<e>).<method>",
        "<name>[<e>]", "(<e>)[<e>:<e>]", "(<e>)[::<integer>]", "[<e>, <e>]", "(<e>,)", "{<e>: <e>}", "<e> is <test>",
        "<e> if <e> else <e>", "not <e>", "range(<e>)", "range(<integer>)", "namespace(x=<e>)", "cycler(<e>, <e>)",
        "joiner(<e>)", "dict(a=<e>)", "<name>(<e>)", "raise_exception(<e>)", "strftime_now(<e>)",
    ),
    "s": (
        "{{ <e> }}", "{% set x = <e> %}", "{% if <e> %}<s>{% else %}<s>{% endif %}",
        "{% for x in <e> %}<s>{% endfor %}", "{% for x in <e> recursive %}{{ loop(<e>) }}{% endfor %}",
        "{% for a, b in <e> if <e> %}<s>{% endfor %}",
        "{% set x %}<s>{% endset %}", "{% macro m(a, b=<e>) %}<s>{% endmacro %}{{ m(<e>) }}",
        "{% call m(<e>) %}<s>{% endcall %}", "{% filter <filter> %}<s>{% endfilter %}", "{% raw %}<s>{% endraw %}",
        "{% with x = <e> %}<s>{% endwith %}", "{# <e> #}", "{%- block b -%}<s>{%- endblock -%}", "{{ self.b() }}",
        "{% autoescape <e> %}<s>{% endautoescape %}", "{% include <e> %}", "{% import <e> as y %}", "{% do <e> %}",
        "{% extends <e> %}", "{% generation %}<s>{% endgeneration %}", "{% break %}", "{% continue %}", "{% debug %}",
        "{% set n.x = <e> %}", "{% set n = namespace(x=<e>) %}", "{{ caller(<e>) }}",
    ),
}  # fmt: skip

YAML: Rules = {
    "value": (
        "x", "null", "~", "true", "'no'", "-1", "0", "1e999", ".inf", ".nan", "0x1F", "1_000", "0o17", "2024-01-01",
        "99999999999999999999", "1.50", '"\\ud800"', '"\\0"', "'{{ message }}'", "'../../x'", "/dev/zero", "~/x",
        "!!binary aGk=", "!!set {a, b}", "!!timestamp 2024-13-41", "!x y", "&a [*a]", "*b", "&b {<<: *b}", "''",
        "[<value>, <value>]", "{<key>: <value>}", "{<key>: <value>, <key>: <value>}", "{<value>: <value>}", "[]", "{}",
        "<scorer>", "[<scorer>, <scorer>]", "'<pattern>'", "<schema>", "| \n  x", "'[/b]'",
    ),
    "key": (
        "name", "prompt", "model", "sampling", "max_tokens", "grammar", "json_schema", "adapters", "scale", "dataset",
        "path", "columns", "expected", "where", "sample", "limit", "layout", "scorers", "pattern", "schema", "models",
        "thresholds", "min", "prices", "inputs", "default", "kind", "metadata", "workbench", "examples", "placement",
        "template", "repeats", "library", "perturbations", "stop", "logit_bias", "<value>",
    ),
    "scorer": (
        "exact_match", "{regex: {pattern: '<pattern>', group: <value>}}", "{json_schema: {schema: <schema>}}",
        "{accuracy: {labels: [<value>, <value>], within: true}}", "{contains: {text: <value>}}", "bleu", "perplexity",
        "{numeric_match: {tolerance: <value>}}", "{judge: {model: <value>, rubric: <value>, points: <value>}}",
        "{pairwise: {model: [<value>], rubric: x}}", "{combined: {parts: [<scorer>, <scorer>], how: mean}}",
        "{json_fields: {fields: <value>}}", "{python: {file: <value>, function: score}}",
        "{rouge1: {measure: <value>}}",
        "{multiple_choice: {column: <value>}}", "{<value>: {<key>: <value>}}", "{exact_match: {extract: <value>}}",
        "{exact_match: {extract: {pattern: '<pattern>'}}}", "{json_fields: {fields: {<key>: <value>}}}",
        "{chrf: {word_order: <value>}}", "{latency: {until: <value>}}", "{edit_distance: {threshold: <value>}}",
    ),
    "pattern": (
        "a", "(a+)+$", "(?P<x>a)|b", "(", "[", "\\\\", "a{99999}", "(a{900}){900}", "(?R)", "\\p{L}*", "(?<=a*)b",
        "((a{50}){50}){50}", "(?i)ß", "x*<pattern>", "(<pattern>)*", "<pattern>|<pattern>", "\\g<1>", "(?(1)a|b)",
    ),
    "schema": (
        "true", "{type: object}", "{type: <value>}", "{$ref: '#'}", "{$ref: 'http://127.0.0.1:9/x'}", "{$ref: <value>}",
        "{$schema: <value>}", "{$schema: 'http://json-schema.org/draft-03/schema#'}", "{pattern: '<pattern>'}",
        "{enum: [<value>]}", "{properties: {x: <schema>}, required: <value>}", "{items: <schema>}", "{not: <schema>}",
        "{anyOf: [<schema>, <schema>]}", "{patternProperties: {'<pattern>': <schema>}}", "{multipleOf: <value>}",
        "{$id: <value>, $ref: <value>}", "{allOf: [{$ref: '#'}, {$ref: '#'}]}", "{format: <value>}", "{minimum: 0}",
    ),
}  # fmt: skip

_DEEPEST = 4


def expand(rules: Rules, text: str, draw: random.Random, depth: int = 0) -> str:
    """The text with every `<name>` of a rule written out, no more than a few rules deep."""

    def write(found: re.Match[str]) -> str:
        choices = rules.get(found[1])
        if choices is None:
            return found[0]
        if depth >= _DEEPEST:
            return choices[0] if "<" not in choices[0] else expand(rules, choices[0], draw, depth + 1)
        return expand(rules, draw.choice(choices), draw, depth + 1)

    return re.sub(r"<(\w+)>", write, text)


def make_mutator(rules: Rules, places: Mapping[str, str]) -> Callable[[bytes, random.Random], bytes]:
    """A mutation that puts what rules stand for in the places of a text, and damages bytes in one of eight.

    places: an expression that finds places -> the text with rules that is put there.
    """

    def mutate_text(data: bytes, draw: random.Random) -> bytes:
        text = data.decode()
        for _ in range(draw.choice((1, 1, 2, 3, 6))):
            pattern, put = draw.choice(list(places.items()))
            found = [match.span() for match in re.finditer(pattern, text)]
            if found:
                begin, end = draw.choice(found)
                text = text[:begin] + expand(rules, put, draw) + text[end:]
        changed = text.encode()
        return mutate(changed, draw) if draw.random() < 1 / 8 else changed

    return mutate_text


_STATEMENTS = {r"(?=\{[{%])|\Z": "<s>", r"(?<=\{\{)(?!-)[^{}%]+?(?=-?\}\})": " <e> "}
_EXPRESSIONS = {r"(?<= in )[\w.]+": "(<e>)", r"(?<= if )[\w.]+": "(<e>)", r"(?= \}\})": "|<filter>"}
_VALUES = {r"(?<=: )[^\s,\[\]{}\"'|][^\n,\]}]*": "<value>", r"\b\w+(?=: )": "<key>", r"(?<=  - )[^\n]+": "<value>"}
_PATTERNS = {r"(?<=- )exact_match": "<scorer>", r"(?<=regex: )\{[^\n]*\}": "{pattern: '<pattern>'}"}

_OF_PROMPTS = {**JINJA, "known": ("n", "message", "doc", "choices", "flag", "price", "text", "doc.tags")}
_OF_CHATS = {**JINJA, "known": ("messages", "messages[0]", "messages[0].content", "bos_token", "tools", "ns")}

mutate_template = make_mutator(_OF_PROMPTS, _STATEMENTS | _EXPRESSIONS)
mutate_chat_template = make_mutator(_OF_CHATS, _STATEMENTS | _EXPRESSIONS)
mutate_yaml = make_mutator(YAML, _VALUES | _PATTERNS)
mutate_prompt = make_mutator({**YAML, **_OF_PROMPTS}, _STATEMENTS | _VALUES)
