"""A bench written as a promptfoo configuration: prompts, providers, and tests with their assertions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.datasets import Case
from workbench.errors import WorkbenchError
from workbench.inference.types import Sampling
from workbench.interop.exported import Exported, list_messages, refuse_per_case, rename_options
from workbench.interop.nunjucks import UntranslatableError, translate
from workbench.interop.prompt_export import list_options
from workbench.interop.promptfoo import OPTIONS
from workbench.library.formats.sections import Section
from workbench.models.reference import Model
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import Bench, Variant
from workbench.runs.generation import enabled_examples
from workbench.runs.prompt_options import with_options
from workbench.runs.sources import Sources
from workbench.yaml_render import render_block

MOST_CASES = 10_000
NOUN = "scorers"


def export_promptfoo(bench: Bench, cases: Sequence[Case], sources: Sources) -> Exported:
    """The bench's variants and cases. What promptfoo cannot do is in the losses."""
    found = Exported()
    prompts: dict[str, str] = {}
    providers: dict[str, dict[str, Any]] = {}
    for variant in bench.variants:
        if variant.has_adapter:  # the base's answers would stand for its own
            found.losses.lose("variants", "an adapter: serve the model with it, and name that server", variant.name)
            continue
        try:
            prompt = sources.open_prompt(variant.prompt)
            refuse_per_case(variant, prompt)
            label = _add_prompt(variant, prompt, prompts, found)
            sampling = with_options(variant.sampling, prompt, variant.default_sampling)
            _add_provider(variant, sampling, sources.find_model(variant.model), label, providers, found)
        except (WorkbenchError, UntranslatableError) as error:
            reason = error.message if isinstance(error, WorkbenchError) else f"its template uses {error}"
            found.losses.lose("variants", reason, variant.name)
    found.losses.count("variants", len(bench.variants))
    config: dict[str, Any] = {
        "prompts": [{"id": f"file://{name}", "label": label} for label, name in prompts.items()],
        "providers": list(providers.values()),
    }
    default = [one for scorer in bench.scorers if (one := _write_scorer(scorer, found, "the bench")) is not None]
    if default:
        config["defaultTest"] = {"assert": default}
    tests = [_write_test(case, found) for case in cases[:MOST_CASES]]
    if len(cases) > MOST_CASES:
        found.losses.lose("cases", f"only the first {MOST_CASES:,} are written", "the dataset")
    if tests:
        config["tests"] = tests
    if bench.repeats > 1:
        config["evaluateOptions"] = {"repeat": bench.repeats}
    found.files = {"promptfooconfig.yaml": render_block(config), **found.files}
    return found


def _add_prompt(variant: Variant, prompt: Prompt, prompts: dict[str, str], found: Exported) -> str:
    """The label of the variant's prompt, whose file is added: a text as it is, a conversation as JSON."""
    sections = list_messages(prompt, enabled_examples(variant, prompt))
    for section in sections:
        translate(section.text)
    label = re.sub(r"[^\w.-]+", "-", prompt.name if not prompt.examples else f"{prompt.name}-{variant.name}")
    single = len(sections) == 1 and sections[0].role == "user"
    name = f"prompts/{label}.{'j2' if single else 'json'}"
    found.files[name] = sections[0].text if single else write_chat(sections)
    prompts[label] = name
    return label


def write_chat(sections: Sequence[Section]) -> str:
    """A conversation as promptfoo reads it: JSON whose strings are templates."""
    return json.dumps([{"role": role, "content": text} for role, text in sections], ensure_ascii=False, indent=2) + "\n"


def _add_provider(
    variant: Variant,
    sampling: Sampling,
    model: Model,
    label: str,
    providers: dict[str, dict[str, Any]],
    found: Exported,
) -> None:
    config, left = rename_options(list_options(sampling), OPTIONS)
    for option in left:
        found.losses.lose("settings", option, variant.name)
    if model.remote is None:
        identity = f"openai:chat:{model.name}"
        config = {"apiBaseUrl": "http://127.0.0.1:8080/v1", "apiKey": "none", **config}
        note = f"{model.name} is asked at http://127.0.0.1:8080: start `llama-server -m {model.path}` first."
        if note not in found.notes:
            found.notes.append(note)
    elif model.remote.dialect == "ollama":
        identity = f"ollama:chat:{model.remote.model or model.name}"
    else:
        identity = f"openai:chat:{model.remote.model or model.name}"
        config = {"apiBaseUrl": f"{model.remote.urls[0].rstrip('/')}/v1", "apiKeyEnvar": model.remote.key_env, **config}
    key = f"{identity} {json.dumps(config, sort_keys=True)}"
    known = providers.setdefault(key, {"id": identity, "label": f"{variant.name}", "config": config, "prompts": []})
    if label not in known["prompts"]:
        known["prompts"].append(label)


