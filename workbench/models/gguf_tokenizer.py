"""The tokenizer of a Hugging Face folder as keys of a GGUF file: byte-level BPE, and BPE that was made from
SentencePiece.

Knows nothing of weights. Sources: the tokenizer.json of the tokenizers package, llama.cpp's llama-vocab.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Tree = dict[str, Any]

WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = {rf"{WORDS}|\p{{N}}{{1,3}}|{REST}": "llama-bpe", rf"{WORDS}|\p{{N}}|{REST}": "qwen2"}
"""the regular expression that splits text before merging -> llama.cpp's name for it"""


_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6
"""llama.cpp's types of tokens."""

_BYTES = {f"<0x{byte:02X}>" for byte in range(256)}
_SPACE = "▁"


def add_tokenizer(writer: Any, tokenizer: Tree, settings: Tree, config: Tree) -> None:
    """Write a tokenizer that `find_problems` has nothing against. settings: of tokenizer_config.json."""
    tokens, types = _vocabulary(tokenizer, config["vocab_size"])
    if _is_sentencepiece(tokenizer):
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores(_scores(tokenizer, tokens))
        writer.add_add_space_prefix(_adds_space(tokenizer))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_pre_tokenizer(tokenizer) or "")
        writer.add_token_merges([" ".join(merge) for merge in _merges(tokenizer)])
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    places = {token: place for place, token in enumerate(tokens)}
    for kind, add in (
        ("bos", writer.add_bos_token_id),
        ("eos", writer.add_eos_token_id),
        ("pad", writer.add_pad_token_id),
    ):
        place = _special(settings.get(f"{kind}_token"), config.get(f"{kind}_token_id"), places)
        if place is not None:
            add(place)
    writer.add_add_bos_token(_begins_with_bos(tokenizer, settings))


def find_problems(tokenizer: Tree) -> Iterator[str]:
    """Everything in a tokenizer that llama.cpp has no way for, as parts of a sentence about the model."""
    if tokenizer.get("model", {}).get("type") != "BPE":
        yield f"its tokenizer is {tokenizer.get('model', {}).get('type')}, not BPE"
    elif _is_sentencepiece(tokenizer):
        strange = [part.get("type") for part in _parts(tokenizer, "normalizer") if not _is_space_rule(part)]
        strange += [part.get("type") for part in _parts(tokenizer, "pre_tokenizer") if not _is_harmless(part)]
        if strange:
            yield f"its tokenizer changes text in a way that llama.cpp does not ({', '.join(map(str, strange))})"
    else:
        if _pre_tokenizer(tokenizer) is None:
            yield "its tokenizer splits text by a pattern that llama.cpp has no name for"
        if any(part.get("type") != "NFC" for part in _parts(tokenizer, "normalizer")):
            yield "its tokenizer rewrites text before splitting it"


def _is_sentencepiece(tokenizer: Tree) -> bool:
    return bool(tokenizer["model"].get("byte_fallback"))


def _parts(tokenizer: Tree, key: str) -> list[Tree]:
    """The single steps of a normalizer or pre-tokenizer."""
    root = tokenizer.get(key) or {}
    if not root:
        return []
    return list(root.get("normalizers") or root.get("pretokenizers") or [root])


def _is_space_rule(part: Tree) -> bool:
    if part.get("type") == "Prepend":
        return part.get("prepend") == _SPACE
    return part.get("type") == "Replace" and part.get("content") == _SPACE and part["pattern"] == {"String": " "}


def _is_harmless(part: Tree) -> bool:
    """Whether a step leaves the text as it is once its spaces are marked, or only marks them."""
    if part.get("type") == "Metaspace":
        return part.get("replacement") == _SPACE and not part.get("split", True)
    return part.get("type") == "Split" and part.get("pattern") == {"String": " "}


def _adds_space(tokenizer: Tree) -> bool:
    """Whether a space is put before a text. Metaspace leaves one that begins with a space alone, llama.cpp does not;
    there is no key for that, and SentencePiece itself does as llama.cpp."""
    prepends = any(part.get("type") == "Prepend" for part in _parts(tokenizer, "normalizer"))
    marks = any(part.get("prepend_scheme", "never") != "never" for part in _parts(tokenizer, "pre_tokenizer"))
    return prepends or marks


def _merges(tokenizer: Tree) -> list[list[str]]:
    """Older files write a merge as one text with a space in it."""
    merges = tokenizer["model"]["merges"]
    return [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]


def _scores(tokenizer: Tree, tokens: list[str]) -> list[float]:
    """llama.cpp merges what gives the token of the highest score: the rank of the first merge that makes it."""
    ranks: dict[str, int] = {}
    for rank, (left, right) in enumerate(_merges(tokenizer)):
        ranks.setdefault(left + right, rank)
    return [-float(ranks.get(token, len(ranks))) for token in tokens]


def _vocabulary(tokenizer: Tree, size: int) -> tuple[list[str], list[int]]:
    """Every token by its id, and its type; ids that the tokenizer leaves free become unused tokens."""
    tokens = [f"[unused {place}]" for place in range(size)]
    types = [_UNUSED] * size
    fallback = _BYTES if _is_sentencepiece(tokenizer) else set()
    for token, place in tokenizer["model"]["vocab"].items():
        tokens[place], types[place] = token, _BYTE if token in fallback else _NORMAL
    for added in tokenizer.get("added_tokens", []):
        tokens[added["id"]], types[added["id"]] = added["content"], _CONTROL if added["special"] else _USER_DEFINED
    unknown = tokenizer["model"].get("unk_token")
    if fallback and unknown in tokens:
        types[tokens.index(unknown)] = _UNKNOWN
    return tokens, types


def _special(token: Any, place: Any, places: dict[str, int]) -> int | None:
    token = token["content"] if isinstance(token, dict) else token
    if isinstance(token, str) and token in places:
        return places[token]
    place = place[0] if isinstance(place, list) and place else place
    return place if isinstance(place, int) else None


def _begins_with_bos(tokenizer: Tree, settings: Tree) -> bool:
    """Whether text begins with the begin token, by the setting or by the template of the post-processor."""
    if "add_bos_token" in settings:
        return bool(settings["add_bos_token"])
    processor = tokenizer.get("post_processor") or {}
    templates = [
        part for part in [processor, *processor.get("processors", [])] if part.get("type") == "TemplateProcessing"
    ]
    return any(part["single"] and "SpecialToken" in part["single"][0] for part in templates)


def _pre_tokenizer(tokenizer: Tree) -> str | None:
    """llama.cpp's name for the way text is split before merging; None when it has none."""
    root = tokenizer.get("pre_tokenizer") or {}
    parts = root.get("pretokenizers", [root])
    if any(
        part.get("type") == "ByteLevel" and part.get("use_regex", True) and not part.get("add_prefix_space")
        for part in parts
    ):
        return "gpt-2" if len(parts) == 1 else None
    patterns = [part["pattern"].get("Regex", "") for part in parts if part.get("type") == "Split"]
    return PATTERNS.get(patterns[0]) if len(patterns) == 1 else None
