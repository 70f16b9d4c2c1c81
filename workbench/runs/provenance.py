"""What a variant's answers come from, in full, so that any of them can be run exactly so again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime
from importlib import metadata
from pathlib import Path

import msgspec

from workbench.datasets import Case
from workbench.errors import StoreError
from workbench.inference.types import Sampling
from workbench.models.model_info import is_dated
from workbench.models.projector import find_projector
from workbench.models.reference import Adapter, Applied, Format, Model, find_applied, with_template_kwargs
from workbench.models.vision import check_sees
from workbench.prompting.context_fit import Strategy
from workbench.prompting.prompt import Message, Prompt
from workbench.runs.bench import Variant
from workbench.runs.chain import StepCall, check_sampling, list_step_models
from workbench.runs.generation import GenerationSpec, shows_pictures
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.passage_source import PassageSource
from workbench.runs.perturbations import perturb
from workbench.runs.prompt_options import with_options
from workbench.runs.sources import Sources
from workbench.runs.tool_file import check_tool_code
from workbench.runs.tool_setup import ToolSetup
from workbench.scoring.local_code import LocalCode
from workbench.store.fingerprints import fingerprint
from workbench.store.store import Store

_WITH_PROJECTOR = "+mmproj:"

_LIBRARIES: dict[Format, tuple[str, ...]] = {"gguf": ("llama-cpp-python",), "hf": ("transformers", "torch")}


class ModelTrace(msgspec.Struct, frozen=True):
    """A model, and the fingerprint of its files; of a server's model, that of what the server says it is.

    That of a GGUF model that is shown pictures covers its projector.
    """

    model: Model
    fingerprint: str

    @property
    def path(self) -> Path:
        return self.model.path

    @property
    def location(self) -> str:
        return self.model.location

    def find_fingerprint(self, store: Store) -> str:
        """As it is now. Raises WorkbenchError."""
        return fingerprint_model(self.model, store, _WITH_PROJECTOR in self.fingerprint)


class AdapterTrace(msgspec.Struct, frozen=True):
    """An adapter as it was laid over the model, and the fingerprint of its files; a server's has its name's."""

    applied: Applied
    fingerprint: str

    @property
    def path(self) -> Path:
        return self.applied.adapter.path

    @property
    def location(self) -> str:
        return self.applied.adapter.location

    def find_fingerprint(self, store: Store) -> str:
        """As it is now. Raises WorkbenchError."""
        return fingerprint_adapter(self.applied.adapter, store)


class StepModel(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model that steps of a chain have of their own. name: as they call it."""

    name: str
    model: ModelTrace
    engine: str = ""


