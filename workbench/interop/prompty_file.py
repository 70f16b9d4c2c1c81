"""A `.prompty` file of either version: copied as it is; its samples become a case."""

from __future__ import annotations

import json
import re
from pathlib import Path

from workbench import files
from workbench.errors import WorkbenchError
from workbench.interop.bounded_files import BoundedFiles
from workbench.interop.handlebars import HandlebarsError, convert_handlebars
from workbench.interop.parts import ImportedCase, ImportedMessage, ImportedParts, ImportedPrompt
from workbench.interop.yaml_text import parse_text
from workbench.library.formats import prompty
from workbench.library.formats.sections import Section
from workbench.prompting.prompt import Role
from workbench.prompting.template import MARKER, read_role


def read_prompty(path: Path) -> ImportedParts:
    """The prompt of a file, and its samples as a case. Raises PromptError with everything that is wrong with it."""
    text = files.read_text(path)
    parts = ImportedParts()
    parts.losses.count("prompts")
    if _is_mustache(text, path):
        _read_mustache(text, path, parts)
        return parts
    prompt = prompty.load(text, path.stem, path).prompt
    imported = ImportedPrompt(path.stem, source=text, description=prompt.description, origin=path)
    imported.attachments = _read_attachments(text, path, parts)
    parts.prompts.append(imported)
    for one in filter(None, prompt.unsupported.split("; ")):
        parts.losses.lose("keys", one, path.name)
    if prompt.defaults:
        values = {
            name: json.loads(held) if prompt.kinds.get(name) in ("object", "array") else held
            for name, held in prompt.defaults.items()
        }
        parts.cases.append(ImportedCase(values))
    return parts


def _is_mustache(text: str, path: Path) -> bool:
    yaml = prompty.split(text, path).yaml
    return re.search(r"\b(?:kind|format|template)\s*:\s*['\"]?mustache\b", yaml) is not None


def _read_mustache(text: str, path: Path, parts: ImportedParts) -> None:
    """A Mustache template in Jinja; the front matter loses its keys for the template."""
    pieces = prompty.split(text, path)
    data = parse_text(pieces.yaml, str(path)) or {}
    template = pieces.body
    sections: list[Section] = []
    try:
        for role, body in _split_roles(template):
            converted = convert_handlebars(body, mustache=True)
            sections.append(Section(role, converted[0].text if converted else ""))
    except HandlebarsError as error:
        parts.losses.lose("prompts", f"a Mustache template: {error}", path.name)
        return
    parts.losses.change("prompts", "the Mustache template is written in Jinja", path.name)
    data.pop("template", None)
    from workbench.yaml_render import render_block

    body = "\n\n".join(f"{role}:\n{text}" for role, text in sections) + "\n"
    source = f"---\n{render_block(data)}---\n{body}"
    parts.prompts.append(
        ImportedPrompt(path.stem, source=source, messages=tuple(ImportedMessage(*one) for one in sections))
    )


def _split_roles(body: str) -> list[tuple[Role, str]]:
    found: list[tuple[Role, list[str]]] = [("system", [])]
    for line in body.split("\n"):
        if match := MARKER.fullmatch(line):
            found.append((read_role(match), []))
        else:
            found[-1][1].append(line)
    texts = [(role, "\n".join(lines).strip("\r\n")) for role, lines in found]
    return [one for at, one in enumerate(texts) if at or one[1].strip()]


def _read_attachments(text: str, path: Path, parts: ImportedParts) -> dict[str, str]:
    """The files that the front matter refers to, and the examples, by their relative name."""
    folder = BoundedFiles(path.parent)
    yaml = prompty.split(text, path).yaml
    names = [*re.findall(r"\$\{file:([^}]*)\}", yaml), *filter(None, [prompty.load(text, path.stem, path).examples])]
    found = {}
    for name in dict.fromkeys(names):
        try:
            found[name] = folder.read(name)
        except WorkbenchError as error:
            parts.losses.lose("files", error.message, path.name)
    return found
