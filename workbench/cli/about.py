"""One model before it is loaded: what is in it, what it takes of the memory, and what goes with it; or loaded, as what.

Knows nothing of how models are found or read (models/), nor of the list that `workbench models` prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.cli import terminal
from workbench.errors import ModelError

if TYPE_CHECKING:
    from workbench.models.reference import Adapter, Model, ModelInfo
    from workbench.settings import Settings


class Wish(NamedTuple):
    """What a person wants to know: of which model, with what laid over it, in which precision, and whether loaded."""

    model: str
    adapters: Sequence[str] = ()
    dtype: str = ""
    quantization: str = ""
    load: bool = False


def tell(wish: Wish, json: bool) -> int:
    """Print what is known; the exit code. Raises ModelError for a model or adapter that cannot be read."""
    from workbench.settings import load_settings

    settings = load_settings()
    model, adapters = _find(wish, settings)
    facts = _describe(model, adapters, settings)
    if wish.load:
        facts["loaded"] = _load(model, settings)
    if json:
        import msgspec

        terminal.write_json(msgspec.json.format(msgspec.json.encode(facts)).decode() + "\n")
    else:
        _print(facts)
    problems = any(laid["problems"] for laid in facts["adapters"])
    return terminal.USAGE if problems or not facts["memory"]["fits"] else terminal.OK


def _find(wish: Wish, settings: Settings) -> tuple[Model, list[Adapter]]:
    from workbench.evaluation.bench import AdapterChoice
    from workbench.models.discover import default_folders, discover_adapters, discover_models
    from workbench.models.reference import resolve_adapters, resolve_model, with_precision

    folders = default_folders(settings)
    found = resolve_model(wish.model, {}, Path.cwd(), discover_models(folders))
    choices = [AdapterChoice(name) for name in wish.adapters]
    laid = resolve_adapters(choices, Path.cwd(), discover_adapters(folders) if choices else ())
    return with_precision(found, wish.dtype, wish.quantization), [one.adapter for one in laid]


def _describe(model: Model, adapters: Sequence[Adapter], settings: Settings) -> dict[str, Any]:
    from workbench.engines.sizes import context_size
    from workbench.models.estimate import estimate_pane
    from workbench.models.precision import expect_in_memory

    info = expect_in_memory(model)
    tokens = context_size(model, info, settings.max_context_tokens)
    estimate = estimate_pane(model, adapters, tokens)
    return {
        "name": model.name,
        "path": str(model.path),
        "format": model.format,
        "architecture": info.architecture,
        "stored": info.quantization,
        "dtype": info.dtype,
        "quantization": model.quantization or info.quantization,
        "parameters": info.parameters,
        "context_trained_tokens": info.context_trained_tokens,
        "vocabulary": info.vocabulary,
        "has_chat_template": info.has_chat_template,
        "memory": {**estimate._asdict(), "context_tokens": tokens, "total": estimate.total, "fits": estimate.fits},
        "adapters": [_describe_adapter(adapter, model) for adapter in adapters],
    }


def _describe_adapter(adapter: Adapter, model: Model) -> dict[str, Any]:
    import msgspec

    from workbench.models.adapter import check_values, inspect_adapter
    from workbench.models.compatibility import check_compatible
    from workbench.models.lineage import is_base

    row: dict[str, Any] = {"name": adapter.name, "path": str(adapter.path)}
    try:
        info = inspect_adapter(adapter)
        check_values(adapter)
    except ModelError as error:
        return {**row, "problems": [error.message]}
    known = bool(info.base) and is_base(info.base, model)
    return {
        **row,
        **msgspec.structs.asdict(info),
        "base_is_this": known,
        "problems": list(check_compatible(adapter, model)),
    }


def _load(model: Model, settings: Settings) -> dict[str, Any]:
    from workbench.hosting.pool import Pool

    pool = Pool.configured(settings)
    try:
        info: ModelInfo = pool.load(model).result()
        memory = next(iter(pool.residents())).memory_bytes
    finally:
        pool.close()
    kept = ("engine", "device", "dtype", "quantization", "context_tokens", "unsupported_sampling")
    return {**{name: getattr(info, name) for name in kept}, "process_bytes": memory}


def _print(facts: dict[str, Any]) -> None:
    memory = facts["memory"]
    laid = f", adapters {_size(memory['adapters'])}" if memory["adapters"] else ""
    whole = f"{_size(memory['total'])} of {_size(memory['free'])} free: {'fits' if memory['fits'] else 'too big'}"
    rows = [
        ("file", facts["path"]),
        ("architecture", f"{facts['architecture']}, {facts['parameters']:,} parameters"),
        ("stored in", facts["stored"]),
        ("computed in", _precision(facts["dtype"], facts["quantization"])),
        ("context", f"{facts['context_trained_tokens']:,} tokens trained"),
        ("chat template", "its own" if facts["has_chat_template"] else "none: a plain one is laid around messages"),
        (
            "memory",
            f"weights {_size(memory['weights'])}, {memory['context_tokens']:,} tokens of context"
            f" {_size(memory['caches'])}{laid}, process and buffers {_size(memory['overhead'])}; {whole}",
        ),
    ]
    if loaded := facts.get("loaded"):
        how = _precision(loaded["dtype"], loaded["quantization"])
        rows.append(("loaded", f"by {loaded['engine']} on {loaded['device'] or 'cpu'}, {how}"))
        rows.append(
            ("", f"{loaded['context_tokens']:,} tokens of context; its process has {_size(loaded['process_bytes'])}")
        )
    terminal.write(f"{facts['name']}\n" + "".join(f"  {name:<15}{value}\n" for name, value in rows))
    for adapter in facts["adapters"]:
        _print_adapter(adapter)


def _print_adapter(adapter: dict[str, Any]) -> None:
    lines = [f"\n{adapter['name']}"]
    if "kind" in adapter:
        ranks, scales = (", ".join(f"{value:g}" for value in adapter[name]) or "none" for name in ("ranks", "scales"))
        lines.append(
            f"  {adapter['kind']}, rank {ranks}, scale {scales}, on {', '.join(adapter['targets']) or 'nothing'}"
        )
        lines.append(f"  trained on {adapter['base'] or 'a base that it does not name'}")
        lines += [f"  {note}" for note in adapter["notes"]]
    fits = "✓ goes with it" if adapter.get("base_is_this") else "? its shapes fit; whether it is this base is not known"
    lines += [f"  ✗ {problem}" for problem in adapter["problems"]] or [f"  {fits}"]
    terminal.write("\n".join(lines) + "\n")


def _precision(dtype: str, quantization: str) -> str:
    """The numbers a model is computed in, and how its weights are packed where they are."""
    return " ".join(filter(None, (dtype, quantization if quantization not in ("F32", "F16", "BF16") else "")))


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
