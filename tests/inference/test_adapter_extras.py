"""What lies beside an adapter and is not used, for any vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_sequences import LetterPrompts

from workbench.inference.adapter_extras import find_extras
from workbench.models.reference import Adapter


def write(folder: Path, **files: object) -> Adapter:
    folder.mkdir()
    for name, content in files.items():
        file = folder / {"template": "chat_template.jinja", "settings": "tokenizer_config.json"}.get(
            name, f"{name}.json"
        )
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    return Adapter("calm", folder)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, []),
        ({"template": "A\n"}, []),
        ({"template": "B"}, ["another chat template"]),
        ({"settings": {"chat_template": "B"}}, ["another chat template"]),
        ({"settings": {"chat_template": [{"name": "default", "template": "A"}]}}, []),
        ({"tokenizer": {"added_tokens": [{"content": "a", "id": 97}]}}, []),
        ({"tokenizer": {"added_tokens": [{"content": "<call>", "id": 97}]}}, ["'<call>'"]),
        (
            {"tokenizer": {"added_tokens": [{"content": "<far>", "id": 10**9}, {"content": "<no>", "id": -1}]}},
            ["2 added"],
        ),
        ({"tokenizer": "not JSON", "settings": "[1]"}, []),
        ({"tokenizer": {"added_tokens": 7}, "template": "B"}, ["another chat template"]),
    ],
)
def test_what_differs_from_the_base_is_said(tmp_path: Path, files: dict[str, object], said: list[str]) -> None:
    found = find_extras([write(tmp_path / "calm", **files)], "A", LetterPrompts())
    assert len(found) == len(said)
    for note, words in zip(found, said, strict=True):
        assert note.startswith("calm comes with")
        assert words in note


def test_a_gguf_adapter_has_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("B")
    assert find_extras([Adapter("a", tmp_path / "a.gguf", "gguf")], "A", LetterPrompts()) == ()
