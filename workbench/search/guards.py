"""Guards: what a candidate has to fulfil before it costs a call; one that does not is refused, never repaired."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from workbench.datasets import Case
from workbench.errors import WorkbenchError
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import find_sections
from workbench.prompting.template import BodyTemplate, choose_marks, compile_body
from workbench.sanitize import can_reveal
from workbench.search.candidate import Candidate
from workbench.search.journal import Refusal
from workbench.search.splits import identify

RUN_WORDS = 8
"""so many words in a row, also found in an answer, are taken for copied"""

_MOST_LABELS, _LABEL_WORDS = 30, 5
"""answers that are as few and as short as this are labels"""

_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_VARIABLE = re.compile(r"\{\{-?\s*\w+\s*-?\}\}")
_WORD = re.compile(r"\w+")
_FORMATS = ("json", "yaml", "xml", "csv", "html", "markdown")
_SHOWN = 60


class Guards:
    """See the module. required: words of the output form that a body has to keep. fits: why a candidate with the
    longest case does not fit the context, "" where it does."""

    def __init__(
        self,
        seed: Candidate,
        prompt: Prompt,
        train: Sequence[Case],
        dev: Sequence[Case],
        held_out: Sequence[Case] = (),
        fits: Callable[[Candidate], str] = lambda candidate: "",
        max_characters: int = 0,
        markers: Sequence[str] = (),
    ) -> None:
        """prompt: the hand-written one. held_out: the test part, which no example may show.
        max_characters: of a body; 0: four times the seed's, or 4,000 more than it has, whichever is more.
        markers: what scorers look for before the answer."""
        self._seed = seed
        self._chat = prompt.mode == "chat"
        self._fits = fits
        self.max_characters = max_characters or max(4 * len(seed.body), len(seed.body) + 4000)
        self._tags = set(_find_tags(seed.body))
        self._variables = set(self._compile(seed.body).variables)
        self._roles = _list_roles(seed.body)
        known = set(_list_runs(seed.body))
        for example in seed.examples:
            known.update(_list_runs(example.answer))
        answers = [answer for case in (*train, *dev) for answer in _list_answers(case)]
        asked = [text for case in dev for text in case.variables.values()]
        self._copied = {run for text in (*answers, *asked) for run in _list_runs(text)} - known
        self.required = (*_find_form(seed.body, answers), *(one for one in markers if _mentions(seed.body, one)))
        self._held_out = {
            **{identify(case): "test" for case in held_out},
            **{identify(case): "dev" for case in dev},
        }
        self._own_examples = {(*sorted(one.variables.items()), one.answer) for one in seed.examples}

    def check(self, candidate: Candidate, earlier: Mapping[str, str]) -> tuple[Refusal, ...]:
        """All reasons to refuse it; none: it may be tried. earlier: digest -> id of those that were tried."""
        found = [*self._check_text(candidate.body), *self._check_examples(candidate)]
        if same := earlier.get(candidate.digest):
            found.append(Refusal("duplicate", f"it equals {same}"))
        if not found and (reason := self._fits(candidate)):
            found.append(Refusal("context", reason))
        return tuple(found)

    def _check_text(self, body: str) -> Iterator[Refusal]:
        if body == self._seed.body:
            return
        if len(body) > self.max_characters:
            yield Refusal("length", f"{len(body):,} characters, and at most {self.max_characters:,} are allowed")
            return  # whatever else is wrong with so much text does not matter
        if can_reveal(body) and not can_reveal(self._seed.body):
            yield Refusal("control characters", "it has characters that steer a terminal")
        if not _find_words(body) and _find_words(self._seed.body):
            yield Refusal("empty", "it has no instruction")
        yield from self._check_template(body)
        if self._chat and (roles := _list_roles(body)) != self._roles:
            yield Refusal("roles", f"{_name_all(roles)} instead of {_name_all(self._roles)}")
        lacking = [word for word in self.required if not _mentions(body, word)]
        if lacking:
            yield Refusal("output form", f"it no longer says {_name_all(lacking)}")
        copied = next((run for run in _list_runs(body) if run in self._copied), "")
        if copied:
            yield Refusal("leak", f"copied from a case: {_shorten(copied)!r}")

    def _check_template(self, body: str) -> Iterator[Refusal]:
        foreign = [tag for tag in _find_tags(body) if tag not in self._tags and not _VARIABLE.fullmatch(tag)]
        if foreign:
            yield Refusal("template code", f"{_shorten(foreign[0])} is not in the hand-written prompt")
            return  # it is not run, not even to see what it asks for
        try:
            variables = set(self._compile(body).variables)
        except WorkbenchError as error:
            yield Refusal("syntax", error.message)
            return
        lost, invented = sorted(self._variables - variables), sorted(variables - self._variables)
        if lost or invented:
            parts = [f"{_name_all(lost)} lost"] * bool(lost) + [f"{_name_all(invented)} invented"] * bool(invented)
            yield Refusal("variables", ", ".join(parts))

    def _check_examples(self, candidate: Candidate) -> Iterator[Refusal]:
        ids = [example.id for example in candidate.examples]
        if len(set(ids)) < len(ids):
            yield Refusal("examples", "one of them is shown twice")
        if candidate.examples and candidate.placement == "none":
            yield Refusal("examples", "the prompt has no place for them")
        for example in candidate.examples:
            key = (*sorted(example.variables.items()), example.answer)
            part = self._held_out.get(identify(example))
            if part and key not in self._own_examples:
                yield Refusal("leak", f"the example {example.id} is a case of the {part} part")
                return

    def _compile(self, body: str) -> BodyTemplate:
        return compile_body(body, choose_marks(set(body)) if self._chat else None)


def _find_words(body: str) -> str:
    """What it says beside its tags and role markers."""
    return "".join(_TAG.sub("", body[one.start : one.end]).strip() for one in find_sections(body))


def _find_tags(body: str) -> Iterator[str]:
    return (re.sub(r"\s+", " ", tag) for tag in _TAG.findall(body))


def _list_roles(body: str) -> list[str]:
    return [section.role for section in find_sections(body)]


def _list_answers(case: Case) -> tuple[str, ...]:
    return tuple(filter(None, (case.expected, *case.also)))


def _list_runs(text: str) -> Iterator[str]:
    """Every run of eight words, in lower case."""
    words = _WORD.findall(text.casefold())
    return (" ".join(words[at : at + RUN_WORDS]) for at in range(len(words) - RUN_WORDS + 1))


def _find_form(body: str, answers: Iterable[str]) -> Iterator[str]:
    """What the hand-written prompt says of the form of an answer: its labels, its keys, its format."""
    yield from (name for name in _FORMATS if _mentions(body, name))
    distinct = set(answers)
    keys = {key for answer in distinct for key in _read_keys(answer)}
    labels = distinct if len(distinct) <= _MOST_LABELS and not keys else set()
    short = {label.strip() for label in labels if 0 < len(label.split()) <= _LABEL_WORDS}
    yield from sorted(word for word in keys | short if _mentions(body, word))


def _read_keys(answer: str) -> Iterable[str]:
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return ()
    return value.keys() if isinstance(value, dict) else ()


def _mentions(body: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", body, re.IGNORECASE) is not None


def _name_all(names: Sequence[str]) -> str:
    shown = ", ".join(_shorten(name) for name in names[:6])
    return (shown + (f" and {len(names) - 6} more" if len(names) > 6 else "")) or "none"


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
