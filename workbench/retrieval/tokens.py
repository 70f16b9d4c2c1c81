"""Words of a text as the index knows them: letter case, width and accents do not count, signs of names such as C++ do.

The usual tokenizers drop `C++`, take a run of Chinese or Japanese as one word, and tell `cafe` from `café`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import regex

VERSION = 1
"""part of an index's digest: one of other tokens is built anew"""

# Scripts that put no space between words: pairs of characters find what words would.
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}ー々\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
_TOKEN = regex.compile(
    rf"(?P<unspaced>{_UNSPACED}+)"
    rf"|(?P<word>(?:(?!{_UNSPACED})[\p{{L}}\p{{N}}\p{{M}}_])+(?:[+#]+(?![\p{{L}}\p{{N}}]))?)"
    r"|(?P<sign>\p{So}|\p{Sc})"
)
_MARKS = regex.compile(r"(?<=[\p{Latin}\p{Greek}\p{Cyrillic}\p{Arabic}\p{Hebrew}])\p{Mn}+|\p{Cf}")
# Letters that do not decompose, though people type both.
_LETTERS = str.maketrans({"ı": "i", "ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "ħ": "h", "ŧ": "t"})


def fold(text: str) -> str:
    """The text without letter case, compatibility forms and accents; marks that are part of a letter in their script,
    such as those of Japanese and Hindi, stay."""
    spread = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", _MARKS.sub("", spread)).translate(_LETTERS)


def tokenize(text: str, document: bool = False) -> list[str]:
    """The tokens in order, each as often as it occurs.

    document: also the single characters of scripts without spaces, so that a query of one character finds something.
    """
    return list(_split(fold(text), document))


def _split(folded: str, document: bool) -> Iterator[str]:
    for found in _TOKEN.finditer(folded):
        run = found["unspaced"]
        if run is None:
            yield found.group()
            continue
        if len(run) == 1 or document:
            yield from run
        yield from (run[at : at + 2] for at in range(len(run) - 1))
