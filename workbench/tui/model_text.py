"""Model text: what is known about a model or an adapter, as a page. Reads headers, so it may be slow.

What is wrong with a file is part of the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from workbench.errors import WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.remote.card import CapabilityCard
from workbench.inference.remote.card_text import describe_card
from workbench.inference.sizes import context_size
from workbench.models.adapter_info import check_values, find_base, inspect_adapter, matches_base
from workbench.models.compatibility import check_compatible
from workbench.models.memory_estimate import MemoryEstimate, estimate_pane, expect_in_memory
from workbench.models.model_info import inspect_model
from workbench.models.reference import Adapter, Model, ModelInfo
from workbench.sanitize import sanitize
from workbench.units import format_bytes, format_count, format_plural

Part = str | tuple[str, str]
_BAR_CELLS = 20
"""as many as fit on the narrowest screen"""


def describe_model(model: Model, pool: Pool, adapters: Sequence[Adapter] = (), most_tokens: int = 8192) -> Content:
    """Size, quantization, context, and whether it fits into memory now, with a pane's adapters."""
    loaded = pool.info(model)
    if model.remote:
        card = pool.card(model)
        return describe_server_card(model, card) if card else _describe_remote(model, loaded)
    try:
        info = loaded or expect_in_memory(model)
        on_disk = loaded or inspect_model(model)
        tokens = context_size(model, info, most_tokens)
        estimate = estimate_pane(model, adapters, tokens) if model.format != "scripted" else None
    except WorkbenchError as error:
        return _wrong(model.name, str(model.path), error)
    rows = [
        ("architecture", info.architecture),
        ("parameters", format_count(info.parameters)),
        ("quantization", info.quantization if loaded else model.quantization or info.quantization),
        ("dtype", _precision(model, info)),
        ("context", f"{info.context_trained_tokens:,} tokens (training)"),
        ("vocabulary", f"{info.vocabulary:,}"),
        ("chat template", "built in" if info.has_chat_template else "none: a plain one is used"),
        ("file", f"{format_bytes(on_disk.file_bytes)}  {model.path}"),
    ]
    if info.context_tokens:
        rows.append(("opened with", f"{info.context_tokens:,} tokens, {info.engine} on {info.device or 'cpu'}"))
    rows += [(name, model.offload.format(name)) for name in model.offload.given]
    parts = _page(model.name, rows)
    return Content.assemble(*parts, *(_memory(estimate, tokens) if estimate else ()), *_devices(info))


def _describe_remote(model: Model, info: ModelInfo | None) -> Content:
    """Where a server's model is, and what the server says of it once it was asked."""
    assert model.remote is not None
    rows = [("server", address) for address in model.remote.urls]
    rows += [("model", model.remote.model or "the only one it has"), ("key", f"in {model.remote.key_env}")]
    if info is None:
        rows.append(("state", "not connected; i probes it"))
        return Content.assemble(*_page(model.name, rows))
    figures = [
        ("kind", info.engine),
        ("architecture", info.architecture),
        ("parameters", format_count(info.parameters) if info.parameters else ""),
        ("quantization", info.quantization),
        ("context", f"{info.context_tokens:,} tokens" if info.context_tokens else ""),
        ("vocabulary", f"{info.vocabulary:,}" if info.vocabulary else ""),
        ("cannot take", ", ".join(info.unsupported_sampling)),
    ]
    rows += [(name, value or "not reported") for name, value in figures]
    return Content.assemble(*_page(model.name, rows), ("\ni shows what it was seen to do", "$foreground 60%"))


_MARKS = {"": "$foreground", "good": "$text-success", "bad": "$text-error", "doubt": "$text-warning"}


def describe_server_card(model: Model, card: CapabilityCard) -> Content:
    """What a server was seen to do: a sign and a colour for each field, and for each adapter."""
    parts: list[Part] = [(f"{sanitize(model.name)}\n\n", "bold $primary")]
    for row in describe_card(card):
        parts += [
            (f"{sanitize(row.label):<19}", "$foreground 60%"),
            (f"{row.sign} ", _MARKS[row.mark]),
            f"{sanitize(row.value)}\n",
        ]
    return Content.assemble(*parts)


def _precision(model: Model, info: ModelInfo) -> str:
    if model.format != "hf":
        return "as stored in the file"
    return f"{info.dtype}{' (your choice)' if model.dtype else ''}" if info.dtype else "as the checkpoint says"


