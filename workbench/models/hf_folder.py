"""What a Hugging Face folder says of its model, without loading the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.errors import ModelError
from workbench.models.reference import ModelInfo
from workbench.models.safetensors_header import TensorEntry, read_tensors
from workbench.models.untrusted_files import check_name, find_unfinished, is_regular, read_object, shorten

INDEX = "model.safetensors.index.json"
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "tekken.json")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt")
_USUAL_CONTEXT_TOKENS = 8192
LONGEST_NAME = 100
"""Characters of an architecture's name."""


def inspect_folder(path: Path) -> ModelInfo:
    """What the folder's config and headers say. Raises ModelError that names everything that is missing."""
    check_name(path)
    config = read_config(path)
    problems: list[str] = []
    hint = "Fetch the folder again, whole."
    files = find_weights(path, problems)
    if not files and (pickled := sorted(name for name in _list(path) if name.endswith(_PICKLED))):
        problems = [f"its weights are pickled ({', '.join(pickled[:3])}), and opening such a file can run any code"]
        hint = f"If you trust it, convert it to safetensors: workbench convert {path} {path}-safe --allow-pickle"
    if not any(is_regular(path / name) for name in _TOKENIZERS):
        problems.append("tokenizer.json is missing")
    if problems:
        raise ModelError(f"{path} cannot be used: {'; '.join(problems)}.", hint)
    headers = [read_tensors(file) for file in files]
    tensors = {name: tensor for header in headers for name, tensor in header.tensors.items()}
    return _describe(path, config, tensors, sum(header.file_bytes for header in headers))


def read_config(path: Path) -> dict[str, Any]:
    """The folder's config.json. Raises ModelError."""
    file = path / "config.json"
    if not is_regular(file):
        raise ModelError(
            f"{path} has no config.json that can be read.",
            "A model's folder holds config.json, model.safetensors and tokenizer.json.",
        )
    config = read_object(file, "Fetch the folder again.")
    if not isinstance(config.get("model_type"), str):
        raise ModelError(f"{file} does not name its model_type.", "Fetch the folder again.")
    if len(config["model_type"]) > LONGEST_NAME:
        raise ModelError(f"{file} names no model_type that there could be.", "Fetch the folder again.")
    return config


def find_weights(path: Path, problems: list[str]) -> list[Path]:
    """The folder's safetensors files, in order; what is missing is added to the problems."""
    single = path / "model.safetensors"
    if is_regular(single):
        return [single]
    if not is_regular(path / INDEX):
        problems.append(f"there are no weights (model.safetensors){_name_unfinished(path, single.name)}")
        return []
    try:
        names = sorted(set(map(str, read_object(path / INDEX)["weight_map"].values())))
    except (ModelError, KeyError, AttributeError):
        problems.append(f"{INDEX} cannot be read")
        return []
    outside = [name for name in names if Path(name).name != name]
    missing = [name for name in names if name not in outside and not is_regular(path / name)]
    if outside:
        problems.append(f"{INDEX} points outside the folder ({shorten(outside[0])})")
    if missing:
        problems.append(
            f"parts of the weights are missing: {', '.join(map(shorten, missing[:5]))}"
            + _name_unfinished(path, missing[0])
        )
    return [path / name for name in names if name not in outside and name not in missing]


def _name_unfinished(path: Path, name: str) -> str:
    """What tells that a file is still being fetched, as the end of a sentence; empty where nothing does."""
    entries = _list(path)
    cached = path.parent.parent / "blobs"  # the Hugging Face cache keeps them elsewhere until they are whole
    if path.parent.name == "snapshots":
        entries += [name for name in _list(cached) if name.endswith(".incomplete")]
    found = find_unfinished(name, entries) or next((one for one in entries if one.endswith(".incomplete")), None)
    return f"; a download has not finished ({found})" if found else ""


def _list(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


def _describe(path: Path, config: dict[str, Any], tensors: dict[str, TensorEntry], file_bytes: int) -> ModelInfo:
    text = config.get("text_config") if isinstance(config.get("text_config"), dict) else config
    assert isinstance(text, dict)
    kind = _main_type(tensors)
    trained = next((found for key in ("max_position_embeddings", "n_positions") if (found := _integer(text, key))), 0)
    cell = _kv_bytes_per_token(text, 4 if kind == "F32" else 2)
    return ModelInfo(
        architecture=str(config["model_type"]),
        quantization=_method(config) or kind,
        parameters=sum(tensor.elements for tensor in tensors.values()),
        file_bytes=file_bytes,
        context_trained_tokens=trained,
        vocabulary=_integer(text, "vocab_size"),
        has_chat_template=_has_template(path),
        memory_bytes=file_bytes + cell * min(trained or _USUAL_CONTEXT_TOKENS, _USUAL_CONTEXT_TOKENS),
        kv_bytes_per_token=cell,
    )


def _main_type(tensors: dict[str, TensorEntry]) -> str:
    elements: dict[str, int] = {}
    for tensor in tensors.values():
        elements[tensor.dtype] = elements.get(tensor.dtype, 0) + tensor.elements
    return max(elements, key=lambda kind: elements[kind]) if elements else "unknown"


def _method(config: dict[str, Any]) -> str:
    quantized = config.get("quantization_config")
    return str(quantized.get("quant_method", "")) if isinstance(quantized, dict) else ""


def _kv_bytes_per_token(config: dict[str, Any], number_bytes: int) -> int:
    """Bytes of KV cache that one token takes; an upper estimate for mixed architectures."""
    layers = _integer(config, "num_hidden_layers") or _integer(config, "n_layer")
    heads = _integer(config, "num_attention_heads") or _integer(config, "n_head") or 1
    width = _integer(config, "hidden_size") or _integer(config, "n_embd")
    groups = _integer(config, "num_key_value_heads") or heads
    return layers * groups * (_integer(config, "head_dim") or width // heads) * 2 * number_bytes


def _has_template(path: Path) -> bool:
    if is_regular(path / "chat_template.jinja") or is_regular(path / "chat_template.json"):
        return True
    try:
        return bool(read_object(path / "tokenizer_config.json").get("chat_template"))
    except ModelError:
        return False


def _integer(config: dict[str, Any], key: str) -> int:
    value = config.get(key)
    return value if isinstance(value, int) and 0 <= value < 1 << 40 else 0


def read_effective_config(folder: Path) -> dict[str, Any]:
    """Everything that the model is built from. Raises ModelError."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CLASSES

    stored = read_config(folder)
    try:
        config: dict[str, Any] = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        ).to_dict()
    except Exception as error:  # whatever a library raises over foreign files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise ModelError(
            f"{folder / 'config.json'} describes no model that transformers knows: {reason}",
            "Fetch the folder again, or a GGUF file of this model.",
            f"{type(error).__name__}: {error}"[:4000],
        ) from error
    if not stored.get("architectures"):
        config["architectures"] = [CLASSES.get(stored["model_type"], stored["model_type"])]
    return config
