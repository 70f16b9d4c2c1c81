"""Model text: what is known about a model or an adapter, as a page. Reads headers, so it may be slow.

What is wrong with a file is part of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.content import Content

from workbench.errors import WorkbenchError
from workbench.inference.device_inventory import FoundDevices
from workbench.inference.pool import Pool
from workbench.inference.remote.card import CapabilityCard
from workbench.inference.remote.card_text import describe_card
from workbench.inference.sizes import context_size
from workbench.models.adapter_info import check_values, find_base, inspect_adapter, matches_base
from workbench.models.compatibility import check_compatible
from workbench.models.memory_estimate import expect_in_memory
from workbench.models.model_info import inspect_model
from workbench.models.placement_estimate import estimate_pane
from workbench.models.reference import Adapter, Model, ModelInfo
from workbench.sanitize import sanitize
from workbench.tui.memory_text import LOOKING, Part, draw_estimate, draw_placement, draw_problems
from workbench.units import format_bytes, format_count

NO_DEVICES = FoundDevices()


def describe_model(
    model: Model,
    pool: Pool,
    adapters: Sequence[Adapter] = (),
    most_tokens: int = 8192,
    found: FoundDevices = NO_DEVICES,
) -> Content:
    """Size, quantization, context, and whether it fits into memory now, with a pane's adapters.

    found: the devices that it may be offloaded to.
    """
    loaded = pool.info(model)
    if model.remote:
        card = pool.card(model)
        return describe_server_card(model, card) if card else _describe_remote(model, loaded)
    try:
        info = loaded or expect_in_memory(model)
        on_disk = loaded or inspect_model(model)
        tokens = context_size(model, info, most_tokens)
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
    if model.format == "scripted":
        return Content.assemble(*parts)
    if len(info.placement) > 1:  # what is there now, in place of an estimate
        return Content.assemble(*parts, *draw_placement(info))
    return Content.assemble(*parts, *_estimate(model, adapters, tokens, found), *draw_placement(info))


def show_estimate(
    model: Model, pool: Pool, adapters: Sequence[Adapter], most_tokens: int, show: Callable[[Content], None]
) -> None:
    """The bars of a model that is not loaded: at once as far as is known, and again when its devices were asked for,
    which may take seconds."""
    try:
        tokens = context_size(model, expect_in_memory(model), most_tokens)
    except WorkbenchError as error:
        show(Content(sanitize(error.message)))
        return
    found = pool.devices.peek(model.offload)
    if found is None:
        show(Content.assemble(*_estimate(model, adapters, tokens, LOOKING)))
        found = pool.devices.find(model.offload)
    show(Content.assemble(*_estimate(model, adapters, tokens, found)))


def _estimate(model: Model, adapters: Sequence[Adapter], tokens: int, found: FoundDevices) -> list[Part]:
    """The bars of a model that is not loaded; in their place what its options ask for in vain."""
    try:
        estimate = estimate_pane(model, adapters, tokens, devices=found.devices)
    except WorkbenchError as error:
        return [(f"\n{sanitize(error.message)}\n", "$text-error"), (f"{sanitize(error.hint)}\n", "$foreground 60%")]
    return [*draw_estimate(estimate, tokens), *draw_problems(found)]


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


def describe_adapter(
    adapter: Adapter,
    base: Model | None,
    adapters: Sequence[Adapter] = (),
    most_tokens: int = 8192,
    models: Sequence[Model] = (),
    found: FoundDevices = NO_DEVICES,
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
        parts += _memory_over(base, (*adapters, adapter), most_tokens, found)
    return Content.assemble(*parts)


def _lineage(named: str, models: Sequence[Model]) -> str:
    if not named:
        return "unknown"
    found = find_base(named, models)
    return f"{named}, found as {found.name}" if found else f"{named}, not on this machine"


def _memory_over(base: Model, adapters: Sequence[Adapter], most_tokens: int, found: FoundDevices) -> list[Part]:
    try:
        tokens = context_size(base, expect_in_memory(base), most_tokens)
        return draw_estimate(estimate_pane(base, adapters, tokens, devices=found.devices), tokens)
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