class Provenance(msgspec.Struct, frozen=True, omit_defaults=True):
    """What determines a variant's answer to a case.

    variant: as the bench had it. engine: what computed, with its version. passages: where they were retrieved from.
    step_models: of a chain's steps that have one of their own. tool_setup: what tools answer where a case says nothing
    of it; of prompts with tools. folder: from which pictures, and the file of its tools, are looked up; of prompts with
    some. tool_code: the Python file that answers calls, with what it loads.
    """

    variant: Variant
    prompt: Prompt
    model: ModelTrace
    adapters: tuple[AdapterTrace, ...] = ()
    strategy: Strategy = "refuse"
    engine: str = ""
    passages: PassageSource | None = None
    step_models: tuple[StepModel, ...] = ()
    tool_setup: ToolSetup = ToolSetup()
    folder: str = ""
    tool_code: LocalCode | None = None

    @property
    def base(self) -> Model:
        return self.model.model

    @property
    def applied(self) -> tuple[Applied, ...]:
        return tuple(one.applied for one in self.adapters)

    @property
    def sampling(self) -> Sampling:
        """The variant's, over what the prompt's file sets."""
        return with_options(self.variant.sampling, self.prompt, self.variant.default_sampling)

    def spec(self, case: Case, repeat: int = 0) -> GenerationSpec:
        """The question that a case asks, for the so-manieth time. case: with its passages, where some are retrieved."""
        variant = msgspec.structs.replace(self.variant, sampling=repeat_sampling(self.sampling, repeat))
        models = tuple((one.name, one.model.model) for one in self.step_models)
        spec = GenerationSpec.of(
            variant, self.prompt, case, self.strategy, self.base, self.applied, self.passages, models
        )
        code = self.tool_code.content if self.tool_code else ""
        return replace(spec, tool_setup=self.tool_setup, tool_code=code, folder=self.folder)

    def of_step(self, call: StepCall) -> Provenance:
        """What the answer to a call of a chain comes from; its case has the passages already. A model of the step's own
        has none of the adapters. Raises PromptError."""
        sampling = call.sampling(self.sampling)
        last = call.content.body == self.prompt.body and call.content.examples == self.prompt.examples
        off = self.variant.examples_off if last else ()
        variant = msgspec.structs.replace(self.variant, sampling=sampling, examples_off=off)
        own = msgspec.structs.replace(self, variant=variant, prompt=call.content, passages=None, step_models=())
        if not call.model:
            return own
        model = next(one for one in self.step_models if one.name == call.model)
        return msgspec.structs.replace(own, model=model.model, adapters=(), engine=model.engine)

    def encode(self) -> str:
        return msgspec.json.encode(self, enc_hook=str).decode()

    @classmethod
    def decode(cls, text: str) -> Provenance:
        """Raises StoreError for a text that says no such thing."""
        try:
            return msgspec.json.decode(text, type=cls, dec_hook=lambda kind, value: kind(value))
        except (msgspec.DecodeError, RecursionError, ValueError, TypeError) as error:
            raise StoreError(f"What a variant came from cannot be read: {error}.", "Run the bench again.") from error

    @classmethod
    def is_readable(cls, text: str) -> bool:
        try:
            cls.decode(text)
        except StoreError:
            return False
        return True

    def without_paths(self) -> Provenance:
        """The same without what may differ from machine to machine: paths, and the names of files."""
        model = _without_model_path(self.model)
        passages = self.passages.without_path() if self.passages else None
        steps = tuple(msgspec.structs.replace(one, model=_without_model_path(one.model)) for one in self.step_models)
        adapters = tuple(map(_without_path, self.adapters))
        bare = msgspec.structs.replace(self, model=model, adapters=adapters, passages=passages, step_models=steps)
        code = self.tool_code.without_paths() if self.tool_code else None
        return msgspec.structs.replace(bare, folder="", tool_code=code)

    def check(self, store: Store) -> None:
        """Raise StoreError when the model or an adapter is no longer what it was."""
        check_tool_code(self.tool_code, self.tool_setup, Path(self.folder))
        steps = (one.model for one in self.step_models)
        traces: tuple[ModelTrace | AdapterTrace, ...] = (self.model, *self.adapters, *steps)
        for one in traces:
            if one.find_fingerprint(store) != one.fingerprint:
                raise StoreError(
                    f"{one.location} has changed since: what {self.variant.name} answered with it cannot be run again.",
                    "Put the old one back, or start a new run.",
                )


def _without_model_path(one: ModelTrace) -> ModelTrace:
    return msgspec.structs.replace(one, model=msgspec.structs.replace(one.model, name="", path=Path(), mmproj=None))


def _without_path(one: AdapterTrace) -> AdapterTrace:
    """A server's adapter is known by its name."""
    adapter = one.applied.adapter
    bare = msgspec.structs.replace(adapter, path=Path(), name=adapter.name if adapter.format == "remote" else "")
    return msgspec.structs.replace(one, applied=msgspec.structs.replace(one.applied, adapter=bare))


def trace(
    variant: Variant, sources: Sources, strategy: Strategy, store: Store, finder: PassageFinder | None = None
) -> Provenance:
    """What a variant's answers will come from. Raises WorkbenchError when a part of it cannot be found.

    finder: reads the corpus of a variant that retrieves. Reads large files the first time, to know them by their
    content.
    """
    prompt = _perturbed_prompt(variant, sources.open_prompt(variant.prompt))
    check_sampling(prompt, variant.sampling, variant.default_sampling)
    model = _fix_date(with_template_kwargs(sources.find_model(variant.model), variant.chat_template_kwargs))
    applied = find_applied(model, variant.adapters, sources.find_adapters)
    return Provenance(
        variant,
        prompt.without_header(),
        trace_model(model, store, shows_pictures(prompt)),
        tuple(trace_adapter(one, store) for one in applied),
        strategy,
        name_engine(model.format),
        _trace_passages(sources.find_passages(variant, prompt), finder, store),
        tuple(_trace_step_model(name, sources, store) for name in list_step_models(prompt)),
    )


def _trace_step_model(name: str, sources: Sources, store: Store) -> StepModel:
    model = _fix_date(sources.find_model(name))
    return StepModel(name, trace_model(model, store), name_engine(model.format))


