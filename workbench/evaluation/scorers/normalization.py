"""Normalisation: when two texts count as the same answer.

Knows nothing of scores.
"""

from __future__ import annotations

import re
import string
import unicodedata

_AROUND = string.whitespace + string.punctuation.translate(str.maketrans("", "", "+-%$#@&~")) + "“”‘’«»„…。、"
_OPENING_SIGN = str.maketrans("", "", ".")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize(text: str) -> str:
    """Letters in one case and one Unicode form (NFC), single spaces, no quotes or punctuation around.

    Signs that change a value (`-`, `+`, `%`, `$`, `#`, `@`, `&`, `~`, and a leading `.`) stay.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split()).lstrip(_AROUND.translate(_OPENING_SIGN)).rstrip(_AROUND)


def split_squad_tokens(text: str) -> list[str]:
    """Tokens as SQuAD 1.1's evaluation makes them: lower case, no punctuation, no English articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()
