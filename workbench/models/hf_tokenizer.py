"""The tokenizer of a Hugging Face folder as transformers itself reads it: its tree, its special tokens, its chat
templates, and the tokens that end an answer.

A folder's files are only the beginning: transformers adds tokens from tokenizer_config.json, builds a tokenizer from
tokenizer.model, and some classes replace steps of tokenizer.json by their own. It loads transformers: run
it in a process of its own.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, NamedTuple

from workbench.errors import ModelError
from workbench.models.untrusted_files import is_regular

TokenizerJson = dict[str, Any]

_SENTENCEPIECE = ("tokenizer.model", "spiece.model")
_PROBE = "a"


class HfTokenizer(NamedTuple):
    """tree: in the form of tokenizer.json. bos, eos, pad: ids, None where there is none. templates: by name, the usual
    one is `default`. ends: every token that ends an answer. adds_bos, adds_eos: what a text is framed with.
    chat_opening: what a conversation begins with in the usual template; empty where it has none.
    """

    tree: TokenizerJson
    bos: int | None
    eos: int | None
    pad: int | None
    templates: dict[str, str]
    ends: tuple[int, ...]
    adds_bos: bool
    adds_eos: bool
    chat_opening: str = ""


def load_tokenizer(folder: Path, config: TokenizerJson) -> HfTokenizer:
    """The tokenizer of a folder. config: as transformers completes it. Raises ModelError."""
    from transformers import AutoTokenizer

    try:
        loaded: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        backend = getattr(loaded, "backend_tokenizer", None)
        tree: TokenizerJson = json.loads(backend.to_str()) if backend is not None else {}
        framed = loaded.encode(_PROBE)
        found = loaded.chat_template
    except Exception as error:  # whatever a library raises over foreign files
        raise _explain(folder, error) from error
    if not tree:
        raise ModelError(
            f"The tokenizer in {folder} has no fast form ({type(loaded).__name__}).",
            "Save it as tokenizer.json with transformers: AutoTokenizer.from_pretrained(…).save_pretrained(…).",
        )
    templates = found if isinstance(found, dict) else {"default": found} if isinstance(found, str) else {}
    size = config.get("vocab_size")
    named = find_ends(folder, config, loaded.eos_token_id)
    ends = tuple(token for token in named if not isinstance(size, int) or token < size)  # others are never written
    return HfTokenizer(
        tree,
        loaded.bos_token_id,
        loaded.eos_token_id,
        loaded.pad_token_id,
        dict(templates) or _read_processor_template(folder),
        ends,
        loaded.bos_token_id is not None and framed[:1] == [loaded.bos_token_id],
        loaded.eos_token_id is not None and framed[-1:] == [loaded.eos_token_id],
        _open_chat(loaded),
    )


def _open_chat(loaded: Any) -> str:
    try:
        return str(loaded.apply_chat_template([{"role": "user", "content": _PROBE}], tokenize=False))[:200]
    except Exception:  # noqa: BLE001 - a template may refuse any conversation, in any way it likes
        return ""


def find_ends(folder: Path, config: TokenizerJson, eos: int | None) -> tuple[int, ...]:
    """Every token that ends an answer: the tokenizer's own first, then those that the folder's settings name."""
    named = [eos]
    for settings in (_read_settings(folder / "generation_config.json"), config):
        value = settings.get("eos_token_id")
        named += value if isinstance(value, list) else [value]
    numbers = [token for token in named if isinstance(token, int) and not isinstance(token, bool) and token >= 0]
    return tuple(dict.fromkeys(numbers))


def _read_processor_template(folder: Path) -> dict[str, str]:
    """The template of chat_template.json, in which older processors keep it; transformers' tokenizers pass it over."""
    template = _read_settings(folder / "chat_template.json").get("chat_template")
    return {"default": template} if isinstance(template, str) and template else {}


def _read_settings(path: Path) -> TokenizerJson:
    """An optional JSON object; empty where there is none. Raises ModelError for one that is damaged."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {error}.", "Fetch the folder again.") from error
    return value if isinstance(value, dict) else {}


def _explain(folder: Path, error: Exception) -> ModelError:
    lone = next((name for name in _SENTENCEPIECE if is_regular(folder / name)), None)
    if lone and not is_regular(folder / "tokenizer.json") and (missing := _find_missing()):
        return ModelError(
            f"{folder} has its tokenizer as {lone} alone, and {' and '.join(missing)} to read it with is not there.",
            f"Install it (pip install {' '.join(missing)}), or fetch the folder's tokenizer.json.",
            str(error),
        )
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    return ModelError(
        f"The tokenizer in {folder} cannot be read: {reason}",
        "Fetch tokenizer.json and tokenizer_config.json again.",
        f"{type(error).__name__}: {error}"[:4000],
    )


def _find_missing() -> list[str]:
    """What transformers needs for a tokenizer.model, and this installation lacks."""
    needed = {"sentencepiece": "sentencepiece", "protobuf": "google"}
    return [name for name, module in needed.items() if importlib.util.find_spec(module) is None]
