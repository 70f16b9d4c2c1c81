from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize("inner", [".", "deep/down"])
def test_the_names_of_prompts_are_the_same_from_every_folder(call, folder, monkeypatch, inner):
    (folder / inner).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder / inner)
    code, out, _ = call("prompts", "--json")
    own = [row["name"] for row in json.loads(out)["prompts"] if not row["read_only"]]
    assert (code, own) == (0, ["ask", "kind"])


def test_the_search_finds_texts_and_shows_the_line(call, folder):
    found = json.loads(call("prompts", "answer,", "PLEASE", "--json")[1])["prompts"]
    assert [(row["name"], row["line"], row["match"]) for row in found] == [("kind", 2, "{{ message }} Answer, please.")]
    assert "2: {{ message }} Answer, please." in call("prompts", "please")[1]


def test_a_renaming_is_shown_and_then_done(call, folder):
    text = (folder / "demo.bench.yaml").read_text()
    code, out, err = call("prompts", "rename", "ask", "queues/ask", "--dry-run")
    assert code == 0
    assert "ask.prompty → queues/ask.prompty" in out
    assert "+ - {name: plain, prompt: queues/ask, model: desk.script.json}" in out
    assert "1 file and 1 line change." in out
    assert "Nothing was changed." in err
    assert (folder / "demo.bench.yaml").read_text() == text
    assert call("prompts", "rename", "ask", "queues/ask")[0] == 0
    assert (folder / "demo.bench.yaml").read_text() == text.replace("prompt: ask", "prompt: queues/ask")
    assert call("compare", "demo.bench.yaml", "--json")[0] == 0


def test_a_prompt_is_copied_deleted_and_restored(call, folder):
    assert call("prompts", "copy", "ask", "queues/ask")[0] == 0
    assert (folder / "queues/ask.prompty").read_bytes() == (folder / "ask.prompty").read_bytes()
    code, _, err = call("prompts", "delete", "ask")
    assert code == 0
    assert "Still named by" in err
    assert "demo.bench.yaml" in err
    assert not (folder / "ask.prompty").exists()
    assert call("prompts", "trash")[1].startswith("ask  ")
    assert call("prompts", "restore", "ask")[0] == 0
    assert (folder / "ask.prompty").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rename", "ask"), "rename expects OLD NEW, found 1 name"),
        (("delete",), "delete expects NAME, found 0 names"),
        (("rename", "ask", "kind"), "already exists"),
        (("rename", "nothing", "kind2"), "No such prompt"),
        (("rename", "ask", "../ask"), "cannot be a prompt's name"),
        (("restore", "ask"), "No such prompt in the trash"),
        (("copy", "ask", "b", "--dry-run"), "--dry-run goes with rename alone"),
    ],
)
def test_what_cannot_be_done_is_said(call, folder, words, message):
    code, _, err = call("prompts", *words)
    assert code == 2
    assert message in err