def _trace_passages(source: PassageSource | None, finder: PassageFinder | None, store: Store) -> PassageSource | None:
    if source is None:
        return None
    assert finder is not None

    def fingerprint_embedder(source: PassageSource) -> str:
        assert source.embedder is not None
        return fingerprint_model(source.embedder, store)

    return finder.fix(source, fingerprint_embedder)


def _fix_date(model: Model) -> Model:
    """A template that writes the day asks another question each day: the run keeps its own, so that an answer is
    cached under the day it was asked on, and a run that is gone on with tomorrow asks the same."""
    known = json.loads(model.chat_template_kwargs) if model.chat_template_kwargs else {}
    if "date" in known or not is_dated(model):
        return model
    return with_template_kwargs(model, {"date": datetime.now().date().isoformat()})


def _perturbed_prompt(variant: Variant, prompt: Prompt) -> Prompt:
    """The prompt as the variant's perturbation has it, over the examples that it shows."""
    if variant.perturbation is None:
        return prompt
    shown = tuple(example for example in prompt.examples if example.id not in variant.examples_off)
    return perturb(msgspec.structs.replace(prompt, examples=shown), variant.perturbation)


def trace_model(model: Model, store: Store, pictures: bool = False) -> ModelTrace:
    """A model with its fingerprint. Asks the server of a remote one. pictures: it is shown some.

    Raises WorkbenchError, also for a model that cannot see them.
    """
    placed = model if model.remote else msgspec.structs.replace(model, path=model.path.absolute())
    if pictures:
        check_sees(placed)
    return ModelTrace(placed, fingerprint_model(placed, store, pictures))


def fingerprint_model(model: Model, store: Store, pictures: bool = False) -> str:
    """The digest of a model's files, or of what its server says that it is."""
    if model.remote is None:
        own = fingerprint(store, model.path)
        if not pictures or model.format != "gguf":
            return own
        return f"{own}{_WITH_PROJECTOR}{fingerprint(store, find_projector(model))}"
    from workbench.inference.remote.identity import identify

    return identify(model)


def fingerprint_adapter(adapter: Adapter, store: Store) -> str:
    """The digest of an adapter's files; a server's is part of what the server says of its model."""
    return f"server:{adapter.name}" if adapter.format == "remote" else fingerprint(store, adapter.path)


def repeat_sampling(sampling: Sampling, repeat: int) -> Sampling:
    """How a repeat draws: with a seed of its own, where a seed decides anything."""
    if sampling.seed is None or sampling.temperature == 0:
        return sampling
    return msgspec.structs.replace(sampling, seed=sampling.seed + repeat)


def digest_question(
    model: ModelTrace,
    adapters: tuple[AdapterTrace, ...],
    messages: tuple[Message, ...],
    mode: str,
    sampling: Sampling,
    engine: str,
    repeat: int = 0,
    strategy: str = "",
) -> bytes | None:
    """A fingerprint of everything that determines an answer; None where chance does.

    strategy: what else decides which messages are sent.
    """
    if sampling.temperature > 0 and sampling.seed is None:
        return None
    drawn = sampling if sampling.temperature > 0 else msgspec.structs.replace(sampling, seed=0)
    applied = sorted((one.fingerprint, one.applied.scale) for one in adapters if one.applied.scale)
    own = model.model
    opened = msgspec.structs.replace(
        own, name="", path=Path(), context_tokens=None, mmproj=None, offload=own.offload.numeric, device_map=""
    )  # which device computes is not asked, as it is not asked which processor does
    shown = tuple(map(_without_picture_names, messages))
    parts = (opened, model.fingerprint, applied, shown, mode, drawn, engine, repeat, strategy)
    packed = msgspec.json.encode(parts, enc_hook=str, order="deterministic")
    return hashlib.blake2b(packed, digest_size=16).digest()


def _without_picture_names(message: Message) -> Message:
    """What a model sees of a message: not what a file was called."""
    if not message.pictures:
        return message
    return msgspec.structs.replace(message, pictures=tuple(one.without_name for one in message.pictures))


def name_engine(kind: Format) -> str:
    """What computes answers of such models, with its version."""
    libraries = _LIBRARIES.get(kind, ())
    return " ".join(f"{name} {metadata.version(name)}" for name in libraries) or kind


def trace_adapter(applied: Applied, store: Store) -> AdapterTrace:
    adapter = applied.adapter
    if adapter.format != "remote":
        adapter = msgspec.structs.replace(adapter, path=adapter.path.absolute())
    return AdapterTrace(msgspec.structs.replace(applied, adapter=adapter), fingerprint_adapter(adapter, store))
