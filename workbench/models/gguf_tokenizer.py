"""Writes the tokenizer of a Hugging Face folder as keys of a GGUF file: byte-level BPE, and BPE from SentencePiece.

Sources: the tokenizer.json of the tokenizers package, llama.cpp's llama-vocab.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.models.gguf_header import read_header
from workbench.models.hf_tokenizer import HfTokenizer
from workbench.models.pre_tokenizer import find_pre_tokenizer, pre_tokenizer_problems

BY_TEXT = frozenset(
    (
        *("<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>"),
        *("<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>"),
        *("<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~["),
        *("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),
        *("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"),
    )
)
"""Tokens with these texts end an answer in llama.cpp, whatever the file says."""

_KEYS = 3


def choose_ends(ends: Sequence[int], tokens: Sequence[str], unused: Sequence[int]) -> tuple[int, ...]:
    """The tokens to name by keys, the first as the end of a text (eos).

    Without any, an unused one: where the key is missing llama.cpp takes token 11, or 2, for it.
    """
    if not ends:
        return (unused[0],)
    return (ends[0], *_hidden(ends[1:], tokens))


def find_end_problems(ends: Sequence[int], tokens: Sequence[str], has_unused: bool) -> Iterator[str]:
    """What cannot be said about the ends in a GGUF file, as parts of a sentence about the model."""
    if not ends and not has_unused:
        yield "neither its tokenizer nor its settings name a token that ends an answer, and llama.cpp would take one"
    hidden = _hidden(ends[1:], tokens)
    if 1 + len(hidden) > _KEYS:
        named = ", ".join(tokens[token] for token in (ends[0], *hidden))
        yield f"{1 + len(hidden)} tokens end its answers ({named}), and a GGUF file can name {_KEYS}"


def find_lost_ends(ends: Iterable[int], keyed: Iterable[int], texts: Mapping[int, str]) -> list[int]:
    """Of the tokens that should end an answer those that do not in a file with these keys. texts: by token."""
    kept = set(keyed)
    return [token for token in ends if token not in kept and texts.get(token) not in BY_TEXT]


def _hidden(ends: Sequence[int], tokens: Sequence[str]) -> list[int]:
    """Those that llama.cpp does not know by their text."""
    return [token for token in ends if tokens[token] not in BY_TEXT]


TokenizerJson = dict[str, Any]

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
    for token_id, add in ((tokenizer.bos, writer.add_bos_token_id), (tokenizer.pad, writer.add_pad_token_id)):
        if token_id is not None:
            add(token_id)
    ends = choose_ends(tokenizer.ends, tokens, [token_id for token_id, kind in enumerate(types) if kind == _UNUSED])
    for token_id, add in zip(ends, (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id)):  # noqa: B905
        add(token_id)
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
    """What llama.cpp tokenizes differently, one sentence each."""
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
    ids = {**tree["model"]["vocab"], **{token["content"]: token["id"] for token in added}}
    beyond = sorted(text for text, token_id in ids.items() if token_id >= size)
    if beyond:
        yield f"its tokenizer has tokens beyond the {size:,} that the model knows ({_name(beyond)})"
    if len(set(ids.values())) < len(ids) or any(not text for text in ids):
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


def _strips_like_phi(tree: TokenizerJson) -> bool:
    """Whether tokens take spaces as llama.cpp has it for Phi-3: all special ones but three take those behind them."""
    added = tree.get("added_tokens", [])
    texts = {token["content"] for token in added}
    if not {"</s>", *_UNSTRIPPED} <= texts or not any(token.get("rstrip") for token in added):
        return False
    return all(
        bool(token.get("rstrip")) == (token["content"] not in _UNSTRIPPED) and not token.get("lstrip")
        for token in added
    )


def _is_sentencepiece(tree: TokenizerJson) -> bool:
    return bool(tree["model"].get("byte_fallback"))


def _parts(tree: TokenizerJson, key: str) -> list[TokenizerJson]:
    """The single steps of a normalizer or pre-tokenizer."""
    root = tree.get(key) or {}
    if not root:
        return []
    return list(root.get("normalizers") or root.get("pretokenizers") or [root])


def _is_space_rule(part: TokenizerJson) -> bool:
    if part.get("type") == "Prepend":
        return part.get("prepend") == _SPACE
    return part.get("type") == "Replace" and part.get("content") == _SPACE and part["pattern"] == {"String": " "}


def _is_harmless(part: TokenizerJson) -> bool:
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


def _merges(tree: TokenizerJson) -> list[list[str]]:
    """Older files write a merge as one text with a space in it."""
    merges = tree["model"]["merges"]
    return [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]


def _scores(tree: TokenizerJson, tokens: list[str]) -> list[float]:
    """llama.cpp merges what gives the token of the highest score: the rank of the first merge that makes it."""
    ranks: dict[str, int] = {}
    for rank, (left, right) in enumerate(_merges(tree)):
        ranks.setdefault(left + right, rank)
    return [-float(ranks.get(token, len(ranks))) for token in tokens]


def _vocabulary(tree: TokenizerJson, size: int) -> tuple[list[str], list[int]]:
    """Every token by its id, and its type; ids that the tokenizer leaves free become unused tokens."""
    tokens = [f"[unused {token_id}]" for token_id in range(size)]
    types = [_UNUSED] * size
    fallback = _BYTES if _is_sentencepiece(tree) else set()
    for token, token_id in tree["model"]["vocab"].items():
        tokens[token_id], types[token_id] = token, _BYTE if token in fallback else _NORMAL
    for added in tree.get("added_tokens", []):
        tokens[added["id"]], types[added["id"]] = added["content"], _CONTROL if added["special"] else _USER_DEFINED
    unknown = tree["model"].get("unk_token")
    if fallback and unknown in tokens:
        types[tokens.index(unknown)] = _UNKNOWN
    return tokens, types


_TEMPLATE = "tokenizer.chat_template"


def find_changes(tokenizer: HfTokenizer, path: Path) -> Iterator[str]:
    """Every template and end that is not as in the folder, one sentence each. Raises ModelError."""
    metadata = read_header(path).metadata
    for name, text in tokenizer.templates.items():
        key = _TEMPLATE if name == "default" else f"{_TEMPLATE}.{_plain(name)}"
        if metadata.get(key) != text:
            yield f"the chat template {name} is {'missing' if key not in metadata else 'another one'}"
    ids = {**tokenizer.tree["model"]["vocab"]}
    ids |= {token["content"]: token["id"] for token in tokenizer.tree.get("added_tokens", [])}
    texts = {token_id: text for text, token_id in ids.items()}
    keys = [metadata.get(f"tokenizer.ggml.{kind}_token_id") for kind in ("eos", "eot", "eom")]
    keyed = [key for key in keys if isinstance(key, int)]
    lost = find_lost_ends(tokenizer.ends, keyed, texts)
    if lost:
        yield f"answers no longer end at {', '.join(texts.get(token, str(token)) for token in lost)}"


def _plain(name: str) -> str:
    """A template's name as a key has it."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
