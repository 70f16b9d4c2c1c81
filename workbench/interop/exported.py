"""Exported: the files of another tool that a prompt or a bench became, and what they do not hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from workbench.errors import BenchError, PromptError
from workbench.interop.loss import LossList
from workbench.library.formats.sections import Section, quote_literal, split_sections, unquote_literal
from workbench.prompting.prompt import Example, Prompt
from workbench.prompting.render import render_turns
from workbench.runs.bench import Variant

_PIECE = re.compile(r"(\{\{ \"(?:[^\"\\]|\\.)*\" \}\}|\{\{-?.*?-?\}\}|\{%-?.*?-?%\}|\{#.*?#\})", re.DOTALL)
_PATH = re.compile(r"\{\{ ?([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*) ?\}\}")


@dataclass(slots=True)
class Exported:
    """files: text by name, relative to where they are written; the first is the main one. notes: a sentence each."""

    files: dict[str, str] = field(default_factory=dict)
    losses: LossList = field(default_factory=LossList)
    notes: list[str] = field(default_factory=list)


class TemplatePiece(NamedTuple):
    """A part of a template: a text, or the path of a variable."""

    text: str
    variable: bool = False


def list_messages(prompt: Prompt, examples: Sequence[Example]) -> tuple[Section, ...]:
    """The messages of a prompt as templates, with its examples as turns before the last user message.

    Raises PromptError for a prompt whose template loops over its examples.
    """
    if prompt.steps:
        raise PromptError(f"{prompt.name} is a chain of calls, which no other format holds.", "Export its steps.")
    if media := [name for name, kind in prompt.kinds.items() if kind in ("thread", "image")]:
        raise PromptError(
            f"The input `{media[0]}` of {prompt.name} is of kind {prompt.kinds[media[0]]}, which is not text.",
            "Export it as Prompty, or a request for one case: --as openai.",
        )
    if examples and prompt.placement == "inline":
        raise PromptError(
            f"The template of {prompt.name} loops over its examples, which no other format has.",
            "Write them into the text, or place them as turns.",
        )
    sections = list(split_sections(prompt))
    turns = [
        Section(message.role, quote_literal(message.content))
        for turn in render_turns(prompt, examples)
        for message in turn
    ]
    if not turns:
        return tuple(sections)
    last = max(at for at, one in enumerate(sections) if one.role == "user")
    return (*sections[:last], *turns, *sections[last:])


def split_template(template: str) -> list[TemplatePiece] | None:
    """The texts and variables of a template; None for one that does more than to print them."""
    pieces: list[TemplatePiece] = []
    for part in _PIECE.split(template):
        if path := _PATH.fullmatch(part):
            pieces.append(TemplatePiece(path[1], True))
            continue
        text = unquote_literal(part)
        if text is None:
            return None
        if pieces and not pieces[-1].variable:
            pieces[-1] = TemplatePiece(pieces[-1].text + text)
        elif text:
            pieces.append(TemplatePiece(text))
    return pieces


def rename_options(options: dict[str, Any], names: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Sampling fields under another tool's names, and those that it does not have. names: theirs -> ours."""
    theirs: dict[str, str] = {}
    for their, own in names.items():
        theirs.setdefault(own, their)
    found = {theirs[name]: value for name, value in options.items() if name in theirs}
    return found, [name for name in options if name not in theirs]


def refuse_per_case(variant: Variant, prompt: Prompt) -> None:
    """Raise BenchError for a prompt that is another one for each case, which no other format has."""
    retrieval = variant.retrieval
    if retrieval and (retrieval.by != "none" or retrieval.pin):
        raise BenchError(
            f"{variant.name} is shown passages that are retrieved for each case ({retrieval}).",
            "Export a variant without `retrieve`, or put the passages into a column of the dataset.",
        )
    if prompt.nearest and prompt.examples:
        raise BenchError(
            f"{variant.name} is shown the nearest {prompt.nearest} of its examples for each case.",
            "Set `nearest` to 0 to export all of them.",
        )
