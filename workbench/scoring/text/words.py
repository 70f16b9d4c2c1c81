"""Splits a text of any script into words, for metrics that count words.

Two definitions of the field are kept to the letter for the texts they were made for: rouge-score's (Latin letters) and
SQuAD's evaluation (Rajpurkar et al. 2016). For other scripts the words are those of MLQA's evaluation (Lewis et al.
2020): all Unicode punctuation is dropped, and a word is a character where a script writes no spaces.
"""

from __future__ import annotations

import string

import regex

from workbench.scoring.text.normalization import clean
from workbench.scoring.text.numbers import read_number, write_number

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー"
_WORD = regex.compile(rf"[{_UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{_UNSPACED}]]+", regex.V1)
_CHARACTER = regex.compile(rf"([{_UNSPACED}]\p{{M}}*)", regex.V1)
_OTHER_LETTER = r"[[\p{L}--\p{Latin}]--[\p{Common}\p{Inherited}]]"
_OTHER_SCRIPT = regex.compile(rf"{_OTHER_LETTER}|[ー。、「」『』【】《》〈〉।॥؟،؛۔]", regex.V1)
_ARTICLES = regex.compile(r"\b(a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_PUNCTUATION = regex.compile(r"[\p{P}$+<=>^`|~]")
_LONGEST_NUMBER = 60  # characters, with what stands around it: bounds the work on a token made of signs
_NUMBER = regex.compile(r"[^\w\s<>≤≥.\-−]*([<>≤≥]=?)?([-−])?[^\w\s.\-−]*([0-9][0-9.,]*[0-9]|[0-9]|\.[0-9]+)\W*")


def is_unspaced(text: str) -> bool:
    """Whether a text has characters of a script that writes no spaces between words."""
    return _CHARACTER.search(text) is not None


def is_chinese(text: str) -> bool:
    """Whether Han characters are all that a text has of such scripts."""
    return all(regex.match(r"\p{Han}", match[0]) for match in _CHARACTER.finditer(text))


def has_other_script(text: str) -> bool:
    """Whether a text has letters, or punctuation, of a script other than Latin."""
    return _OTHER_SCRIPT.search(text) is not None


def split_words(text: str) -> list[str]:
    """The words of a text in any script, in lower case; a character a word where a script writes no spaces."""
    return [match[0] for match in _WORD.finditer(clean(text).lower())]


def count_words(text: str) -> int:
    """How many words a text has: what stands between blanks, or each character where a script writes no spaces."""
    return sum(len(split_words(piece)) if is_unspaced(piece) else 1 for piece in clean(text).split())


def split_squad_tokens(text: str) -> list[str]:
    """Tokens as SQuAD 1.1's evaluation makes them: lower case, no punctuation, no English articles.

    It differs where that would change a value: numbers keep their sign and decimal point (as in DROP's evaluation, Dua
    et al. 2019), signs stay where a text has nothing else, and the last article where there is no other word.
    """
    lowered = clean(text).lower()
    other = has_other_script(lowered)
    bare = " ".join(_strip_token(token, other) for token in lowered.split())
    if other:
        bare = _CHARACTER.sub(r" \1 ", bare)
    words = bare.split()
    if not words:
        return lowered.split()
    return _ARTICLES.sub(" ", " ".join(words)).split() or words[-1:]


def _strip_token(token: str, other_script: bool) -> str:
    """A token between blanks without its punctuation, ASCII's or all of Unicode's; a number in one form."""
    found = _NUMBER.fullmatch(token) if len(token) <= _LONGEST_NUMBER else None
    value = read_number(found[3]) if found else None
    if found and value is not None:
        whole = found[3].isdecimal()
        return f"{found[1] or ''}{'-' if found[2] else ''}{found[3] if whole else write_number(value)}"
    return _PUNCTUATION.sub("", token) if other_script else token.translate(_ASCII_PUNCTUATION)
