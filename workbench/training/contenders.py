"""What a verdict compares: a bench's hand-written prompts, an optimized prompt, an adapter."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench.errors import TrainingError, WorkbenchError
from workbench.library.versions import digest_prompt
from workbench.models.discovery import default_folders, discover_adapters
from workbench.models.reference import resolve_adapters
from workbench.runs.bench import AdapterChoice, Bench, Variant
from workbench.runs.cost import Price
from workbench.runs.sources import Sources
from workbench.settings import Settings
from workbench.training.manifest import Manifest
from workbench.training.registry import Registry
from workbench.training.search_record import SearchRecord, list_records
from workbench.training.verdict import Contender


class VerdictRequest(NamedTuple):
    """adapter: "": the bench's own, else the newest that fits. concurrency: of requests; latency is measured on a
    few cases afterwards, one at a time. limit: the first so many cases, 0 for all. curve: number of training rows ->
    adapter; with any, numbers of shots are run as well. price: of every model, instead of the bench's. optimized: a
    prompt of the library; "": the bench's own, else that of the newest search on the bench. without: what is not
    compared."""

    bench: Path
    adapter: str = ""
    concurrency: int = 4
    limit: int = 0
    curve: Mapping[int, str] = {}
    price: Price | None = None
    optimized: str = ""
    without: tuple[Contender, ...] = ()


class JudgedAdapter(NamedTuple):
    """The adapter of a verdict. manifest: None where it was not trained here."""

    name: str
    path: Path
    manifest: Manifest | None = None


class OptimizedPrompt(NamedTuple):
    """The optimized prompt of a verdict. record: of its search; None where that is unknown. edited: since then."""

    variant: Variant
    record: SearchRecord | None
    edited: bool = False


class Contenders(NamedTuple):
    """prompts: the hand-written ones. At least one of the others is there."""

    prompts: tuple[Variant, ...]
    optimized: OptimizedPrompt | None
    adapter: JudgedAdapter | None


def find_contenders(wanted: VerdictRequest, bench: Bench, sources: Sources, settings: Settings) -> Contenders:
    """What a bench has to compare. Raises TrainingError where that is too little, WorkbenchError for unknown names."""
    return _ContenderSearch(wanted, bench, sources, settings).find()


class _ContenderSearch:
    def __init__(self, wanted: VerdictRequest, bench: Bench, sources: Sources, settings: Settings) -> None:
        self._wanted = wanted
        self._path = wanted.bench.absolute()
        self._bench = bench
        self._sources = sources
        self._settings = settings
        self._records = list_records()
        # an oracle is shown what the answer stands in: nothing that could be used compares with it
        honest = tuple(one for one in bench.variants if one.retrieval is None or one.retrieval.by != "oracle")
        self._bare = tuple(one for one in honest if not any(a.on and a.scale for a in one.adapters))
        self._prompts = tuple(one for one in self._bare if not self._is_optimized(one.prompt))

    def find(self) -> Contenders:
        name, without = self._path.name, self._wanted.without
        if not self._bare:
            raise TrainingError(
                f"{self._path} has no variant without an adapter, so there is no prompt to compare with.",
                "Add the prompt alone as a variant.",
            )
        if not self._prompts:
            raise TrainingError(
                f"Every prompt of {name} is an optimized one: there is no hand-written one to compare with.",
                "Add the prompt that the search started from as a variant.",
            )
        optimized = self._find_optimized() if "optimized" not in without else None
        adapter = self._find_adapter(optimized is not None) if "adapter" not in without else None
        if optimized is None and adapter is None:
            raise TrainingError(
                f"{name} has neither an optimized prompt nor an adapter to compare.",
                "Optimize a prompt with O on its pane, or leave out less.",
            )
        return Contenders(self._prompts, optimized, adapter)

    def _is_optimized(self, prompt: str) -> bool:
        return prompt == self._wanted.optimized or any(record.prompt == prompt for record in self._records)

    def _find_optimized(self) -> OptimizedPrompt | None:
        """The one asked for, else the bench's first, else that of the newest search on the bench that wrote one."""
        wanted = self._wanted.optimized
        own = next(
            (one for one in self._bare if one.prompt == wanted or (not wanted and self._is_optimized(one.prompt))), None
        )
        if own is not None or wanted:
            name = own.prompt if own is not None else wanted
            record = next((record for record in self._records if record.prompt == name), None)
            variant = own or self._replace_prompt(name, record.parent if record else "")
            return self._open_optimized(variant, record)
        for record in self._records:
            if record.prompt and record.bench == str(self._path):
                with contextlib.suppress(WorkbenchError):  # deleted since
                    return self._open_optimized(self._replace_prompt(record.prompt, record.parent), record)
        return None

    def _replace_prompt(self, prompt: str, parent: str) -> Variant:
        """The parent's variant with another prompt."""
        source = next((one for one in self._prompts if one.prompt == parent), self._prompts[0])
        taken = {one.name for one in self._bench.variants}
        name = "optimized prompt" if "optimized prompt" not in taken else f"optimized prompt {prompt}"
        return msgspec.structs.replace(source, name=name, prompt=prompt, examples_off=())

    def _open_optimized(self, variant: Variant, record: SearchRecord | None) -> OptimizedPrompt:
        """Raises WorkbenchError where the library has no such prompt."""
        digest = digest_prompt(self._sources.open_prompt(variant.prompt))
        return OptimizedPrompt(variant, record, bool(record and record.digest and record.digest != digest))

    def _find_adapter(self, optional: bool) -> JudgedAdapter | None:
        """The one asked for, else the bench's first, else the promoted or newest one that was trained on a prompt.

        optional: None where none fits; else that is a TrainingError.
        """
        if self._wanted.adapter:
            return self._open_adapter(AdapterChoice(self._wanted.adapter))
        registry = Registry()
        for variant in self._bench.variants:
            for choice in variant.adapters:
                with contextlib.suppress(WorkbenchError):
                    return self._open_adapter(choice)
        prompts = {variant.prompt for variant in self._prompts}
        fitting = [e for e in registry.entries() if e.manifest and e.manifest.prompt in prompts and e.rank != "retired"]
        promoted = [entry for entry in fitting if entry.rank == "promoted"]
        if not fitting and optional:
            return None
        if not fitting:
            raise TrainingError(
                f"No trained adapter fits a prompt of {self._path.name}.",
                f"Train one with f9 on the bench, or: workbench train --bench {self._wanted.bench}"
                f" --variant {self._prompts[0].name!r}",
            )
        chosen = (promoted or fitting)[0]
        return JudgedAdapter(chosen.name, chosen.path, chosen.manifest)

    def _open_adapter(self, choice: AdapterChoice) -> JudgedAdapter:
        """An adapter of the registry, or any other by its name or path. Raises WorkbenchError."""
        with contextlib.suppress(TrainingError):
            entry = Registry().find(choice.adapter)
            return JudgedAdapter(entry.name, entry.path, entry.manifest)
        folders = default_folders(self._settings, self._path.parent)
        named = msgspec.structs.replace(choice, on=True, scale=1.0)
        (found,) = resolve_adapters((named,), self._path.parent, discover_adapters(folders))
        return JudgedAdapter(found.adapter.name, found.adapter.path)
