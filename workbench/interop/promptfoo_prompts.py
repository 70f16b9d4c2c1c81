"""promptfoo's prompts, by the rules of its code (0.120: src/prompts, src/evaluatorHelpers.ts).

A prompt that is JSON is parsed first and rendered after, string by string; any other text is rendered whole and is the
user's message.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from workbench.errors import FileError, WorkbenchError
from workbench.interop.bounded_files import BoundedFiles, is_pattern
from workbench.interop.loss import LossList
from workbench.interop.nunjucks import UntranslatableError, translate
from workbench.interop.parts import ImportedMessage, ImportedPrompt
from workbench.interop.yaml_text import parse_text
from workbench.prompting.prompt import Role

NOUN = "prompts"
_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_SCRIPT = re.compile(r"\.([cm]?[jt]s|py|sh|bash|exe|bat|cmd|ps1|rb|pl)(:[\w.]+)?$")
_FILE = re.compile(r"\.(txt|md|j2|json|jsonl|csv|ya?ml)$")
_REMOTE = ("portkey://", "langfuse://", "helicone://", "package:")


class RawPrompt(NamedTuple):
    """A prompt as promptfoo has it before it is rendered. where: for the loss list."""

    raw: str
    label: str
    where: str


def list_prompts(written: Any, files: BoundedFiles, losses: LossList) -> list[RawPrompt]:
    """The prompts that the key `prompts` names; what cannot be read or would be executed is in the losses."""
    found: list[RawPrompt] = []
    for at, one in enumerate(_normalize(written), 1):
        where = f"prompts[{at}]"
        raw, label = one
        if raw.startswith("exec:"):
            losses.lose(NOUN, "a prompt that is a program", where)
        elif raw.startswith(_REMOTE):
            losses.lose(NOUN, f"a prompt from {raw.split(':')[0]}", where)
        elif _SCRIPT.search(raw) and "\n" not in raw:
            losses.lose(NOUN, "a prompt that is a script", where)
        else:
            try:
                found += _read_one(raw, label, files, losses, where)
            except WorkbenchError as error:
                losses.lose(NOUN, error.message, where)
    return found


def _normalize(written: Any) -> Iterator[tuple[str, str]]:
    if isinstance(written, str):
        yield written, ""
    elif isinstance(written, Mapping):
        yield from ((str(path), str(label)) for path, label in written.items())
    for one in written if isinstance(written, list) else ():
        if isinstance(one, Mapping):
            raw = one.get("raw", one.get("id"))
            if not isinstance(raw, str):
                raw = json.dumps(one if raw is None else raw, ensure_ascii=False)
            yield raw, str(one.get("label") or one.get("display") or "")
        else:
            yield str(one), ""


def _read_one(raw: str, label: str, files: BoundedFiles, losses: LossList, where: str) -> list[RawPrompt]:
    name = raw.removeprefix("file://")
    if "\n" in name or len(name) > 1024 or not (raw.startswith("file://") or _FILE.search(name) or _is_glob(name)):
        return [RawPrompt(raw, label or "prompt", where)]
    if not is_pattern(name):
        return list(_read_file(name, label, files))
    matched = files.glob(name)
    if not matched and not raw.startswith("file://"):
        return [RawPrompt(raw, label or "prompt", where)]
    if not matched:
        raise FileError(f"No file fits `{name}` in {files.folder}.")
    found: list[RawPrompt] = []
    for one in matched:
        if _SCRIPT.search(one):
            losses.lose(NOUN, "a prompt that is a script", one)
        else:
            found += _read_file(one, "", files)
    return found


def _is_glob(name: str) -> bool:
    return "*" in name and " " not in name and "{" not in name


def _read_file(name: str, label: str, files: BoundedFiles) -> Iterator[RawPrompt]:
    text = files.read(name)
    suffix = PurePosixPath(name).suffix.lower()
    stem = label or PurePosixPath(name).stem
    if suffix == ".txt":
        pieces = re.split(r"^[ \t]*---[ \t]*$", text.replace("\r\n", "\n"), flags=re.MULTILINE)
        raws = [piece.strip() for piece in pieces if piece.strip()]
        for number, raw in enumerate(raws, 1):
            yield RawPrompt(raw, stem if len(raws) == 1 else f"{stem} {number}", name)
    elif suffix == ".csv":
        yield from _read_csv(text, stem, name)
    elif suffix == ".jsonl":
        lines = [line for line in re.split(r"\r?\n", text) if line]
        for number, line in enumerate(lines, 1):
            yield RawPrompt(line, stem if len(lines) == 1 else f"{stem} {number}", name)
    elif suffix in (".yaml", ".yml"):
        yield RawPrompt(json.dumps(parse_text(text, name), ensure_ascii=False), stem, name)
    elif suffix in (".json", ".md", ".j2"):
        yield RawPrompt(text, stem, name)
    else:
        raise FileError(f"{name} is of a kind that promptfoo does not read as a prompt.")


def _read_csv(text: str, stem: str, name: str) -> Iterator[RawPrompt]:
    if "," not in text:
        lines = [line for line in re.split(r"\r?\n", text) if line.strip()]
        rows = lines[1:] if lines and lines[0].lower().strip() == "prompt" else lines
        yield from (RawPrompt(line, f"{stem} {at}", name) for at, line in enumerate(rows, 1))
        return
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), skipinitialspace=True)
    for at, row in enumerate(reader, 1):
        cells = {(key or "").strip(): (value or "").strip() for key, value in row.items() if isinstance(value, str)}
        if cells.get("prompt"):
            yield RawPrompt(cells["prompt"], cells.get("label") or f"{stem} {at}", name)


def convert_prompt(
    prompt: RawPrompt, environment: Mapping[str, Any], losses: LossList, wrapped: bool = False
) -> ImportedPrompt | None:
    """The prompt in our terms; None, with a loss, for one that has none. wrapped: tests put texts around it."""
    try:
        chat = _read_chat(prompt.raw)
        if chat is not None and prompt.raw.strip().startswith("- role:"):
            losses.change(NOUN, "a conversation in YAML is parsed before its variables are filled in", prompt.where)
        if chat is None:
            text = translate(prompt.raw, environment)
            if "_conversation" in text:
                raise UntranslatableError("the variable _conversation")
            if wrapped:
                text = f"{{{{ {PREFIX} }}}}{text}{{{{ {SUFFIX} }}}}"
            messages: tuple[ImportedMessage, ...] = (ImportedMessage("user", text),)
        else:
            if wrapped:
                raise UntranslatableError("a chat prompt that tests put texts around")
            messages = tuple(_make_message(one, environment) for one in chat)
    except UntranslatableError as error:
        losses.lose(NOUN, str(error), prompt.where)
        return None
    return ImportedPrompt(prompt.label, messages, label=prompt.label)


PREFIX, SUFFIX = "prompt_prefix", "prompt_suffix"
"""Variables for the texts that tests put around a prompt."""


def _read_chat(raw: str) -> list[Any] | None:
    """The messages of a prompt that is a conversation; None for a text. Raises UntranslatableError for other JSON."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = _read_yaml_chat(raw)
        if value is None and re.match(r"\s*[\[{]", raw) and re.search(r"[\"']?role[\"']?\s*:", raw):
            raise UntranslatableError("a chat prompt that is only JSON after it was rendered") from None
        if value is None:
            return None
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if not isinstance(value, list) or not all(isinstance(one, Mapping) and "role" in one for one in value) or not value:
        raise UntranslatableError("a JSON prompt that is not a conversation")
    return value


def _read_yaml_chat(raw: str) -> Any:
    if not raw.strip().startswith("- role:"):
        return None
    try:
        return parse_text(raw, "the prompt")
    except FileError:
        return None


def _make_message(message: Mapping[str, Any], environment: Mapping[str, Any]) -> ImportedMessage:
    role = _ROLES.get(str(message["role"]))
    if role is None:
        raise UntranslatableError(f"a message of the role {str(message['role'])[:40]}")
    extra = [key for key in message if key not in ("role", "content")]
    if extra:
        raise UntranslatableError(f"a message with {', '.join(map(str, extra))}")
    content = message.get("content")
    if isinstance(content, list):
        if not all(isinstance(one, Mapping) and one.get("type") == "text" for one in content):
            raise UntranslatableError("a message with parts that are not text")
        content = "".join(str(one.get("text", "")) for one in content)
    if not isinstance(content, str):
        raise UntranslatableError("a message without a text")
    return ImportedMessage(role, translate(content, environment, partial=False))
