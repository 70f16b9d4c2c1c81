"""When two texts count as the same answer.

`clean` drops what nobody sees, and every scorer looks at cleaned text; `fold` ignores what it is told to.
"""

from __future__ import annotations

import unicodedata

import regex

_INVISIBLE = (
    *(0x00AD, 0x034F, 0x061C, 0x180E, 0xFE0E, 0xFE0F, 0xFEFF),
    *range(0x200B, 0x2010),  # zero-width space, joiners, direction marks
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2065),
    *range(0x2066, 0x2070),
)
_SPACES = (0x00A0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)  # Unicode's category Zs
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # Unicode's block: ASCII, moved
_LETTERS = {code: plain for code, plain in _FULL_WIDTH.items() if chr(plain).isalnum()}
_UNSEEN = {**dict.fromkeys(_INVISIBLE, None), **dict.fromkeys(_SPACES, " ")}
_HALF_WIDTH = regex.compile("[\uff61-\uff9f]+")  # Katakana and its punctuation
_WIDE_SIGNS = str.maketrans("￠￡￥￦", "¢£¥₩")

_ENDS = ".,;:!?…。、।॥؟،؛۔"
_LEAD = regex.compile(r"^(?:[¿¡]\s*|[:;,…]\s+)+")
_PAIRS = (
    *(("**", "**"), ("__", "__"), ("*", "*"), ("_", "_"), ("`", "`"), ('"', '"'), ("'", "'")),
    *(("“", "”"), ("„", "“"), ("‘", "’"), ("‚", "‘"), ("«", "»"), ("»", "«")),
    *(("「", "」"), ("『", "』"), ("【", "】"), ("《", "》"), ("〈", "〉")),
)
_BRACKETED = regex.compile(r"\(([^\s()\[\]{}<>,]+)\)")  # one word: a bracket around more may be part of the value
_EAST_ASIAN_ENDS = "！？。，、；：．"
_EAST_ASIAN_PAIRS = (("（", "）"), ("「", "」"), ("『", "』"), ("【", "】"), ("《", "》"))


def clean(text: str, *, signs: bool = True) -> str:
    """The text in one Unicode form (NFC), without invisible characters, full-width ones as their usual selves.

    Every blank becomes a space, every line break a line feed. signs: False leaves full-width punctuation as it is, for
    metrics whose tokenizers tell it from ASCII.
    """
    text = text.replace("\r\n", "\n")
    if text.isascii():
        return text
    text = text.translate(_UNSEEN).translate(_FULL_WIDTH | _WIDE_SIGNS if signs else _LETTERS)
    text = _HALF_WIDTH.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return unicodedata.normalize("NFC", text)


def trim(text: str) -> str:
    """The text as an exact comparison sees it: cleaned, without white space or full-width punctuation around it.

    East Asian text sets such marks without a space, in a cell of their own. Where nothing else is left they count.
    """
    return clean(_peel(clean(text, signs=False).strip(), _EAST_ASIAN_ENDS, _EAST_ASIAN_PAIRS)).strip()


def fold(
    text: str, *, ignore_case: bool = False, ignore_whitespace: bool = False, ignore_punctuation: bool = False
) -> str:
    """The cleaned text without what is to be ignored: the case of letters, how blanks and line breaks are set, and
    quotes, emphasis and sentence punctuation around the whole.

    Operators, brackets and signs that change a value stay, as does a mark where nothing else is left.
    """
    text = clean(text).strip()
    if ignore_case:
        text = clean(text.casefold())
    if ignore_whitespace:
        text = " ".join(text.split())
    return _peel(text, _ENDS, _PAIRS, prose=True) if ignore_punctuation else text


def normalize(text: str) -> str:
    """The text with everything ignored that `fold` can ignore."""
    return fold(text, ignore_case=True, ignore_whitespace=True, ignore_punctuation=True)


def is_blank(text: str | None) -> bool:
    """Whether there is nothing to see."""
    return text is None or not clean(text).strip()


def _peel(text: str, ends: str, pairs: tuple[tuple[str, str], ...], prose: bool = False) -> str:
    """Take punctuation off from outside to inside, as long as something is left."""
    while True:
        inner = text.rstrip(ends + " ") or text
        if prose:
            inner = _LEAD.sub("", inner) or inner
            inner = match[1] if (match := _BRACKETED.fullmatch(inner)) else inner
        inner = _unwrap(inner, pairs)
        if inner == text:
            return text
        text = inner


def _unwrap(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for begin, end in pairs:
        inner = text[len(begin) : -len(end)].strip()
        wrapped = text.startswith(begin) and text.endswith(end) and len(text) > len(begin) + len(end)
        if wrapped and inner and begin not in inner and end not in inner:
            return inner
    return text
