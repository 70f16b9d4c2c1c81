"""An export: which prompt, bench or variant is meant, and the format that it is written in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench import paths
from workbench.datasets import Case, load_cases
from workbench.datasets.turns import first_turn
from workbench.errors import BenchError
from workbench.interop.decision import Decision
from workbench.interop.decision_export import DECISION_FORMS
from workbench.interop.exported import Exported, refuse_per_case
from workbench.interop.prompt_export import PROMPT_FORMS, PromptExport
from workbench.interop.promptfoo_export import export_promptfoo
from workbench.library.names import strip_suffix
from workbench.models.reference import find_applied, with_template_kwargs
from workbench.prompting.pictures import load_pictures
from workbench.runs.bench import Bench, Variant, load_bench, with_variants
from workbench.runs.generation import enabled_examples, with_pictures
from workbench.runs.opening import open_library
from workbench.runs.prompt_options import with_options
from workbench.runs.sources import find_sources
from workbench.settings import Settings

FORMS = ("promptfoo", *PROMPT_FORMS, *DECISION_FORMS)


def export(source: str, form: str, variant: str, case: int, settings: Settings) -> Exported:
    """What a bench file or a prompt's name becomes. Raises WorkbenchError for what the format cannot hold."""
    if form not in FORMS:
        raise BenchError(f"No such format: {form}.", f"Expected {', '.join(FORMS)}.")
    path = paths.expand(source)
    if path.is_file() and path.suffix in (".yaml", ".yml") and not path.name.endswith(".chain.yaml"):
        return _export_bench(path.absolute(), form, variant, case, settings)
    if form not in PROMPT_FORMS:
        raise BenchError(f"{form} needs a bench, and {source} is none.", "Name a bench file, and a --variant.")
    opened = open_library(settings).open(strip_suffix(source))
    return PROMPT_FORMS[form](PromptExport(opened.prompt, opened.prompt.examples, None, {}, opened.source, opened.path))


def _export_bench(path: Path, form: str, variant: str, case: int, settings: Settings) -> Exported:
    bench = load_bench(path)
    sources = find_sources(bench, path.parent, settings)
    cases: Sequence[Case] = load_cases(bench.dataset, path.parent) if bench.dataset else ()
    if form == "promptfoo":
        chosen = bench if not variant else _only(bench, variant)
        return export_promptfoo(chosen, cases, sources)
    own = find_variant(bench, variant)
    prompt = sources.open_prompt(own.prompt)
    refuse_per_case(own, prompt)
    examples = with_pictures(enabled_examples(own, prompt), prompt, path.parent)
    sampling = with_options(own.sampling, prompt, own.default_sampling)
    values = first_turn(cases[min(case, len(cases)) - 1]).values if cases else dict(bench.inputs)
    values = load_pictures(values, prompt.kinds, path.parent)
    if form in PROMPT_FORMS:
        opened = open_library(settings, bench, path.parent).open(own.prompt)
        return PROMPT_FORMS[form](PromptExport(prompt, examples, sampling, values, opened.source, opened.path))
    model = with_template_kwargs(sources.find_model(own.model), own.chat_template_kwargs)
    applied = tuple(one for one in find_applied(model, own.adapters, sources.find_adapters) if one.scale)
    return DECISION_FORMS[form](Decision(own.name, prompt, examples, model, applied, sampling, values))


def _only(bench: Bench, name: str) -> Bench:
    return with_variants(bench, (find_variant(bench, name),))


def find_variant(bench: Bench, name: str) -> Variant:
    """The variant of that name, or the only one. Raises BenchError that lists them."""
    names = [one.name for one in bench.variants]
    if not name and len(names) == 1:
        return bench.variants[0]
    if name not in names:
        asked = f"No variant is named {name!r}." if name else "The bench has several variants."
        raise BenchError(asked, f"Name one with --variant: {', '.join(names)}.")
    return bench.variants[names.index(name)]
