"""Reads a number in any notation, and finds the numbers of a text.

Decimal points and commas, thousands separators, LaTeX, scientific notation, and the digits of any script. A comma
before exactly three digits separates thousands (1,200), any other single comma is a decimal one (1,5); a single point
is a decimal one (1.200 is 1.2). Values are exact.
"""

from __future__ import annotations

import unicodedata
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal

import regex

_LONGEST = 400  # characters of a number, and the size of its exponent: beyond it nobody means a value
EXACT = Context(prec=4 * _LONGEST, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""For sums of what `read_number` gives: enough digits that nothing is rounded."""

_MINUS = str.maketrans(dict.fromkeys("−－﹣‑–", "-"))
_DIGIT = regex.compile(r"[\p{Nd}--[0-9]]", regex.V1)
_UNSEEN = regex.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_LATEX = (
    (regex.compile(r"(?<=[0-9])(?:\{,\}|\{\\,\}|\\[,!;: ])(?=[0-9])"), "\u202f"),
    (regex.compile(r"\\(?=[$%])"), ""),
    (regex.compile(r"\\(?:times|cdot)(?![a-zA-Z])"), "×"),
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")

_PIECES = r"""
    (?P<power>10\s*(?:\^\s*\{{?\s*(?P<caret>[-+]?[0-9]+)\s*\}}?|(?P<raised>[⁻⁺]?[⁰¹²³⁴-⁹]+)))
    | (?P<digits>
        [0-9]{{1,3}}(?:,[0-9]{{3}})+(?:\.[0-9]+)?                         # 1,234,567.89
        | [0-9]{{1,2}}(?:,[0-9]{{2}})+,[0-9]{{3}}(?:\.[0-9]+)?              # 12,34,567.89, as in India
        | [0-9]{{1,3}}(?:\.[0-9]{{3}})+,[0-9]+ | [0-9]{{1,3}}(?:\.[0-9]{{3}}){{2,}}  # 1.234.567,89
        | [0-9]{{1,3}}(?:[{blank}][0-9]{{3}})+(?:[.,][0-9]+)?             # 1 234 567,89
        | [0-9]+[.,][0-9]+ | [0-9]+ | \.[0-9]+
      )
      (?![0-9]|[.,][0-9])
      (?:[eE](?P<exponent>[-+]?[0-9]+)(?!\w)
        | \s*[x×·⋅*]\s*10\s*(?:\^\s*\{{?\s*(?P<times>[-+]?[0-9]+)\s*\}}?|(?P<high>[⁻⁺]?[⁰¹²³⁴-⁹]+)))?
"""
_THIN = "'’_\u00a0\u2009\u202f"
_CURRENCY = r"[A-Z]{0,3}\p{Sc}|USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|[元円원]"
_IN_TEXT = regex.compile(
    rf"(?P<sign>(?<![\w)\]}}.])[-+])?(?:(?<![0-9][.,])(?<![0-9])(?:{_PIECES.format(blank=_THIN)})|(?P<piece>[0-9]+))",
    regex.VERBOSE,
)
_WHOLE = regex.compile(
    rf"(?P<sign>[-+]?)\s*(?:{_CURRENCY})?\s*(?P<after>[-+]?)(?:{_PIECES.format(blank=_THIN + ' ')})"
    rf"\s*(?:{_CURRENCY}|%)?",
    regex.VERBOSE,
)
_GROUPING = regex.compile(rf"[{_THIN} ]")
_MARKS = regex.compile(
    r"\*\*(.+)\*\*|__(.+)__|\*(.+)\*|_(.+)_|`+(.+?)`+|\"(.+)\"|'(.+)'|“(.+)”|‘(.+)’|«(.+)»|\((.+)\)|（(.+)）|「(.+)」"
    r"|\$\$(.+)\$\$|\$(.+)\$|\\\((.+)\\\)|\\\[(.+)\\\]|\\boxed\{(.+)\}",
    regex.DOTALL,
)
_ENDS = ".!?,;:…。！？，；： \t\r\n"


def read_number(text: str) -> Decimal | None:
    """The number that a text is; None where it is none, or more than one.

    Quotes, brackets, emphasis, LaTeX delimiters and punctuation around it, a currency sign and a percent sign are put
    aside: `**42**`, `(42)`, `42!`, `$1,200` and `42%` are numbers.
    """
    found = _WHOLE.fullmatch(_unwrap(_prepare(text))) if len(text) <= 4 * _LONGEST else None
    if found is None or (found["sign"] and found["after"]):
        return None
    return _evaluate(found, found["sign"] or found["after"])


def find_numbers(text: str) -> list[str]:
    """The numbers that stand in a text, in order, spelled plainly: no separators, a decimal point, no exponent."""
    numbers = []
    for found in _IN_TEXT.finditer(_prepare(text)):
        if found["piece"]:
            numbers.append(("-" if found["sign"] == "-" else "") + found["piece"])
            continue
        value = _evaluate(found, found["sign"] or "")
        if value is not None:
            numbers.append(_to_plain_digits(found, value))
    return numbers


def write_number(value: Decimal) -> str:
    """A number in plain digits, exact; a very large or small one with an exponent."""
    if not value:
        return "0"
    if not -30 <= value.adjusted() <= 60:
        return str(value)
    digits = f"{value:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _prepare(text: str) -> str:
    text = _UNSEEN.sub("", text).translate(_MINUS)
    if not text.isascii():
        text = _DIGIT.sub(lambda match: str(unicodedata.decimal(match[0])), text)
        text = regex.sub(r"(?<=[0-9])[٫．](?=[0-9])", ".", text)
        text = regex.sub(r"(?<=[0-9])[٬，](?=[0-9])", ",", text)
        text = text.translate({0xFF04: "$", 0xFF05: "%", 0xFF08: "(", 0xFF09: ")", 0xFF0B: "+", 0x3000: " "})
    for pattern, plain in _LATEX:
        text = pattern.sub(plain, text)
    return text


def _unwrap(text: str) -> str:
    """Take off what stands around a number, from outside to inside."""
    while True:
        inner = text.strip().rstrip(_ENDS)
        match = _MARKS.fullmatch(inner)
        if match:
            inner = next(group for group in match.groups() if group is not None)
        if inner == text:
            return text
        text = inner


def _evaluate(found: regex.Match[str], sign: str) -> Decimal | None:
    exponent = (found["exponent"] or found["times"] or found["caret"]) or (
        (found["high"] or found["raised"] or "0").translate(_SUPERSCRIPTS)
    )
    digits = "1" if found["power"] else _point(found["digits"])
    if len(digits) > _LONGEST or len(exponent) > len(str(_LONGEST)) + 1 or abs(int(exponent)) > _LONGEST:
        return None
    return Decimal(f"{'-' if sign == '-' else ''}{digits}e{int(exponent)}")


def _point(digits: str) -> str:
    """Digits without grouping, with a point before the decimals."""
    digits = _GROUPING.sub("", digits)
    if "," not in digits:
        return digits.replace(".", "") if digits.count(".") > 1 else digits
    if "." in digits:
        point = "." if digits.rindex(".") > digits.rindex(",") else ","
        return digits.replace("," if point == "." else ".", "").replace(",", ".")
    head, _, tail = digits.rpartition(",")
    decimal = "," not in head and (len(tail) != 3 or len(head) > 3 or head.startswith("0"))
    return f"{head}.{tail}" if decimal else digits.replace(",", "")


def _to_plain_digits(found: regex.Match[str], value: Decimal) -> str:
    """As it was written, but for its separators; an exponent is worked out."""
    if found["power"] or found["exponent"] or found["times"] or found["high"]:
        return write_number(value)
    return ("-" if found["sign"] == "-" else "") + _point(found["digits"])
