"""The tokenizer of a Hugging Face folder as keys of a GGUF file: byte-level BPE, and BPE that was made from
SentencePiece.

Knows nothing of weights. Sources: the tokenizer.json of the tokenizers package, llama.cpp's llama-vocab.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from workbench.models.gguf_ends import choose_ends, find_end_problems
from workbench.models.hf_tokenizer import HfTokenizer
from workbench.models.pre_tokenizer import find_pre_tokenizer, pre_tokenizer_problems

Tree = dict[str, Any]

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6
"""llama.cpp's types of tokens."""

_BYTES = {f"<0x{byte:02X}>" for byte in range(256)}
_SPACE = "▁"
_UNSTRIPPED = ("<unk>", "<s>", "<|endoftext|>")
"""The special tokens of Phi-3 that leave the space after them alone."""
_RULES = re.compile(r"phi-?3|modern-bert", re.IGNORECASE)
"""What in a model's name makes llama.cpp change the way its tokens take spaces."""


def add_tokenizer(writer: Any, tokenizer: HfTokenizer, size: int) -> None:
    """Write a tokenizer that `find_problems` has nothing against."""
    tree = tokenizer.tree
    tokens, types = _vocabulary(tree, size)
    if _is_sentencepiece(tree):
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores(_scores(tree, tokens))
        writer.add_add_space_prefix(_adds_space(tokenizer))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(find_pre_tokenizer(tree) or "")
        writer.add_token_merges([" ".join(merge) for merge in _merges(tree)])
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    for place, add in ((tokenizer.bos, writer.add_bos_token_id), (tokenizer.pad, writer.add_pad_token_id)):
        if place is not None:
            add(place)
    ends = choose_ends(tokenizer.ends, tokens, [place for place, kind in enumerate(types) if kind == _UNUSED])
    for place, add in zip(ends, (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id)):  # noqa: B905
        add(place)
    writer.add_add_bos_token(tokenizer.adds_bos)
    writer.add_add_eos_token(tokenizer.adds_eos)
    if tokenizer.templates:
        named = [{"name": name, "template": text} for name, text in sorted(tokenizer.templates.items())]
        writer.add_chat_template(named)


def find_problems(tokenizer: HfTokenizer, size: int) -> Iterator[str]:
    """Everything in a tokenizer that llama.cpp has no way for, as parts of a sentence about the model."""
    tree = tokenizer.tree
    kind = tree.get("model", {}).get("type")
    if kind != "BPE":
        yield f"its tokenizer is {kind}, not BPE"
        return
    if _is_sentencepiece(tree):
        strange = [part.get("type") for part in _parts(tree, "normalizer") if not _is_space_rule(part)]
        strange += [part.get("type") for part in _parts(tree, "pre_tokenizer") if not _is_harmless(part)]
        if strange:
            yield f"its tokenizer changes text in a way that llama.cpp does not ({', '.join(map(str, strange))})"
    else:
        yield from pre_tokenizer_problems(tree)
        if any(part.get("type") != "NFC" for part in _parts(tree, "normalizer")):
            yield "its tokenizer rewrites text before splitting it"
    yield from _token_problems(tokenizer, size)


def find_notes(tokenizer: HfTokenizer) -> Iterator[str]:
    """What llama.cpp does otherwise with some texts and there is no way around, one sentence each."""
    if not _is_sentencepiece(tokenizer.tree) and composes(tokenizer):
        yield "The tokenizer composes letters and accents (NFC) before it splits text, and llama.cpp does not."


def composes(tokenizer: HfTokenizer) -> bool:
    """Whether letters and their accents become one character before text is split."""
    return any(part.get("type") == "NFC" for part in _parts(tokenizer.tree, "normalizer"))


def choose_name(name: str, tokenizer: HfTokenizer) -> str:
    """A model's name such that llama.cpp treats spaces beside its tokens as the tokenizer does: it goes by the name."""
    if _strips_like_phi(tokenizer.tree):
        return name if re.search("phi-?3", name, re.IGNORECASE) else f"{name} (tokens as phi-3)"
    return _RULES.sub(lambda found: found[0].replace("-", "").replace("3", " 3").replace("nb", "n b"), name)


