"""What a Prompty file asks for and the workbench does not support, so that nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from ruamel.yaml.comments import CommentedMap

from workbench.library.formats.defaults import find_declared
from workbench.library.formats.model_options import find_unused_options, read_outputs
from workbench.library.formats.tool_declarations import find_unused
from workbench.prompting.values import Kind

_SHOWN = 8  # keys named one by one
_FILES = ("file", "audio")


def describe_unsupported(data: CommentedMap) -> str:
    """What is not used of the front matter, as one text for a person; empty when everything is."""
    found = list(_find_unsupported(data))
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "; ".join((*found[:_SHOWN], *more))


def _find_unsupported(data: CommentedMap) -> Iterator[str]:
    yield from _check_model(data.get("model"))
    yield from (f"`{name}`" for name in find_unused_options(data))
    if data.get("outputs") and read_outputs(data["outputs"]) is None:
        yield "`outputs` (they are no JSON: no answer is held to them)"
    yield from find_unused(data.get("tools"))
    template = data.get("template")
    parser = template.get("parser") if isinstance(template, dict) else None
    parser = parser.get("kind") if isinstance(parser, dict) else parser
    if parser not in (None, "prompty"):
        yield f"`template.parser: {_shorten(parser)}` (the prompt is read as Prompty)"
    for name, kind in find_declared(data):
        if kind in _FILES:
            yield f"the input `{_shorten(name)}` of kind {kind} (it is put in as text; no file is sent)"
        elif kind not in get_args(Kind):
            yield f"the kind `{_shorten(kind)}` of the input `{_shorten(name)}` (it is text)"


def _check_model(model: Any) -> Iterator[str]:
    if isinstance(model, str):
        yield f"`model: {_shorten(model)}` (the bench chooses the model)"
    if not isinstance(model, dict):
        return
    named = [key for key in ("id", "provider", "connection", "configuration") if model.get(key)]
    if named:
        yield f"`model.{', model.'.join(named)}` (the bench chooses the model)"
    api = model.get("apiType", model.get("api"))
    if api not in (None, "chat", "completion"):
        yield f"`apiType: {_shorten(api)}` (it is run as chat)"


def _shorten(value: Any) -> str:
    text = " ".join(str(value).split()) if isinstance(value, (str, int, float)) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:59]}…"
