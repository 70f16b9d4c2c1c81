"""The front matter as a text: comments and unknown keys stay, what is wrong is named, and it is undone and restored."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from workbench.errors import PromptError
from workbench.library.formats import prompty
from workbench.library.header import edit_header, read_header
from workbench.prompting.prompt import Prompt

PATH = Path("queues/plain.prompty")
HEADER = (
    "name: plain\n"
    "description: Routes a message.  # shown in the library\n"
    "inputs:\n  tone:\n    type: string\n    default: calm\n"
    "model:\n  id: gpt\n  options:\n    temperature: 0.2\n"
)
SOURCE = f"---\n{HEADER}---\nsystem:\nBe {{{{ tone }}}}.\n"


def load(source: str) -> Prompt:
    return prompty.load(source, "queues/plain", PATH).prompt


def test_the_text_is_what_stands_between_the_fences():
    assert read_header(load(SOURCE), SOURCE, PATH) == HEADER
    assert read_header(load("user:\nhello\n"), "user:\nhello\n", PATH) == ""


def test_an_unsaved_setting_is_in_the_text():
    prompt = msgspec.structs.replace(load(SOURCE), mode="completion")
    text = read_header(prompt, SOURCE, PATH)
    assert "mode: completion" in text
    assert text.startswith(HEADER[:40])


def test_an_edit_is_written_byte_for_byte():
    prompt = load(SOURCE)
    text = HEADER.replace("calm", "dry").replace("0.2", "0.7") + "# a note\n"
    edited = edit_header(prompt, SOURCE, text, PATH)
    assert edited.defaults == {"tone": "dry"}
    assert prompty.dump(edited, SOURCE, PATH) == f"---\n{text}---\nsystem:\nBe {{{{ tone }}}}.\n"
    assert edit_header(edited, SOURCE, HEADER, PATH) == prompt


def test_a_body_without_front_matter_gets_some():
    source = "user:\nhello\n"
    edited = edit_header(load(source), source, "description: Says hello.", PATH)
    assert prompty.dump(edited, source, PATH) == "---\ndescription: Says hello.\n---\nuser:\nhello\n"
    assert edit_header(edited, source, "", PATH) == load(source)


def test_a_later_change_of_a_setting_is_written_into_the_edited_text():
    edited = edit_header(load(SOURCE), SOURCE, f"# mine\n{HEADER}", PATH)
    text = prompty.dump(msgspec.structs.replace(edited, mode="completion"), SOURCE, PATH)
    assert text.startswith("---\n# mine\n")
    assert load(text).mode == "completion"
    assert "temperature: 0.2" in text


def test_line_endings_stay():
    source = SOURCE.replace("\n", "\r\n")
    text = read_header(load(source), source, PATH).replace("calm", "dry")
    dumped = prompty.dump(edit_header(load(source), source, text, PATH), source, PATH)
    assert dumped == source.replace("calm", "dry")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("description: [1\n", r"plain.prompty:\d+: the front matter is not YAML"),
        ("a: 1\n---\nb: 2\n", r"plain.prompty:3: a line `---` ends the front matter"),
        ("metadata:\n  workbench:\n    placement: sideways\n", r"plain.prompty:4: .*placement"),
        ("metadata:\n  workbench:\n    examples: other.jsonl\n", r"examples` is 'other.jsonl', expected ''"),
        ("just text\n", "not a mapping"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_taken(text, message):
    with pytest.raises(PromptError, match=message):
        edit_header(load(SOURCE), SOURCE, text, PATH)


def test_what_is_asked_and_stored_does_not_know_the_text():
    prompt = load(SOURCE)
    edited = edit_header(prompt, SOURCE, f"# a comment\n{HEADER}", PATH)
    assert edited != prompt
    assert edited.without_header() == prompt
    assert msgspec.json.encode(edited.without_header()) == msgspec.json.encode(prompt)
    assert b"header" not in msgspec.json.encode(prompt)
    assert msgspec.json.decode(msgspec.json.encode(edited), type=Prompt) == edited
