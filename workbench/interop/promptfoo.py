"""promptfooconfig.yaml: prompts, providers and tests. Nothing that it names is executed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench import files
from workbench.errors import FileError
from workbench.interop.bounded_files import BoundedFiles
from workbench.interop.loss import LossList
from workbench.interop.parts import ImportedModel, ImportedParts
from workbench.interop.promptfoo_prompts import RawPrompt, convert_prompt, list_prompts
from workbench.interop.promptfoo_tests import (
    MOST_CASES,
    CaseMaker,
    count_cases,
    expand_scenarios,
    list_tests,
    read_csv_tests,
    with_defaults,
)
from workbench.interop.yaml_text import parse_text
from workbench.units import format_plural

_CODE = {
    "extensions": "hooks in JavaScript or Python",
    "nunjucksFilters": "filters in JavaScript",
    "derivedMetrics": "metrics computed from others",
    "redteam": "red teaming",
    "tracing": "tracing",
}
OPTIONS = {
    "temperature": "temperature",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "num_predict": "max_tokens",
    "maxOutputTokens": "max_tokens",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "stop": "stop",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "repeat_penalty": "repetition_penalty",
}
"""promptfoo's name of a sampling field -> ours."""

_REFERENCES = 50


def looks_like_promptfoo(data: Any) -> bool:
    """Whether the values of a YAML file are a promptfoo configuration."""
    keys = set(data) if isinstance(data, Mapping) else set()
    return "prompts" in keys and bool(keys & {"tests", "providers", "targets", "scenarios", "defaultTest"})


def read_promptfoo(path: Path, judge: str = "") -> ImportedParts:
    """What a configuration holds. judge: a model for assertions that a model grades. Raises FileError."""
    data = parse_text(files.read_text(path), str(path))
    if not isinstance(data, Mapping):
        raise FileError(f"{path} is not a promptfoo configuration: expected keys, found {type(data).__name__}.")
    return _ConfigReader(path, _dereference(data, data, _REFERENCES), judge).read()


def read_promptfoo_csv(path: Path, judge: str = "") -> ImportedParts:
    """The tests of a CSV file by themselves."""
    parts = ImportedParts()
    tests = [
        {**test, "where": f"{path.name}, row {at}"} for at, test in enumerate(read_csv_tests(files.read_text(path)), 1)
    ]
    _add_cases(parts, tests, BoundedFiles(path.parent), {}, judge, rendered=True)
    return parts


def read_promptfoo_tests(path: Path, judge: str = "") -> ImportedParts:
    """The tests of a YAML, JSON or JSONL file by themselves."""
    parts = ImportedParts()
    folder = BoundedFiles(path.parent)
    tests = [with_defaults(test, {}) for test in list_tests([path.name], folder, parts.losses)]
    _add_cases(parts, tests, folder, {}, judge, rendered=True)
    return parts


class _ConfigReader:
    """One configuration on its way."""

    def __init__(self, path: Path, data: Mapping[str, Any], judge: str) -> None:
        self.data, self.judge = data, judge
        self.files = BoundedFiles(path.parent)
        self.parts = ImportedParts()
        self.losses: LossList = self.parts.losses
        environment = data.get("env")
        self.environment = dict(environment) if isinstance(environment, Mapping) else {}

    def read(self) -> ImportedParts:
        for key, reason in _CODE.items():
            if self.data.get(key):
                self.losses.lose("settings", reason, key)
        tests = self._list_tests()
        wrapped = any((test.get("options") or {}).get(key) for test in tests for key in ("prefix", "suffix"))
        raw = list_prompts(self.data.get("prompts"), self.files, self.losses)
        self.losses.count("prompts", len(raw) + sum(one.noun == "prompts" for one in self.losses.losses))
        self._add_prompts(raw, wrapped)
        self._add_models()
        rendered = any(len(prompt.messages) == 1 for prompt in self.parts.prompts)
        _add_cases(self.parts, tests, self.files, self.environment, self.judge, rendered, wrapped)
        self._note_printed()
        options = self.data.get("evaluateOptions") or {}
        repeat = options.get("repeat") if isinstance(options, Mapping) else None
        self.parts.repeats = repeat if isinstance(repeat, int) and repeat > 1 else 1
        return self.parts

    def _list_tests(self) -> list[dict[str, Any]]:
        default = self.data.get("defaultTest") or {}
        if isinstance(default, str):
            default = parse_text(self.files.read(default), default)
        if not isinstance(default, Mapping):
            raise FileError("defaultTest: expected keys.", "Correct the file.")
        scenarios = self.data.get("scenarios")
        tests = list_tests(self.data.get("tests"), self.files, self.losses)
        tests += expand_scenarios(scenarios, self.files, self.losses)
        if not tests and not scenarios:
            tests = [{"vars": {}, "where": "defaultTest"}]
        default_vars = default.get("vars") or {}
        return [with_defaults(test, {**default, "vars": default_vars}) for test in tests]

    def _add_prompts(self, raw: list[RawPrompt], wrapped: bool) -> None:
        for one in raw:
            prompt = convert_prompt(one, self.environment, self.losses, wrapped)
            if prompt is not None:
                self.parts.prompts.append(prompt)

    def _add_models(self) -> None:
        written = self.data.get("providers", self.data.get("targets"))
        listed = written if isinstance(written, list) else [] if written is None else [written]
        self.losses.count("providers", len(listed))
        for at, one in enumerate(listed, 1):
            self.parts.models.append(self._read_provider(one, f"providers[{at}]"))

    def _note_printed(self) -> None:
        """Lists and objects that a prompt prints as they are: JavaScript writes them otherwise."""
        held = {
            name
            for case in self.parts.cases
            for name, value in case.variables.items()
            if isinstance(value, (list, dict))
        }
        for prompt in self.parts.prompts:
            printed = {name for one in prompt.messages for name in re.findall(r"\{\{\s*(\w+)\s*\}\}", one.text)}
            for name in sorted(held & printed):
                self.losses.change("prompts", f"{name}, a list or an object, is printed as JSON", prompt.label)

    def _read_provider(self, one: Any, where: str) -> ImportedModel:
        if isinstance(one, str):
            one = {"id": one}
        if isinstance(one, Mapping) and "id" not in one and len(one) == 1:
            name, inner = next(iter(one.items()))
            one = {"id": name, **(inner if isinstance(inner, Mapping) else {})}
        if not isinstance(one, Mapping) or not isinstance(one.get("id"), str):
            self.losses.lose("providers", "a provider without an id", where)
            return ImportedModel("model")
        identity = str(one["id"])
        written = one.get("config")
        config: Mapping[str, Any] = written if isinstance(written, Mapping) else {}
        choice = _find_model(identity, config)
        if choice is None:
            self.losses.lose("providers", f"{identity}, for which a model of yours answers", where)
        options, left = _read_options(config)
        for key in left:
            self.losses.lose("settings of providers", key, where)
        if one.get("transform"):
            self.losses.lose("settings of providers", "a transform in JavaScript or Python", where)
        prompts = one.get("prompts")
        labels = tuple(map(str, prompts)) if isinstance(prompts, list) else None
        return ImportedModel(str(one.get("label") or identity), choice, options, labels)


