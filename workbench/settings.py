"""The user's settings: one TOML file, decoded strictly. A missing file means the defaults."""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from workbench import files, paths
from workbench.device_choice import NO_CHOICE, DeviceChoice, read_offload
from workbench.endpoint import RemoteModel, make_endpoint
from workbench.errors import FileError, ModelError, SettingsError
from workbench.offload import Offload, find_offload_problems
from workbench.units import Bytes, Seconds, decode_unit

_LONGEST_REASON = 300
_RENAMED = {"parked_memory": "prompt_cache_ram", "expected_likelihood": "expected_logprob"}

NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Every setting with its default; the string under each says what it does."""

    theme: str = "auto"
    """name of a theme, as listed by Theme… in the palette; "auto": light or dark, as the terminal is"""

    library: str = ""
    """folder of the prompt library; empty: the bench's folder, else `prompts/` in the working folder"""

    prompt_folders: tuple[str, ...] = ()
    """more folders of prompts, looked up by name after the library and before your own and the shipped ones"""

    model_folders: tuple[str, ...] = ()
    """more folders to search for models"""

    live: bool = True
    """whether panes re-run while you type"""

    live_delay_ms: NotNegative = 250
    """pause after the last keystroke before they re-run, in milliseconds"""

    context_strategy: Literal["refuse", "drop"] = "refuse"
    """what to do with a prompt that does not fit the context: refuse it, or drop its last examples until it fits"""

    threads: NotNegative = 0
    """upper limit of CPU threads for an engine or a training job; 0: as many as are worthwhile"""

    max_context_tokens: Positive = 8192
    """largest context for a model without a context size of its own"""

    prompt_cache_ram: Bytes = Bytes(512 * 2**20)
    """host memory for the prefix cache of prompts that are not in use, such as "1 GiB"; 0 turns it off"""

    step_seconds: Seconds = Seconds(0.05)
    """longest prefill step while an interactive request is waiting, such as "50 ms" or 0.05"""

    expected_logprob: bool = False
    """whether panes show the log-likelihood of the expected answer; `w` on a pane toggles it"""

    models: dict[str, RemoteModel] = {}
    """models on servers, by name, such as `[models.gpu]` with `remote = "http://127.0.0.1:8080"`"""

    offload: DeviceChoice = NO_CHOICE
    """on which devices models of this machine are computed where their bench says nothing, such as `[offload]` with
    `gpu_layers = 20`, `kv_type = "q8_0"`, `rpc = ["10.0.0.2:50052"]`; for Hugging Face folders `device_map`, `dtype`
    and `attention`"""

    adapter_scales: bool = True
    """whether panes with an adapter show how likely the expected answer is at each scale of it"""

    editor: str = ""
    """command that opens a prompt in an external editor; empty: $VISUAL, then $EDITOR"""

    keymap: dict[str, str] = {}
    """binding id -> keys, such as `bench.run = "f5,ctrl+r"`; F1 lists the ids"""


def load_settings(path: Path | None = None) -> Settings:
    """The person's settings; the defaults when there is no file.

    Raises SettingsError that names the file, and the line and key of every wrong setting.
    """
    file = path or paths.settings_file()
    if not os.path.lexists(file):  # a link that leads nowhere is no missing file
        return Settings()
    try:
        text = files.read_text(file)
        values = tomllib.loads(text)
    except FileError as error:
        raise SettingsError(error.message, error.hint) from error
    except (ValueError, RecursionError) as error:  # also numbers of too many digits, and brackets in brackets
        reason = "it nests too deeply" if isinstance(error, RecursionError) else str(error).partition(";")[0]
        raise SettingsError(f"{file} is not TOML: {reason}.", "A setting is a line such as `live = true`.") from error
    problems = [f"{file}:{_find_line(text, key)}: {problem}" for key, problem in _find_problems(values)]
    if problems:
        known = ", ".join(Settings.__struct_fields__)
        raise SettingsError("\n".join(problems), f"The settings are: {known}.")
    return msgspec.convert(values, Settings, dec_hook=decode_unit)


def change_setting(name: str, value: str, path: Path | None = None) -> None:
    """Write one setting into the person's file, whose other bytes stay as they are. Made where there is none.

    Raises SettingsError where the file cannot be changed, and then says what to write by hand.
    """
    file = path or paths.settings_file()
    line = f"{name} = {_quote(value)}"
    try:
        files.update_text(file, lambda text: _put_line(text, name, line))
    except (FileError, ValueError, RecursionError) as error:
        reason = error.message if isinstance(error, FileError) else f"{file} has another form than was expected."
        raise SettingsError(f"The setting was not saved: {reason}", f"Write `{line}` into {file}.") from error


def _put_line(text: str, name: str, line: str) -> str:
    """The text with a line for a setting of the top level. Raises ValueError where that would change another one."""
    wanted = {**tomllib.loads(text), **tomllib.loads(line)}
    own = re.compile(rf"(?m)^[ \t]*{re.escape(name)}[ \t]*=[ \t]*(?:\"[^\"\n]*\"|'[^'\n]*')")
    table = re.search(r"(?m)^[ \t]*\[", text)
    head, rest = (text[: table.start()], text[table.start() :]) if table else (text, "")
    changed, found = own.subn(lambda _: line, head, count=1)
    if not found:
        changed = head + ("" if not head or head.endswith("\n") else "\n") + line + "\n"
    if tomllib.loads(changed + rest) != wanted:
        raise ValueError(name)
    return changed + rest


def _quote(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _find_problems(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        near = difflib.get_close_matches(key, Settings.__struct_fields__, 1)
        if key in _RENAMED:
            yield key, f"`{key}` is now called `{_RENAMED[key]}`"
            continue
        if key not in Settings.__struct_fields__:
            yield key, f"`{key}` is not a setting" + (f"; did you mean `{near[0]}`?" if near else "")
            continue
        try:
            msgspec.convert({key: value}, Settings, dec_hook=decode_unit)
        except (msgspec.ValidationError, ValueError, OverflowError, RecursionError) as error:
            yield key, f"`{key}`: {str(error)[:_LONGEST_REASON] or 'it nests too deeply'}"
            continue
        if key == "models":
            yield from (("models", problem) for problem in _find_wrong_addresses(value))
        if key == "offload":
            choice = msgspec.convert(value, DeviceChoice)
            problems = find_offload_problems(Offload(**read_offload(choice)))
            yield from (("offload", f"`offload`: {problem}") for problem in problems)


def _find_wrong_addresses(models: dict[str, Any]) -> Iterator[str]:
    for name, known in models.items():
        try:
            make_endpoint(known["remote"])
        except ModelError as error:
            yield f"`models.{name}`: {error.message} {error.hint}"


def _find_line(text: str, key: str) -> int:
    """Where a key of the top level stands, as a key or as a table; 1 when it is written in a rarer form."""
    pattern = re.compile(rf"""\s*\[?\s*["']?{re.escape(key)}["']?\s*[\].=]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)
