"""Details: what is known of a model or an adapter, as a page to read.

Reads headers, so it may take a moment: call it off the screen's thread. Whatever is wrong with a file is the page.
"""

from __future__ import annotations

import psutil
from textual.content import Content

from workbench.errors import WorkbenchError
from workbench.hosting.pool import Pool
from workbench.inert import make_inert
from workbench.models.adapter import check_values, inspect_adapter
from workbench.models.compatibility import check_compatible
from workbench.models.inspect import inspect
from workbench.models.reference import Adapter, Model, ModelInfo
from workbench.tui.figures import show_bytes, show_count

Part = str | tuple[str, str]
_BAR_CELLS = 40


def describe_model(model: Model, pool: Pool) -> Content:
    """Size, quantisation, context, and whether it fits into memory now."""
    try:
        info = pool.info(model) or inspect(model)
    except WorkbenchError as error:
        return _wrong(model.name, str(model.path), error)
    rows = [
        ("architecture", info.architecture),
        ("parameters", show_count(info.parameters)),
        ("quantisation", info.quantization),
        ("context", f"{info.context_trained_tokens:,} tokens trained"),
        ("vocabulary", f"{info.vocabulary:,}"),
        ("chat template", "its own" if info.has_chat_template else "none: a plain one is laid around messages"),
        ("file", f"{show_bytes(info.file_bytes)}  {model.path}"),
    ]
    if info.context_tokens:
        rows.append(("open with", f"{info.context_tokens:,} tokens, {info.engine} on {info.device}"))
    return Content.assemble(*_page(model.name, rows), *_memory(info))


def _memory(info: ModelInfo) -> list[Part]:
    """The estimate as a bar against what is free."""
    free = psutil.virtual_memory().available
    weights, whole = info.file_bytes, max(info.memory_bytes, info.file_bytes)
    scale = max(free, whole, 1)
    cells = [round(part / scale * _BAR_CELLS) for part in (weights, whole - weights)]
    fits = whole <= free
    words = f"weights {show_bytes(weights)}, context {show_bytes(whole - weights)}, free {show_bytes(free)}"
    return [
        ("\nmemory         ", "$foreground 60%"),
        ("█" * max(cells[0], 1), "$primary"),
        ("█" * cells[1], "$secondary"),
        ("░" * max(_BAR_CELLS - sum(cells), 0), "$border"),
        ("  ✓ fits" if fits else "  ✗ too big", "$text-success" if fits else "$text-error"),
        (f"\n               {words}\n", "$foreground 60%"),
    ]


def describe_adapter(adapter: Adapter, base: Model | None) -> Content:
    """Rank, scale, targets, and every reason why it does not go with the base."""
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
        ("trained on", info.base or "it does not say"),
        ("file", f"{show_bytes(info.file_bytes)}  {adapter.path}"),
    ]
    parts = _page(adapter.name, rows)
    parts += [(f"\n{note}", "$text-warning") for note in info.notes]
    if base is not None:
        parts.append((f"\n\nover {base.name}\n", "bold $primary"))
        parts += [(f"  ✗ {problem}\n", "$text-error") for problem in problems] or [
            ("  ✓ goes with it\n", "$text-success")
        ]
    return Content.assemble(*parts)


def _page(title: str, rows: list[tuple[str, str]]) -> list[Part]:
    parts: list[Part] = [(f"{make_inert(title)}\n\n", "bold $primary")]
    for name, value in rows:
        parts += [(f"{name:<15}", "$foreground 60%"), f"{make_inert(value)}\n"]
    return parts


def _wrong(name: str, path: str, error: WorkbenchError) -> Content:
    return Content.assemble(
        (f"{make_inert(name)}\n\n", "bold $primary"),
        (f"{make_inert(error.message)}\n\n", "$text-error"),
        make_inert(error.hint),
        (f"\n\n{make_inert(path)}", "$foreground 60%"),
    )
