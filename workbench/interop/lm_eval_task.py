"""lm-eval's task YAML, where it is plain: Jinja templates over a file of this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench import files
from workbench.errors import FileError
from workbench.interop.bounded_files import BoundedFiles
from workbench.interop.parts import ImportedMessage, ImportedParts, ImportedPrompt
from workbench.interop.yaml_text import parse_text

_METRICS: dict[str, Any] = {
    "exact_match": "exact_match",
    "acc": "exact_match",
    "f1": "token_f1",
    "bleu": "bleu",
    "chrf": "chrf",
    "rougeL": "rougeL",
}
_GENERATION = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "max_gen_toks": "max_tokens"}
_QUIET = re.compile(
    r"task|tag|group|task_alias|dataset_\w+|\w+_split|output_type|doc_to_\w+|generation_kwargs|metric_list|metadata"
    r"|description|target_delimiter|num_fewshot|repeats|gen_prefix"
)


def looks_like_lm_eval(data: Any) -> bool:
    """Whether the values of a YAML file are a task."""
    return isinstance(data, Mapping) and "doc_to_text" in data and "doc_to_target" in data


def read_lm_eval(path: Path) -> ImportedParts:
    """The task in a file: its prompt, its data by reference, its metrics. Raises FileError."""
    data = parse_text(re.sub(r"!function\s+[\w.]+", "'!function'", files.read_text(path)), str(path))
    if not looks_like_lm_eval(data):
        raise FileError(f"{path} is not a task of lm-eval: expected doc_to_text and doc_to_target.")
    parts = ImportedParts()
    parts.losses.count("prompts")
    for key, value in data.items():
        if value == "!function":
            parts.losses.lose("keys", "a function in Python, which is not run", str(key))
        elif not _QUIET.fullmatch(str(key)):
            parts.losses.lose("keys", str(key), path.name)
    kind = data.get("output_type", "generate_until")
    if kind not in ("generate_until", "multiple_choice"):
        parts.losses.lose("tasks", f"output_type {kind}", path.name)
    text = data["doc_to_text"]
    if text == "!function" or not isinstance(text, str):
        parts.losses.lose("prompts", "doc_to_text is a function", path.name)
        return parts
    parts.prompts.append(_make_prompt(data, path, parts))
    _add_dataset(data, path, parts)
    _add_scorers(data, kind, parts, path.name)
    return parts


def _make_prompt(data: Mapping[str, Any], path: Path, parts: ImportedParts) -> ImportedPrompt:
    asked = _as_template(str(data["doc_to_text"]))
    before = data.get("description")
    body = (str(before) if isinstance(before, str) and before != "!function" else "") + asked
    body += str(data.get("gen_prefix") or "")
    prompt = ImportedPrompt(str(data.get("task") or path.stem), (ImportedMessage("user", body),), mode="completion")
    if data.get("num_fewshot"):
        parts.losses.lose("settings", "few-shot examples drawn by lm-eval: add your own to the prompt", path.name)
    generation = data.get("generation_kwargs")
    for key, value in generation.items() if isinstance(generation, Mapping) else ():
        if key == "until":
            prompt.options["stop"] = [value] if isinstance(value, str) else value
        elif key in _GENERATION:
            prompt.options[_GENERATION[key]] = value
        elif key != "do_sample":
            parts.losses.lose("settings", f"generation_kwargs.{key}", path.name)
    return prompt


def _as_template(text: str) -> str:
    """A bare name is a column."""
    return f"{{{{ {text} }}}}" if re.fullmatch(r"[A-Za-z_]\w*", text) else text


def _add_dataset(data: Mapping[str, Any], path: Path, parts: ImportedParts) -> None:
    target = data["doc_to_target"]
    column = re.fullmatch(r"(?:\{\{\s*)?([A-Za-z_]\w*)(?:\s*\}\})?", target) if isinstance(target, str) else None
    if column is None:
        parts.losses.lose("keys", "doc_to_target, which is more than a column", path.name)
    name = _find_data(data)
    if not name:
        parts.losses.lose("datasets", f"{data.get('dataset_path')}, which is not a file of this machine", path.name)
        return
    found = BoundedFiles(path.parent).resolve(name)
    parts.dataset = {"path": str(found.absolute()), **({"expected": column[1]} if column else {})}


def _find_data(data: Mapping[str, Any]) -> str:
    """The file of the test split; empty where it is fetched from elsewhere."""
    options = data.get("dataset_kwargs")
    named = options.get("data_files") if isinstance(options, Mapping) else None
    if isinstance(named, Mapping):
        named = named.get(data.get("test_split") or "test") or next(iter(named.values()), None)
    named = named[0] if isinstance(named, list) and named else named
    return str(named) if isinstance(named, str) and "://" not in named else ""


def _add_scorers(data: Mapping[str, Any], kind: str, parts: ImportedParts, where: str) -> None:
    if kind == "multiple_choice":
        choices = data.get("doc_to_choice")
        if isinstance(choices, list):
            parts.scorers.append({"accuracy": {"labels": list(map(str, choices)), "within": True}})
            parts.losses.change("tasks", "the choice is read from the answer, not from likelihoods", where)
        else:
            parts.losses.lose("tasks", "choices of each row: see the scorer multiple_choice", where)
    for metric in data.get("metric_list") or ():
        name = metric.get("metric") if isinstance(metric, Mapping) else metric
        scorer = _METRICS.get(str(name))
        parts.losses.count("metrics")
        if scorer is None or (isinstance(metric, Mapping) and "!function" in map(str, metric.values())):
            parts.losses.lose("metrics", str(name), where)
        elif kind != "multiple_choice":
            parts.scorers.append(_make_metric(scorer, metric))


def _make_metric(scorer: str, metric: Any) -> Any:
    options = metric if isinstance(metric, Mapping) else {}
    wanted = {"ignore_case": "ignore_case", "ignore_punctuation": "ignore_punctuation"}
    found = {ours: True for theirs, ours in wanted.items() if scorer == "exact_match" and options.get(theirs) is True}
    return {scorer: found} if found else scorer
