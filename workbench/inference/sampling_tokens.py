"""The texts of a request's sampling as tokens of a model: biases, banned words, ends, sequence breakers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from workbench.errors import EngineError
from workbench.inference.types import Sampling
from workbench.inference.vocabulary import Vocabulary

LARGEST_BIAS = 1e6
"""Beyond every logit; infinities would turn into numbers that are not numbers."""

ID = "id:"
"""Before the number of a token in the keys of logit_bias; every other key is text."""


def _never(_: int) -> bool:
    return False


class SamplingTokens(NamedTuple):
    """biases: token -> what is added to its logit. banned: token sequences that are never completed. ends: tokens that
    end an answer. is_breaker: whether a token holds a text over which DRY does not compare."""

    biases: Mapping[int, float] = {}
    banned: tuple[tuple[int, ...], ...] = ()
    ends: frozenset[int] = frozenset()
    is_breaker: Callable[[int], bool] = _never


NO_TOKENS = SamplingTokens()


def find_tokens(sampling: Sampling, vocabulary: Vocabulary) -> SamplingTokens:
    """Raises EngineError that names every token that the model does not have."""
    needs_ends = sampling.ignore_eos or sampling.min_tokens > 0
    breakers = tuple(text.encode() for text in sampling.dry_sequence_breakers) if sampling.dry_multiplier else ()

    @functools.cache
    def is_breaker(token: int) -> bool:
        spelled = vocabulary.token_to_bytes(token)
        return any(breaker in spelled for breaker in breakers)

    return SamplingTokens(
        find_biases(sampling, vocabulary),
        find_banned(sampling, vocabulary),
        vocabulary.end_tokens if needs_ends else frozenset(),
        is_breaker,
    )


def find_biases(sampling: Sampling, vocabulary: Vocabulary) -> dict[int, float]:
    biases: dict[int, float] = {}
    wrong: list[str] = []
    for key, value in sampling.logit_bias.items():
        number = key.removeprefix(ID)
        if not key.startswith(ID):
            tokens = vocabulary.tokenize(key, special=False)
        elif number.isascii() and number.isdigit() and int(number) < vocabulary.size:
            tokens = [int(number)]
        else:
            wrong.append(key)
            continue
        biases |= dict.fromkeys(tokens, min(max(value, -LARGEST_BIAS), LARGEST_BIAS))
    if wrong:
        raise EngineError(
            f"logit_bias names tokens that the model does not have: {', '.join(wrong)}.",
            f"Expected {ID}0 to {ID}{vocabulary.size - 1}; keys without `{ID}` are text.",
        )
    return biases


def find_banned(sampling: Sampling, vocabulary: Vocabulary) -> tuple[tuple[int, ...], ...]:
    """Each of the bad words at the beginning of a text and inside one, where a space goes before it."""
    spelled = (form for word in sampling.bad_words for form in (word, f" {word.lstrip()}"))
    found = (tuple(vocabulary.continue_text(form, special=False)) for form in spelled if form.strip())
    return tuple(dict.fromkeys(tokens for tokens in found if tokens))
