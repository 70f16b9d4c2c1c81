"""Finds out which tool a file is from, and reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from workbench import files, paths
from workbench.errors import FileError
from workbench.interop.chat_json import looks_like_chat, read_chat
from workbench.interop.dotprompt import read_dotprompt
from workbench.interop.llm_template import looks_like_llm, read_llm
from workbench.interop.lm_eval_task import looks_like_lm_eval, read_lm_eval
from workbench.interop.modelfile import looks_like_modelfile, read_modelfile
from workbench.interop.parts import ImportedParts
from workbench.interop.promptfoo import looks_like_promptfoo, read_promptfoo, read_promptfoo_csv, read_promptfoo_tests
from workbench.interop.prompty_file import read_prompty
from workbench.interop.text_file import read_unmarked
from workbench.interop.yaml_text import parse_text

SUFFIXES = (".yaml", ".yml", ".prompt", ".prompty", ".json", ".jsonl", ".csv")
"""Of the files that are read, beside Modelfiles."""


class Source(NamedTuple):
    """A file that was recognised. kind: the tool and what it is, in words."""

    kind: str
    read: Callable[[], ImportedParts]


def read_file(path: Path, judge: str = "") -> tuple[str, ImportedParts]:
    """What kind of file it is, in words, and what it holds. Raises FileError for one of no known kind."""
    source = recognize_file(path, judge)
    return source.kind, source.read()


def recognize_file(path: Path, judge: str = "") -> Source:
    """The kind of a file, by its name and its first look. Raises FileError."""
    if not paths.exists(path):
        raise FileError(f"No such file: {path}.", "Correct the path.")
    suffix = path.suffix.lower()
    if suffix == ".prompty":
        return Source("Prompty", lambda: read_prompty(path))
    if suffix == ".prompt":
        return Source("Dotprompt", lambda: read_dotprompt(path))
    if suffix == ".csv":
        return Source("promptfoo tests", lambda: read_promptfoo_csv(path, judge))
    if suffix in (".yaml", ".yml"):
        return _recognize_values(path, parse_text(read_unmarked(path), str(path)), judge)
    if suffix in (".json", ".jsonl"):
        return _recognize_json(path, judge)
    if path.name.lower().startswith("modelfile") or suffix == ".modelfile" or looks_like_modelfile(read_unmarked(path)):
        return Source("Ollama Modelfile", lambda: read_modelfile(path))
    raise _unknown(path)


def _recognize_values(path: Path, data: Any, judge: str) -> Source:
    if looks_like_promptfoo(data):
        return Source("promptfoo", lambda: read_promptfoo(path, judge))
    if looks_like_lm_eval(data):
        return Source("lm-eval task", lambda: read_lm_eval(path))
    if looks_like_llm(data) or isinstance(data, str):
        return Source("llm template", lambda: read_llm(path))
    if isinstance(data, list) and data and all(isinstance(one, dict) for one in data):
        return Source("promptfoo tests", lambda: read_promptfoo_tests(path, judge))
    raise _unknown(path)


def _recognize_json(path: Path, judge: str) -> Source:
    text = read_unmarked(path)
    first = next((line for line in files.split_lines(text) if line.strip()), "")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if value is not None and looks_like_promptfoo(value):
        return Source("promptfoo", lambda: read_promptfoo(path, judge))
    if looks_like_chat(value):
        return Source("OpenAI chat", lambda: read_chat(path))
    try:
        line = json.loads(first)
    except (ValueError, RecursionError):
        line = None
    if isinstance(line, dict) and "messages" in line:
        return Source("OpenAI chat JSONL", lambda: read_chat(path))
    listed = value if isinstance(value, list) else [line]
    if listed and all(isinstance(one, dict) and ("vars" in one or "assert" in one) for one in listed):
        return Source("promptfoo tests", lambda: read_promptfoo_tests(path, judge))
    raise _unknown(path)


def _unknown(path: Path) -> FileError:
    return FileError(
        f"{path} is of no kind that can be imported.",
        "Expected a promptfoo configuration or tests, a .prompt, .prompty, llm template, OpenAI chat, lm-eval task or"
        " Modelfile. A file of cases needs no import: `workbench init FILE`.",
    )
