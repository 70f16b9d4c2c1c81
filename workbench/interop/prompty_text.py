"""The text of a `.prompty` file (v2) with what was read of another format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.interop.parts import ImportedPrompt
from workbench.library.formats.sections import Section, join_sections
from workbench.yaml_render import render_block


def write_prompty(imported: ImportedPrompt) -> str:
    """The text of a `.prompty` file (v2) with what was read."""
    header: dict[str, Any] = {}
    if imported.description:
        header["description"] = imported.description
    if imported.options:
        header["model"] = {"options": _write_options(imported.options)}
    if imported.tools:
        header["tools"] = imported.tools
    if inputs := _write_inputs(imported):
        header["inputs"] = inputs
    if imported.mode == "completion":
        header["metadata"] = {"workbench": {"mode": "completion"}}
        body = imported.messages[0].text
        return (f"---\n{render_block(header)}---\n" if header else "") + body + ("\n" if body.endswith("\n") else "")
    body = join_sections(Section(one.role, one.text) for one in imported.messages)
    return (f"---\n{render_block(header)}---\n" if header else "") + body


def _write_inputs(imported: ImportedPrompt) -> dict[str, Any]:
    found: dict[str, Any] = {name: {"kind": kind} for name, kind in imported.kinds.items()}
    for name, value in imported.defaults.items():
        if name in found or isinstance(value, dict):
            found[name] = {**found.get(name, {}), "default": value}
        else:
            found[name] = value
    return found


def _write_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling fields under Prompty's names; the others under additionalProperties."""
    from workbench.interop.dotprompt import OPTIONS

    names = {ours: theirs for theirs, ours in OPTIONS.items()}
    known = {names[key]: value for key, value in options.items() if key in names}
    others = {key: value for key, value in options.items() if key not in names}
    return {**known, **({"additionalProperties": others} if others else {})}
