"""How a byte-level tokenizer splits text before it merges, and llama.cpp's name for that way.

Sources: the tokenizer.json of the tokenizers package, llama.cpp's llama-vocab.cpp.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

TokenizerJson = dict[str, Any]

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT2 = "ByteLevel"
_DIGITS = r"\p{N}"


class _Way(NamedTuple):
    """name: llama.cpp's. ignores_merges: a word that is a token is not built from its parts."""

    name: str
    ignores_merges: bool = False


_WAYS: dict[tuple[str, ...], tuple[_Way, ...]] = {
    (_GPT2,): (_Way("gpt-2"),),
    (_DIGITS, _GPT2): (_Way("smollm"),),
    (rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}",): (_Way("llama-bpe", True), _Way("dbrx")),
    (rf"{_WORDS}|\p{{N}}|{_REST}",): (_Way("qwen2"),),
}
"""The patterns that split text one after the other -> the ways in which llama.cpp does so."""


def find_pre_tokenizer(tree: TokenizerJson) -> str | None:
    """llama.cpp's name for the way text is split before merging; None when it has none."""
    ways = _WAYS.get(_patterns(tree), ())
    ignores = bool(tree["model"].get("ignore_merges"))
    fitting = next((way.name for way in ways if way.ignores_merges == ignores), None)
    if fitting or not ways:
        return fitting
    return ways[0].name if _reaches_all(tree) else None


def pre_tokenizer_problems(tree: TokenizerJson) -> Iterator[str]:
    """What keeps llama.cpp from splitting text alike, as parts of a sentence about the model."""
    parts = _parts(tree)
    if not any(part.get("type") == "ByteLevel" for part in parts):
        yield "its tokenizer does not work on bytes"
    if any(part.get("type") == "ByteLevel" and part.get("add_prefix_space") for part in parts):
        yield "its tokenizer puts a space before each text, which llama.cpp does only for SentencePiece"
    ways = _WAYS.get(_patterns(tree), ())
    if not ways:
        yield "its tokenizer splits text by a pattern that llama.cpp has no name for"
    elif find_pre_tokenizer(tree) is None:
        word = "takes" if tree["model"].get("ignore_merges") else "does not take"
        yield (
            f"its tokenizer {word} a whole word as one token without merging (ignore_merges), and llama.cpp's"
            f" {ways[0].name} differs"
        )
    if tree["model"].get("dropout"):
        yield "its tokenizer leaves out merges at random (dropout)"
    if tree["model"].get("continuing_subword_prefix") or tree["model"].get("end_of_word_suffix"):
        yield "its tokenizer marks the parts of a word"


def _parts(tree: TokenizerJson) -> list[TokenizerJson]:
    root = tree.get("pre_tokenizer") or {}
    return list(root.get("pretokenizers", [root]))


def _patterns(tree: TokenizerJson) -> tuple[str, ...]:
    """The patterns of the steps, in order; a step that is unlike any that llama.cpp knows stands as itself."""
    found: list[str] = []
    for part in _parts(tree):
        kind = part.get("type")
        if kind == "ByteLevel":
            found += [_GPT2] if part.get("use_regex", True) else []
        elif kind == "Digits" and part.get("individual_digits"):
            found.append(_DIGITS)
        elif kind == "Split" and _keeps_all(part):
            found.append(str(part.get("pattern", {}).get("Regex", part)))
        else:
            found.append(json.dumps(part))
    return tuple(found)


def _keeps_all(part: TokenizerJson) -> bool:
    """Whether a split cuts out what matches, and loses none of the rest."""
    kept = (part.get("behavior"), bool(part.get("invert")))
    return kept in (("Isolated", False), ("Removed", True))


def _reaches_all(tree: TokenizerJson) -> bool:
    """Whether merging the characters of any token gives that token, so that it makes no difference to skip it."""
    from tokenizers import Tokenizer

    bare = copy.deepcopy(tree)
    bare["model"]["ignore_merges"] = False
    for key in ("normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation", "padding"):
        bare[key] = None
    bare["added_tokens"] = []
    special = {token["content"] for token in tree.get("added_tokens", [])}
    vocabulary = {text: token_id for text, token_id in tree["model"]["vocab"].items() if text not in special}
    made = Tokenizer.from_str(json.dumps(bare)).encode_batch(list(vocabulary))
    return all(one.ids == [token_id] for one, token_id in zip(made, vocabulary.values(), strict=True))