def _memory(estimate: MemoryEstimate, tokens: int) -> list[Part]:
    """The estimate as a bar against what is free."""
    scale = max(estimate.free, estimate.total, 1)
    sizes = (estimate.weights, estimate.caches, estimate.adapters)
    cells = [round(size / scale * _BAR_CELLS) for size in sizes]
    extra = f", adapters {format_bytes(estimate.adapters)}" if estimate.adapters else ""
    words = f"weights {format_bytes(estimate.weights)}, {tokens:,} tokens {format_bytes(estimate.caches)}{extra}"
    words += f"\n  process and buffers {format_bytes(estimate.overhead)}"
    return [
        ("\nmemory         ", "$foreground 60%"),
        ("█" * max(cells[0], 1), "$primary"),
        ("█" * cells[1], "$secondary"),
        ("█" * cells[2], "$warning"),
        ("░" * max(_BAR_CELLS - sum(cells), 0), "$border"),
        ("  ✓ fits" if estimate.fits else "  ✗ does not fit", "$text-success" if estimate.fits else "$text-error"),
        (f"\n  {words}\n", "$foreground 60%"),
        (f"  {format_bytes(estimate.total)} of {format_bytes(estimate.free)} free\n", "$foreground 60%"),
    ]


def _devices(info: ModelInfo) -> list[Part]:
    """A bar for each device of a loaded model: its share against what was free there; what the load gave up."""
    parts: list[Part] = []
    for share in info.placement if len(info.placement) > 1 else ():
        scale = max(share.device.free_bytes, share.bytes, 1)
        sizes = (share.weights_bytes, share.kv_bytes, share.compute_bytes)
        cells = [round(size / scale * _BAR_CELLS) for size in sizes]
        parts += [(f"\n{sanitize(share.device.name):<15}", "$foreground 60%"), ("█" * cells[0], "$primary")]
        parts += [("█" * cells[1], "$secondary"), ("█" * cells[2], "$warning")]
        parts.append(("░" * max(_BAR_CELLS - sum(cells), 0), "$border"))
        parts.append(
            f"  {format_plural(share.layers, 'layer')}, {format_bytes(share.bytes)}"
            f" of {format_bytes(share.device.free_bytes)} free"
        )
    for number, line in enumerate(info.step_plan.lines if info.step_plan else ()):
        parts += [(f"\n{'' if number else 'steps':<15}", "$foreground 60%"), sanitize(line)]
    return parts + [(f"\n{sanitize(note)}", "$text-warning") for note in info.load_notes]


def describe_adapter(
    adapter: Adapter,
    base: Model | None,
    adapters: Sequence[Adapter] = (),
    most_tokens: int = 8192,
    models: Sequence[Model] = (),
) -> Content:
    """Rank, scale, targets, every reason why it does not go with the base, and what both take with a pane's others."""
    if base is not None and base.remote:
        text = "The pane's model is on a server, which has to have the adapter itself; those that it has are listed."
        return Content.assemble(*_page(adapter.name, [("file", adapter.location)]), (f"\n{text}", "$text-warning"))
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
        ("parameters", format_count(info.parameters)),
        ("trained on", _lineage(info.base, models)),
        ("file", f"{format_bytes(info.file_bytes)}  {adapter.path}"),
    ]
    parts = _page(adapter.name, rows)
    parts += [(f"\n{note}", "$text-warning") for note in info.notes]
    if base is not None:
        parts.append((f"\n\non {base.name}\n", "bold $primary"))
        parts += [(f"  ✗ {problem}\n", "$text-error") for problem in problems]
    if base is not None and not problems and info.base and matches_base(info.base, base):
        parts.append(("  ✓ compatible\n", "$text-success"))
    elif base is not None and not problems:
        parts.append(("  ? shapes match; the adapter does not name its base\n", "$text-warning"))
        parts += _memory_over(base, (*adapters, adapter), most_tokens)
    return Content.assemble(*parts)


def _lineage(named: str, models: Sequence[Model]) -> str:
    if not named:
        return "unknown"
    found = find_base(named, models)
    return f"{named}, found as {found.name}" if found else f"{named}, not on this machine"


def _memory_over(base: Model, adapters: Sequence[Adapter], most_tokens: int) -> list[Part]:
    try:
        tokens = context_size(base, expect_in_memory(base), most_tokens)
        return _memory(estimate_pane(base, adapters, tokens), tokens)
    except WorkbenchError:
        return []  # what is wrong with the base is on its own page


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
