"""Constrained output: the answers that a JSON schema, a regular expression or a grammar allows, by llguidance.

A grammar is compiled once for a vocabulary and copied for each answer. The mask of a step has one bit for each token;
those of all answers of a step are computed together, outside the GIL (an Earley parser over a lexer of derivatives of
regular expressions: github.com/guidance-ai/llguidance).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import EngineError
from workbench.inference.limits import CONSTRAINTS
from workbench.inference.schema_support import prepare_schema
from workbench.inference.types import Sampling
from workbench.inference.vocabulary import Vocabulary
from workbench.json_schemas import SchemaError

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer
    from llguidance._lib import JsonCompileOptions

_REMEMBERED = 64
"""Compiled grammars that are kept for the next request."""

_LONGEST_GRAMMAR = 200_000
"""Characters of a GBNF grammar; converting more takes seconds."""

_JSON_OPTIONS: JsonCompileOptions = {
    "lenient": False,
    "coerce_one_of": False,
    "whitespace_pattern": r"( |\n{1,2}[ \t]{0,20})",  # without an end of it, small models write nothing else
}

_ESCAPE = re.compile(r"\\(?:[^xuU]|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))")


class Constraint:
    """What may come next in one answer. size: of the vocabulary. words: of a mask, 32 tokens each."""

    def __init__(self, matcher: LLMatcher, size: int, words: int) -> None:
        self._matcher = matcher
        self._size = size
        self._words = words
        self._mask: NDArray[np.int32] | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing can follow: the answer is whole."""
        return bool(self._matcher.is_stopped())

    def allows(self, token: int) -> bool:
        return bool(self._bits[token >> 5] >> (token & 31) & 1)

    def allowed_tokens(self) -> NDArray[np.intp]:
        """Every token that may come, in order."""
        return np.flatnonzero(np.unpackbits(self._bits.view(np.uint8), count=self._size, bitorder="little"))

    def begins(self, vocabulary: Vocabulary) -> bool:
        """Whether any answer can follow."""
        compute_masks([self])
        if self._matcher.is_error():
            return False
        tokens = (token for token in range(self._size) if self.allows(token))
        return self._matcher.is_accepting() or not all(map(vocabulary.ends, tokens))

    def accept(self, token: int) -> None:
        """Go on behind an allowed token."""
        self._matcher.consume_token(token)
        self._mask = None

    @property
    def _bits(self) -> NDArray[np.int32]:
        if self._mask is None:
            compute_masks([self])
        assert self._mask is not None
        if self._matcher.is_error():
            raise EngineError(
                "The answer cannot be held to its grammar any longer: its next token takes too much work to find.",
                "Simplify the schema or grammar: fewer optional parts, shorter repetitions.",
                self._matcher.get_error(),
            )
        return self._mask


def compute_masks(constraints: Sequence[Constraint]) -> None:
    """Compute what may come next in several answers of one model, outside the GIL; where it is not known yet."""
    wanted = [constraint for constraint in constraints if constraint._mask is None]
    if not wanted:
        return
    masks = np.zeros((len(wanted), wanted[0]._words), dtype=np.int32)
    for constraint, mask in zip(wanted, masks, strict=True):  # llguidance's own threads take twice as long on two cores
        constraint._matcher.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)
        constraint._mask = mask


