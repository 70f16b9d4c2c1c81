"""README.md and docs/ name only what there is: commands, options, files, keys; and their examples can be used."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from tests.documents.tables import DOCUMENTS, ROOT, read_command, write_tables
from workbench.cli.app import COMMANDS
from workbench.library.formats import prompty
from workbench.offload import KvType
from workbench.runs.bench import parse_bench
from workbench.settings import Settings
from workbench.training.recipe_file import parse_recipe
from workbench.units import decode_unit

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
FILE = re.compile(r"[\w.-]+(/[\w.-]*)*(/|\.(py|md|toml|txt|yaml|jsonl|json|csv|html|svg|gguf|prompty))")

EXAMPLES = {
    "returns.md", "reviews/zero-shot.prompty", "reviews/few-shot.prompty", "reviews/examples.jsonl", "validation.jsonl",
    "reviews.csv", "my.bench.yaml", "my.recipe.yaml", "cells.json", "report.html", "judge.py", "my.gguf", "cases.csv",
    "path/to/model.gguf", "reviews.bench.yaml", "settings.toml", "examples.jsonl", "doctor.json", "queues.jsonl",
    "bench.schema.json", "pairs.jsonl", "data/", "reviews/", "model.gguf", "train.jsonl",
    ".chain.yaml", "generation_config.json",
}  # fmt: skip
"""Files of the reader's own."""

documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


@cache
def list_options(command: str) -> frozenset[str]:
    own = read_command(command).params
    return frozenset({"--help", "-h"}.union(*(option.opts + option.secondary_opts for option in own)))


@cache
def list_paths() -> frozenset[str]:
    """Every file and folder of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    files = [Path(line) for line in listed.stdout.splitlines()]
    return frozenset(path.as_posix() for file in files for path in (file, *file.parents))


def exists(name: str) -> bool:
    """Whether some file or folder of the project ends so."""
    wanted = name.rstrip("/").removeprefix("./")
    return any(path == wanted or path.endswith(f"/{wanted}") for path in list_paths())


def read_commands(text: str) -> list[list[str]]:
    """The command lines in a document, in fences and in spans, without comments."""
    fenced = [line for kind, body in FENCE.findall(text) if kind == "sh" for line in body.splitlines()]
    spans = [span for span in SPAN.findall(FENCE.sub("", text)) if span.split()[0] in ("workbench", "make")]
    lines = [shlex.split(line, comments=True) for line in (*fenced, *spans)]
    return [words for words in lines if words]


def find_problem(words: list[str]) -> str:
    """What of a command line there is not; "" where it is sound."""
    if words[0] == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return "" if all(word in targets or "=" in word or word.isupper() for word in words[1:]) else "no such target"
    if words[0] != "workbench" or words[1:2] in (["COMMAND"], ["FILE"], ["--version"], ["--help"]):
        return ""
    first = words[1] if len(words) > 1 else ""
    named = first in COMMANDS
    if first and not named and not first.startswith("-") and not FILE.fullmatch(first):
        return f"no such command: {first}"
    options = list_options(first if named else "open")
    used = {word.partition("=")[0] for word in words[1:] if word.startswith("-") and word != "-"}
    return f"no such option: {', '.join(sorted(used - options))}" if used - options else ""


@documents
def test_every_command_line_can_be_typed(path):
    problems = {
        shlex.join(words): problem for words in read_commands(path.read_text()) if (problem := find_problem(words))
    }
    assert problems == {}


@documents
def test_every_option_that_is_named_exists(path):
    known = frozenset().union(*map(list_options, COMMANDS))
    named = {span.split()[0].rstrip(",") for span in SPAN.findall(path.read_text()) if span.startswith("--")}
    assert named - known == set()


@documents
def test_every_file_that_is_named_exists(path):
    text = path.read_text()
    spans = {span for span in SPAN.findall(FENCE.sub("", text)) if FILE.fullmatch(span)}
    tree = {word for kind, body in FENCE.findall(text) if not kind for word in body.split() if FILE.fullmatch(word)}
    links = {link for link in LINK.findall(text) if "://" not in link}
    missing = {name for name in spans | tree if name not in EXAMPLES and "NAME" not in name and not exists(name)}
    assert missing == set()
    assert [link for link in links if not (path.parent / link).exists()] == []


@documents
def test_every_key_that_is_named_is_bound(path):
    source = "\n".join(file.read_text() for file in (ROOT / "workbench" / "tui").rglob("*.py"))
    bound = {key for keys in re.findall(r'"([\w+,]+)"', source) for key in keys.split(",")}
    named = {span for span in SPAN.findall(path.read_text()) if re.fullmatch(r"ctrl\+\w|f\d\d?", span)}
    assert named - bound - set(get_args(KvType)) == set()  # f16 and f32 are numbers of a KV cache, and no keys


@documents
def test_every_example_of_a_file_can_be_read(path):
    for kind, body in FENCE.findall(path.read_text()):
        if kind == "yaml" and "variants:" in body:
            parse_bench(body, path.name)
        elif kind == "yaml" and re.search("^base:", body, re.MULTILINE):
            parse_recipe(body, path.name)
        elif kind == "toml":
            msgspec.convert(tomllib.loads(body), Settings, dec_hook=decode_unit)
        elif kind == "prompty":
            prompty.load(body, "example", Path("example.prompty"))


@documents
def test_the_tables_are_as_the_code_has_them(path):
    text = path.read_text()
    assert write_tables(text) == text, "run `python -m tests.documents`"


def test_a_command_that_does_not_exist_is_found():
    assert find_problem(["workbench", "frobnicate"]) == "no such command: frobnicate"
    assert find_problem(["workbench", "eval", "my.bench.yaml", "--at-once", "4"]) == "no such option: --at-once"
    assert find_problem(["make", "frobnicate"]) == "no such target"
    assert not exists("workbench/frobnicate.py")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_documents_name_every_command(command):
    assert any(re.search(rf"\bworkbench {command}\b", path.read_text()) for path in DOCUMENTS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_value_of_each_option_that_takes_one(command):
    taking = [one for one in read_command(command).params if one.opts[0].startswith("-") and not one.is_flag]
    assert [one.opts[0] for one in taking if not one.metavar] == []
