"""Exports carry pictures, conversations, completions and template variables, or refuse them by name."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from workbench import paths
from workbench.errors import WorkbenchError
from workbench.interop.exporting import export
from workbench.settings import Settings

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
BENCH = """\
library: .
dataset: {{path: rows.json}}
models: {{m: {{path: {model}}}}}
variants:
  - {{name: one, prompt: own, model: m{more}}}
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))

    def make(prompt: str, row: dict, more: str = "") -> str:
        (tmp_path / "own.prompty").write_text(prompt)
        (tmp_path / "rows.json").write_text(json.dumps([row]))
        (tmp_path / "dot.png").write_bytes(PNG)
        path = tmp_path / "own.bench.yaml"
        path.write_text(BENCH.format(model=paths.find_shipped("assets/desk-q8_0.gguf"), more=more))
        return str(path)

    return make


def request(bench: str, form: str = "llama-server") -> dict:
    found = export(bench, form, "", 1, Settings())
    return json.loads(found.files["request.json" if form == "llama-server" else "own.json"])


def test_a_picture_is_a_part_of_its_message(write):
    bench = write("---\ninputs: {photo: {kind: image}}\n---\nuser:\nSee {{ photo }}?\n", {"photo": "dot.png"})
    (message,) = request(bench)["messages"]
    assert [part["type"] for part in message["content"]] == ["text", "image_url", "text"]
    assert message["content"][1]["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    with pytest.raises(WorkbenchError, match="`photo` of own is of kind image"):
        export(bench, "dotprompt", "", 1, Settings())


def test_a_conversation_so_far_is_messages_of_the_request(write):
    row = {"earlier": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "q": "c"}
    bench = write("---\ninputs: {earlier: {kind: thread}}\n---\n{{ earlier }}\nuser:\n{{ q }}\n", row)
    found = [(one["role"], one["content"]) for one in request(bench, "openai")["messages"]]
    assert found == [("user", "a"), ("assistant", "b"), ("user", "c")]
    with pytest.raises(WorkbenchError, match="`earlier` of own is of kind thread"):
        export(bench, "python", "", 1, Settings())


def test_a_completion_is_sent_as_one(write):
    bench = write("---\nmetadata: {workbench: {mode: completion}}\n---\nOnce {{ q }}\n", {"q": "upon"})
    found = export(bench, "llama-server", "", 1, Settings())
    assert json.loads(found.files["request.json"])["prompt"] == "Once upon"
    assert any("/v1/completions" in note for note in found.notes)
    for form in ("modelfile", "python"):
        with pytest.raises(WorkbenchError, match="is a completion"):
            export(bench, form, "", 1, Settings())


def test_what_the_prompts_file_sets_goes_along_unless_the_variant_keeps_the_default(write):
    prompt = "---\nmodel: {options: {temperature: 0.9, topK: 5}}\n---\nuser:\n{{ q }}\n"
    script = export(write(prompt, {"q": "x"}), "llama-server", "", 1, Settings()).files["llama-server.sh"]
    assert "--temp 0.9 " in script and "--top-k 5 " in script
    kept = write(prompt, {"q": "x"}, ", default_sampling: [temperature]")
    script = export(kept, "llama-server", "", 1, Settings()).files["llama-server.sh"]
    assert "--temp 0.0 " in script and "--top-k 5 " in script


def test_variables_of_the_chat_template_are_in_the_script_and_the_request(write):
    bench = write("user:\n{{ q }}\n", {"q": "x"}, ", chat_template_kwargs: {tone: 'a b'}")
    found = export(bench, "llama-server", "", 1, Settings())
    assert """--chat-template-kwargs '{"tone":"a b"}'""" in found.files["llama-server.sh"]
    assert json.loads(found.files["request.json"])["chat_template_kwargs"] == {"tone": "a b"}


def test_a_sampling_that_neither_script_nor_request_holds_is_listed(write):
    bench = write("user:\n{{ q }}\n", {"q": "x"}, ", sampling: {top_k: 3, min_tokens: 2, mirostat: 1}")
    losses = export(bench, "llama-server", "", 1, Settings()).losses.losses
    assert [one.reason for one in losses] == ["min_tokens"]