class ConstraintCompiler:
    """The constraints of one model's answers. What it needs of the vocabulary is read when it is first asked."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._compiled: dict[str, LLMatcher] = {}

    def compile(self, sampling: Sampling) -> Constraint | None:
        """The constraint of an answer, None for a free one. Raises EngineError that says what cannot be enforced."""
        field = next((name for name in CONSTRAINTS if getattr(sampling, name) not in ("", None)), None)
        if field is None:
            return None
        grammar = _READERS[field](getattr(sampling, field))
        matcher = self._compiled.pop(grammar, None) or self._compile(field, grammar)
        self._compiled[grammar] = matcher  # at the end: the one used last is dropped last
        while len(self._compiled) > _REMEMBERED:
            del self._compiled[next(iter(self._compiled))]
        return self._begin(matcher)

    def _begin(self, matcher: LLMatcher) -> Constraint:
        words = (self._tokenizer.vocab_size + 31) // 32
        return Constraint(matcher.deep_copy(), self._vocabulary.size, words)

    def _compile(self, field: str, grammar: str) -> LLMatcher:
        from llguidance import LLMatcher, LLParserLimits

        matcher = LLMatcher(self._tokenizer, grammar, log_level=0, limits=LLParserLimits(verbose_errors=False))
        if matcher.is_error():
            raise _refuse(field, matcher.get_error())
        first = self._begin(matcher)
        if not first.begins(self._vocabulary):
            raise _refuse(field, "no answer can follow it")
        return matcher

    @functools.cached_property
    def _tokenizer(self) -> LLTokenizer:
        """llguidance's view of the vocabulary, through its adapter for tokenizers of any kind.

        Its adapters for llama.cpp and transformers spell the tokens themselves, and not always as the answer's text is
        put together; this one takes the bytes from where the answer does.
        """
        from llguidance import LLTokenizer, TokenizerWrapper

        tokens = _VocabularyTokens(self._vocabulary)
        return LLTokenizer(TokenizerWrapper(tokens), eos_token=tokens.ends)


class _VocabularyTokens:
    """A vocabulary with the attributes that llguidance's TokenizerWrapper asks for."""

    bos_token_id = None

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        ids = range(vocabulary.size)
        self.tokens = [vocabulary.token_to_bytes(token) for token in ids]
        self.special_token_ids = [token for token in ids if vocabulary.is_control(token)]
        self.ends = sorted(vocabulary.end_tokens)
        if not self.ends:  # llguidance needs one; no model ever writes it, and `finished` ends such an answer
            self.ends = [len(self.tokens)]
            self.special_token_ids.append(len(self.tokens))
            self.tokens.append(b"<end>")
        self.eos_token_id = self.ends[0]

    def __call__(self, text: bytes | str) -> list[int]:
        spelled = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return self._vocabulary.tokenize(spelled, special=False)


def _read_json_schema(schema: dict[str, Any]) -> str:
    from llguidance import LLMatcher

    try:
        text = json.dumps(prepare_schema(schema), allow_nan=False)
    except (SchemaError, ValueError, RecursionError) as error:
        raise _refuse("json_schema", str(error)) from error
    return LLMatcher.grammar_from_json_schema(text, overrides=_JSON_OPTIONS)


def _read_regex(pattern: str) -> str:
    from llguidance import LLMatcher

    return LLMatcher.grammar_from_regex(pattern)


def _read_grammar(text: str) -> str:
    """Lark as it is, GBNF converted."""
    from llguidance import LLMatcher
    from llguidance.gbnf_to_lark import any_to_lark

    if len(text) > _LONGEST_GRAMMAR:
        raise _refuse("grammar", f"it has {len(text):,} characters, expected {_LONGEST_GRAMMAR:,} at most")
    try:
        return LLMatcher.grammar_from_lark(any_to_lark(_ESCAPE.sub(_unescape, text)))
    except Exception as error:  # the converter raises bare exceptions
        raise _refuse("grammar", str(error)) from error


_READERS: dict[str, Callable[[Any], str]] = {
    "json_schema": _read_json_schema,
    "regex": _read_regex,
    "grammar": _read_grammar,
}


def _unescape(found: re.Match[str]) -> str:
    """A character's number as the character, which the converter does not do; those that mean something stay."""
    digits = found[1] or found[2] or found[3]
    character = chr(int(digits, 16)) if digits and int(digits, 16) < 0x110000 else ""
    return character if character.isprintable() and character not in '"\\[]^-/' and character else found[0]


_NAMES = {"json_schema": "JSON schema", "regex": "regular expression", "grammar": "grammar"}
_HINTS = {
    "json_schema": "Take the keyword out, and check it with the scorer json_schema instead.",
    "regex": "Correct it; look-around and back-references cannot be followed. The syntax is that of Rust's regex.",
    "grammar": "Correct it: GBNF with a rule `root ::= ...`, or Lark with a rule `start: ...`.",
}


def _refuse(field: str, reason: str) -> EngineError:
    lines = reason.strip().splitlines() or ["unknown"]
    return EngineError(f"The {_NAMES[field]} cannot be enforced: {lines[0].rstrip('.')}.", _HINTS[field], reason)