def _write_test(case: Case, found: Exported) -> dict[str, Any]:
    variables = {name: _read(value, name in case.typed) for name, value in case.variables.items()}
    if case.expected is not None:
        variables["expected"] = case.expected
    options = {"options": {"disableVarExpansion": True}} if any(isinstance(v, list) for v in variables.values()) else {}
    test: dict[str, Any] = {"vars": {name: _escape(value) for name, value in variables.items()}, **options}
    if case.checks.strip():
        try:
            value = json.loads(case.checks)
        except ValueError:
            value = []
        parts = value if isinstance(value, list) else value.get("parts", [])
        asserts = [one for part in parts if (one := _write_scorer(part, found, f"case {case.number}")) is not None]
        if asserts:
            test["assert"] = asserts
        if isinstance(value, Mapping) and value.get("threshold"):
            test["threshold"] = value["threshold"]
    return test


def _read(text: str, typed: bool) -> Any:
    try:
        return json.loads(text) if typed else text
    except ValueError:
        return text


def _escape(value: Any) -> Any:
    """A text that promptfoo does not take for a template: what it renders is this text."""
    if isinstance(value, str) and re.search(r"\{[{%#]", value):
        return f"{{% raw %}}{value}{{% endraw %}}"
    return value


def _write_scorer(entry: Any, found: Exported, where: str) -> dict[str, Any] | None:
    """The assertion of a scorer or a check; None, with a loss, where promptfoo has none."""
    name, options = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
    options = options or {}
    if name == "checks" and "parts" not in options:
        return None  # the cases' own, which stand with them
    found.losses.count(NOUN)
    made = _make_assertion(name, options, found, where)
    if made is None or options.get("extract") or options.get("extract_expected"):
        found.losses.lose(NOUN, name if made is None else f"{name} with an extraction", where)
        return None
    if options.get("negate"):
        made["type"] = f"not-{made['type']}"
    for key in ("weight", "metric"):
        if key in options:
            made[key] = options[key]
    return made


def _make_assertion(name: str, options: Mapping[str, Any], found: Exported, where: str) -> dict[str, Any] | None:
    expected = options.get("expected", "{{expected}}")
    threshold = options.get("threshold")
    strict = bool(options.get("strict"))
    if name == "exact_match":
        if not strict:
            found.losses.change(NOUN, "exact_match ignores spaces around the answer, equals does not", where)
        return {"type": "equals", "value": _escape_expected(expected)}
    if name == "contains":
        return _make_contains(options, strict, found, where)
    if name == "regex" and options.get("compare") is False:
        return {
            "type": "regex",
            "value": str(options["pattern"]).removeprefix("(?a)").replace(r"\Z", "$").replace(r"\A", "^"),
        }
    if name in ("json_valid", "json_schema"):
        kind = "contains-json" if options.get("anywhere") else "is-json"
        return {"type": kind, **({"value": options["schema"]} if isinstance(options.get("schema"), dict) else {})}
    if name == "edit_distance" and threshold is not None:
        return {"type": "levenshtein", "value": _escape_expected(expected), "threshold": threshold}
    if name == "latency" and threshold is not None:
        return {"type": "latency", "threshold": threshold * 1000}
    if name == "cost" and threshold is not None:
        return {"type": "cost", "threshold": threshold}
    if name == "judge":
        found.losses.change(NOUN, "judge is asked by promptfoo's own prompt", where)
        return {"type": "llm-rubric", "value": options.get("rubric", "")}
    if name == "checks":
        parts = [one for part in options["parts"] if (one := _write_scorer(part, found, where)) is not None]
        limit = {"threshold": options["threshold"]} if "threshold" in options else {}
        return {"type": "assert-set", "assert": parts, **limit} if parts else None
    return None


def _make_contains(options: Mapping[str, Any], strict: bool, found: Exported, where: str) -> dict[str, Any] | None:
    if not strict:
        found.losses.change(NOUN, "contains ignores runs of spaces, icontains does not", where)
    folded = "" if strict and not options.get("ignore_case") else "i"
    at = options.get("at", "anywhere")
    if at == "start" and not folded and "text" in options:
        return {"type": "starts-with", "value": _escape_expected(options["text"])}
    if at != "anywhere":
        return None
    for key, kind in (("all_of", "contains-all"), ("any_of", "contains-any")):
        if options.get(key):
            return {"type": folded + kind, "value": [_escape_expected(one) for one in options[key]]}
    return {"type": f"{folded}contains", "value": _escape_expected(options.get("text", "{{expected}}"))}


def _escape_expected(value: Any) -> Any:
    return value if value == "{{expected}}" else _escape(value[0] if isinstance(value, list) and value else value)
