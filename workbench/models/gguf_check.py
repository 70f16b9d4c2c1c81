"""What a GGUF file says of its chat templates and ends, against the Hugging Face folder that it was made from.

Knows nothing of weights or engines.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.models.gguf_ends import find_lost_ends
from workbench.models.header import read_header
from workbench.models.hf_tokenizer import HfTokenizer

_TEMPLATE = "tokenizer.chat_template"


def find_changes(tokenizer: HfTokenizer, path: Path) -> Iterator[str]:
    """Every template and end that is not as in the folder, one sentence each. Raises ModelError."""
    metadata = read_header(path).metadata
    for name, text in tokenizer.templates.items():
        key = _TEMPLATE if name == "default" else f"{_TEMPLATE}.{_plain(name)}"
        if metadata.get(key) != text:
            yield f"the chat template {name} is {'missing' if key not in metadata else 'another one'}"
    places = {**tokenizer.tree["model"]["vocab"]}
    places |= {token["content"]: token["id"] for token in tokenizer.tree.get("added_tokens", [])}
    texts = {place: text for text, place in places.items()}
    keys = [metadata.get(f"tokenizer.ggml.{kind}_token_id") for kind in ("eos", "eot", "eom")]
    keyed = [key for key in keys if isinstance(key, int)]
    lost = find_lost_ends(tokenizer.ends, keyed, texts)
    if lost:
        yield f"answers no longer end at {', '.join(texts.get(token, str(token)) for token in lost)}"


def _plain(name: str) -> str:
    """A template's name as a key has it."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