def _add_cases(
    parts: ImportedParts,
    tests: list[dict[str, Any]],
    folder: BoundedFiles,
    environment: Mapping[str, Any],
    judge: str,
    rendered: bool,
    wrapped: bool = False,
) -> None:
    count = count_cases(tests, folder)
    if count > MOST_CASES:
        raise FileError(
            f"The lists of variables multiply out to"
            f" {format_plural(count, 'case')}; at most {MOST_CASES:,} are imported.",
            "Shorten a list.",
        )
    if count != len(tests):
        parts.notes.append(
            f"{format_plural(len(tests), 'test')} made {format_plural(count, 'case')}:"
            " lists of variables are multiplied out."
        )
    maker = CaseMaker(folder, environment, parts.losses, judge, rendered)
    for test in tests:
        parts.cases += maker.make(test, wrapped)


def _find_model(identity: str, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """How a bench names the model of a provider on a server; None where it is of a kind that we cannot ask."""
    kind, _, name = identity.partition(":")
    base = config.get("apiBaseUrl") or config.get("apiHost")
    address = str(base) if isinstance(base, str) and base.startswith("http") else ""
    key = {"key_env": str(config["apiKeyEnvar"])} if config.get("apiKeyEnvar") else {}
    plain = re.sub(r"^(chat|completion|responses):", "", name)
    if kind == "ollama":
        return {"remote": address or "http://127.0.0.1:11434", "dialect": "ollama", "model": plain}
    if kind == "openai" and plain:
        key = key or ({} if address else {"key_env": "OPENAI_API_KEY"})
        return {"remote": address or "https://api.openai.com/v1", "dialect": "openai", "model": plain, **key}
    if kind in ("vllm", "localai", "llama", "llamafile", "openrouter") and address:
        return {"remote": address, **({"model": plain} if plain else {}), **key}
    return None


def _read_options(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Sampling fields of a provider, and what else it sets."""
    known = {"apiBaseUrl", "apiHost", "apiKeyEnvar", "apiKey", "showThinking"}
    found = {OPTIONS[key]: value for key, value in config.items() if key in OPTIONS and value is not None}
    if isinstance(found.get("stop"), str):
        found["stop"] = [found["stop"]]
    left = [str(key) for key in config if key not in OPTIONS and key not in known]
    if "apiKey" in config:
        left.append("apiKey (a key is never copied; set its environment variable)")
    return found, left


def _dereference(value: Any, root: Any, left: int) -> Any:
    """The values with each `$ref: '#/…'` of the same file put in. Raises FileError for a circle or another file."""
    if isinstance(value, list):
        return [_dereference(one, root, left) for one in value]
    if not isinstance(value, Mapping):
        return value
    target = value.get("$ref")
    if isinstance(target, str):
        if left <= 0:
            raise FileError(f"`$ref: {target}` refers to itself.", "Correct the file.")
        if target.startswith("#/definitions") or target.startswith("#/$defs"):
            return dict(value)  # inside a JSON schema
        return _dereference(_look_up(target, root), root, left - 1)
    return {str(key): _dereference(one, root, left) for key, one in value.items()}


def _look_up(target: str, root: Any) -> Any:
    if not target.startswith("#/"):
        raise FileError(f"`$ref: {target}` names another file, which is not read.", "Copy it into this one.")
    found = root
    for part in target[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or key not in found:
            raise FileError(f"`$ref: {target}` is not in the file.", "Correct the file.")
        found = found[key]
    return found
