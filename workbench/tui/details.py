"""Details: what is known of a model or an adapter, as a page to read.

Reads headers, so it may take a moment: call it off the screen's thread. Whatever is wrong with a file is the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from workbench.engines.sizes import context_size
from workbench.errors import WorkbenchError
from workbench.hosting.pool import Pool
from workbench.models.adapter import check_values, inspect_adapter
from workbench.models.compatibility import check_compatible
from workbench.models.estimate import Estimate, estimate_pane
from workbench.models.inspect import inspect
from workbench.models.lineage import find_base, is_base
from workbench.models.precision import expect_in_memory
from workbench.models.reference import Adapter, Model, ModelInfo
from workbench.sanitize import sanitize
from workbench.tui.figures import show_bytes, show_count

Part = str | tuple[str, str]
_BAR_CELLS = 20
"""As many as stand beside their title on the narrowest screen."""


def describe_model(model: Model, pool: Pool, adapters: Sequence[Adapter] = (), most_tokens: int = 8192) -> Content:
    """Size, quantisation, context, and whether it fits into memory now, with a pane's adapters laid over it."""
    loaded = pool.info(model)
    try:
        info = loaded or expect_in_memory(model)
        on_disk = loaded or inspect(model)
        tokens = context_size(model, info, most_tokens)
        estimate = estimate_pane(model, adapters, tokens) if model.format != "scripted" else None
    except WorkbenchError as error:
        return _wrong(model.name, str(model.path), error)
    rows = [
        ("architecture", info.architecture),
        ("parameters", show_count(info.parameters)),
        ("quantisation", info.quantization if loaded else model.quantization or info.quantization),
        ("computed in", _precision(model, info)),
        ("context", f"{info.context_trained_tokens:,} tokens trained"),
        ("vocabulary", f"{info.vocabulary:,}"),
        ("chat template", "its own" if info.has_chat_template else "none: a plain one is laid around messages"),
        ("file", f"{show_bytes(on_disk.file_bytes)}  {model.path}"),
    ]
    if info.context_tokens:
        rows.append(("open with", f"{info.context_tokens:,} tokens, {info.engine} on {info.device or 'cpu'}"))
    return Content.assemble(*_page(model.name, rows), *(_memory(estimate, tokens) if estimate else ()))


def _precision(model: Model, info: ModelInfo) -> str:
    if model.format != "hf":
        return "what the file holds"
    return f"{info.dtype}{' (your choice)' if model.dtype else ''}" if info.dtype else "what the checkpoint says"


def _memory(estimate: Estimate, tokens: int) -> list[Part]:
    """The estimate as a bar against what is free."""
    scale = max(estimate.free, estimate.total, 1)
    sizes = (estimate.weights, estimate.caches, estimate.adapters)
    cells = [round(size / scale * _BAR_CELLS) for size in sizes]
    laid = f", adapters {show_bytes(estimate.adapters)}" if estimate.adapters else ""
    words = f"weights {show_bytes(estimate.weights)}, {tokens:,} tokens {show_bytes(estimate.caches)}{laid}"
    words += f"\n  process and buffers {show_bytes(estimate.overhead)}"
    return [
        ("\nmemory         ", "$foreground 60%"),
        ("█" * max(cells[0], 1), "$primary"),
        ("█" * cells[1], "$secondary"),
        ("█" * cells[2], "$warning"),
        ("░" * max(_BAR_CELLS - sum(cells), 0), "$border"),
        ("  ✓ fits" if estimate.fits else "  ✗ too big", "$text-success" if estimate.fits else "$text-error"),
        (f"\n  {words}\n", "$foreground 60%"),
        (f"  {show_bytes(estimate.total)} of {show_bytes(estimate.free)} free\n", "$foreground 60%"),
    ]


def describe_adapter(
    adapter: Adapter,
    base: Model | None,
    adapters: Sequence[Adapter] = (),
    most_tokens: int = 8192,
    models: Sequence[Model] = (),
) -> Content:
    """Rank, scale, targets, every reason why it does not go with the base, and what both take with a pane's others."""
    try:
        info = inspect_adapter(adapter)
        check_values(adapter)
        problems = check_compatible(adapter, base) if base is not None else ()
    except WorkbenchError as error:
        return _wrong(adapter.name, str(adapter.path), error)
    rows = [
        ("kind", f"{info.kind}, {info.format}"),
        ("rank", ", ".join(map(str, info.ranks)) or "–"),
        ("alpha", f"{info.alpha:g}"),
        ("scale", ", ".join(f"{scale:g}" for scale in info.scales) or "–"),
        ("changes", ", ".join(info.targets) or "–"),
        ("parameters", show_count(info.parameters)),
        ("trained on", _lineage(info.base, models)),
        ("file", f"{show_bytes(info.file_bytes)}  {adapter.path}"),
    ]
    parts = _page(adapter.name, rows)
    parts += [(f"\n{note}", "$text-warning") for note in info.notes]
    if base is not None:
        parts.append((f"\n\nover {base.name}\n", "bold $primary"))
        parts += [(f"  ✗ {problem}\n", "$text-error") for problem in problems]
    if base is not None and not problems and info.base and is_base(info.base, base):
        parts.append(("  ✓ goes with it\n", "$text-success"))
    elif base is not None and not problems:
        parts.append(("  ? its shapes fit; whether it is this base is not known\n", "$text-warning"))
        parts += _memory_over(base, (*adapters, adapter), most_tokens)
    return Content.assemble(*parts)


def _lineage(named: str, models: Sequence[Model]) -> str:
    if not named:
        return "it does not say"
    found = find_base(named, models)
    return f"{named}, here as {found.name}" if found else f"{named}, which is not on this machine"


def _memory_over(base: Model, adapters: Sequence[Adapter], most_tokens: int) -> list[Part]:
    try:
        tokens = context_size(base, expect_in_memory(base), most_tokens)
        return _memory(estimate_pane(base, adapters, tokens), tokens)
    except WorkbenchError:
        return []  # what is wrong with the base stands on its own page


def _page(title: str, rows: list[tuple[str, str]]) -> list[Part]:
    parts: list[Part] = [(f"{sanitize(title)}\n\n", "bold $primary")]
    for name, value in rows:
        parts += [(f"{name:<15}", "$foreground 60%"), f"{sanitize(value)}\n"]
    return parts


def _wrong(name: str, path: str, error: WorkbenchError) -> Content:
    return Content.assemble(
        (f"{sanitize(name)}\n\n", "bold $primary"),
        (f"{sanitize(error.message)}\n\n", "$text-error"),
        sanitize(error.hint),
        (f"\n\n{sanitize(path)}", "$foreground 60%"),
    )