def _token_problems(tokenizer: HfTokenizer, size: int) -> Iterator[str]:
    tree = tokenizer.tree
    added = tree.get("added_tokens", [])
    places = {**tree["model"]["vocab"], **{token["content"]: token["id"] for token in added}}
    beyond = sorted(text for text, place in places.items() if place >= size)
    if beyond:
        yield f"its tokenizer has tokens beyond the {size:,} that the model knows ({_name(beyond)})"
    if len(set(places.values())) < len(places) or any(not text for text in places):
        yield "several of its tokens have one number, or a token is empty"
    spaced = [token["content"] for token in added if token.get("lstrip") or token.get("rstrip")]
    if spaced and not _strips_like_phi(tree):
        yield f"the spaces beside some tokens belong to them, which a GGUF file cannot say ({_name(spaced)})"
    words = [token["content"] for token in added if token.get("single_word")]
    if words:
        yield f"some tokens are found only as whole words, which a GGUF file cannot say ({_name(words)})"
    if not beyond:
        tokens, types = _vocabulary(tree, size)
        yield from find_end_problems(tokenizer.ends, tokens, _UNUSED in types)


def _name(texts: list[str]) -> str:
    shown = ", ".join(text[:40] for text in texts[:5])
    return f"{shown}, and {len(texts) - 5} more" if len(texts) > 5 else shown


def _strips_like_phi(tree: Tree) -> bool:
    """Whether tokens take spaces as llama.cpp has it for Phi-3: all special ones but three take those behind them."""
    added = tree.get("added_tokens", [])
    texts = {token["content"] for token in added}
    if not {"</s>", *_UNSTRIPPED} <= texts or not any(token.get("rstrip") for token in added):
        return False
    return all(
        bool(token.get("rstrip")) == (token["content"] not in _UNSTRIPPED) and not token.get("lstrip")
        for token in added
    )


def _is_sentencepiece(tree: Tree) -> bool:
    return bool(tree["model"].get("byte_fallback"))


def _parts(tree: Tree, key: str) -> list[Tree]:
    """The single steps of a normalizer or pre-tokenizer."""
    root = tree.get(key) or {}
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


def _adds_space(tokenizer: HfTokenizer) -> bool:
    """Whether a space is put before a text.

    llama.cpp puts it behind every special token too. Metaspace's `first` does not, so a chat that begins with one
    gets none at all. (Metaspace also leaves a text that begins with a space alone; there is no key for that, and
    SentencePiece itself does as llama.cpp.)
    """
    prepends = any(part.get("type") == "Prepend" for part in _parts(tokenizer.tree, "normalizer"))
    schemes = {part.get("prepend_scheme", "never") for part in _parts(tokenizer.tree, "pre_tokenizer")}
    if prepends or "always" in schemes:
        return True
    special = [token["content"] for token in tokenizer.tree.get("added_tokens", [])]
    return "first" in schemes and not tokenizer.chat_opening.startswith(tuple(special))


def _merges(tree: Tree) -> list[list[str]]:
    """Older files write a merge as one text with a space in it."""
    merges = tree["model"]["merges"]
    return [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]


def _scores(tree: Tree, tokens: list[str]) -> list[float]:
    """llama.cpp merges what gives the token of the highest score: the rank of the first merge that makes it."""
    ranks: dict[str, int] = {}
    for rank, (left, right) in enumerate(_merges(tree)):
        ranks.setdefault(left + right, rank)
    return [-float(ranks.get(token, len(ranks))) for token in tokens]


def _vocabulary(tree: Tree, size: int) -> tuple[list[str], list[int]]:
    """Every token by its id, and its type; ids that the tokenizer leaves free become unused tokens."""
    tokens = [f"[unused {place}]" for place in range(size)]
    types = [_UNUSED] * size
    fallback = _BYTES if _is_sentencepiece(tree) else set()
    for token, place in tree["model"]["vocab"].items():
        tokens[place], types[place] = token, _BYTE if token in fallback else _NORMAL
    for added in tree.get("added_tokens", []):
        tokens[added["id"]], types[added["id"]] = added["content"], _CONTROL if added["special"] else _USER_DEFINED
    unknown = tree["model"].get("unk_token")
    if fallback and unknown in tokens:
        types[tokens.index(unknown)] = _UNKNOWN
    return tokens, types
