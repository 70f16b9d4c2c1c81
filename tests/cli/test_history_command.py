from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import msgspec
import pytest

CASES = [f"Message {number}" for number in range(40)]
SCRIPT = {
    "rules": [
        *({"contains": f"{case}. Route", "reply": "Lantern" if at < 36 else "Abacus"} for at, case in enumerate(CASES)),
        *({"contains": f"{case}. Send", "reply": "Lantern" if at < 12 else "Abacus"} for at, case in enumerate(CASES)),
        {"reply": "Harbour"},
    ],
    "context_tokens": 100_000,
}
BENCH = """\
variants:
  - {name: plain, prompt: ask, model: desk.script.json}
dataset: {path: cases.jsonl}
scorers: [exact_match]
"""


@pytest.fixture
def project(folder):
    """A prompt that was good, and was made worse."""
    (folder / "desk.script.json").write_text(json.dumps(SCRIPT))
    rows = [json.dumps({"message": case, "expected": "Lantern"}) for case in CASES]
    (folder / "cases.jsonl").write_text("\n".join(rows))
    (folder / "demo.bench.yaml").write_text(BENCH)
    write(folder, "Route it")
    return folder


def write(folder, words, name="ask"):
    (folder / f"{name}.prompty").write_text(f"---\ndescription: Asks.\n---\nuser:\n{{{{ message }}}}. {words}.\n")


def read(call, *arguments):
    code, out, _ = call("history", "ask", "--json", *arguments)
    assert code == 0
    return json.loads(out)


def test_versions_with_scores_and_verdicts(call, project):
    assert call("eval", "demo.bench.yaml")[0] == 0
    write(project, "Send it")
    assert call("eval", "demo.bench.yaml")[0] == 0
    found = read(call)
    newest, oldest = found["versions"]
    assert (newest["current"], oldest["current"]) == (True, False)
    assert "Route it" in oldest["prompt"]["body"]
    (group,) = found["groups"]
    assert (group["bench"], group["variant"], group["reference"]) == ("demo", "plain", newest["digest"])
    now, before = group["rows"]
    assert [round(row["result"]["score"]["value"], 2) for row in (now, before)] == [0.3, 0.9]
    assert before["result"]["score"]["n"] == 40
    assert before["result"]["score"]["low"] < 0.9 < before["result"]["score"]["high"]
    assert now["pair"] is None
    assert before["pair"]["verdict"] == "better"
    assert before["pair"]["n"] == 40
    out = call("history", "ask", "--sort", "verdict")[1]
    assert out.index(oldest["digest"][:8]) < out.index(f"{newest['digest'][:8]}  ")
    assert "better +0.60   < 0.001" in out


def test_two_versions_are_compared_and_one_is_restored(call, project, capsys):
    call("eval", "demo.bench.yaml")
    write(project, "Send it")
    call("eval", "demo.bench.yaml")
    newest, oldest = (version["digest"] for version in read(call)["versions"])
    code, out, _ = call("history", "ask", "--diff", oldest[:6], "current")
    assert code == 0
    assert "[-Route-]{+Send+} it" in out
    assert f"demo · plain: {newest[:8]} against {oldest[:8]}: worse -0.600" in out
    assert "Route it" in call("history", "ask", "--show", oldest)[1]
    code, _, err = call("history", "ask", "--restore", oldest[:8])
    assert (code, (project / "ask.prompty").read_text()) == (
        0,
        "---\ndescription: Asks.\n---\nuser:\n{{ message }}. Route it.\n",
    )
    kept = err.rsplit("trash: ", 1)[1].strip()
    assert "Send it" in Path(kept).read_text()
    assert read(call)["groups"][0]["reference"] == oldest
    assert "already reads as" in call("history", "ask", "--restore", "current")[2]


def test_a_renamed_prompt_keeps_its_history_and_its_namesake_has_none(call, project):
    call("eval", "demo.bench.yaml")
    assert call("prompts", "rename", "ask", "queues/ask")[0] == 0
    write(project, "Send it")
    code, out, _ = call("history", "queues/ask")
    assert code == 0
    assert "formerly ask" in out
    assert "0.90" in out
    assert read(call)["groups"] == []
    (project / "demo.bench.yaml").write_text(BENCH)  # a bench that was not there when it was renamed
    (project / "ask.prompty").unlink()
    assert "it was renamed to `queues/ask`" in call("eval", "demo.bench.yaml")[2]


def test_results_of_another_model_get_no_verdict(call, project):
    call("eval", "demo.bench.yaml")
    write(project, "Send it")
    (project / "desk.script.json").write_text(json.dumps({**SCRIPT, "context_tokens": 90_000}))
    call("eval", "demo.bench.yaml")
    row = read(call)["groups"][0]["rows"][1]
    assert (row["pair"], row["reason"]) == (None, "other model or settings")


def git(folder, *arguments):
    named = {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", *arguments], cwd=folder, check=True, env=os.environ | named)


def test_commits_are_versions_and_their_messages_stand_beside_the_scores(call, project):
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "A prompt that routes")
    call("eval", "demo.bench.yaml")
    write(project, "Never run")
    git(project, "commit", "-qam", "An idea")
    write(project, "Send it")
    call("eval", "demo.bench.yaml")
    found = read(call)
    assert [[one["subject"] for one in version["commits"]] for version in found["versions"]] == [
        [], ["An idea"], ["A prompt that routes"],
    ]  # fmt: skip
    out = call("history", "ask")[1]
    assert "A prompt that routes" in out
    assert "Never run" in out
    commit = found["versions"][2]["commits"][0]["id"]
    assert "Route it" in call("history", "ask", "--show", commit[:9])[1]


def test_a_chain_that_git_renamed_keeps_its_history_and_a_shallow_clone_says_what_it_lacks(
    call, project, tmp_path, monkeypatch
):
    steps = '  - {name: only, template: "user:\\n{{ message }}. Route it."}\n'
    (project / "first.chain.yaml").write_text(f"steps:\n{steps}")
    (project / "demo.bench.yaml").write_text(BENCH.replace("prompt: ask", "prompt: first"))
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "A chain")
    call("eval", "demo.bench.yaml")
    git(project, "mv", "first.chain.yaml", "second.chain.yaml")
    git(project, "commit", "-qm", "Rename")
    found = json.loads(call("history", "second", "--json")[1])
    assert found["names"] == ["second", "first"]
    assert [group["bench"] for group in found["groups"]] == ["demo"]
    git(project, "clone", "-q", "--depth=1", f"file://{project}", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    assert "The clone is shallow: its oldest commit stands for all before it." in call("history", "second")[2]


def test_a_prompt_of_a_further_folder_does_not_inherit_what_its_namesake_scored(call, project, tmp_path):
    further = tmp_path / "team"
    further.mkdir()
    write(further, "Route it")
    settings = tmp_path / "home/config/settings.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f'prompt_folders = ["{further}"]\n')
    assert call("eval", "demo.bench.yaml")[0] == 0
    assert call("prompts", "rename", "ask", "mine")[0] == 0
    assert read(call)["groups"] == []  # `ask` is the team's now
    assert len(json.loads(call("history", "mine", "--json")[1])["groups"]) == 1


def test_a_prompt_of_another_library_with_the_same_name_is_another_prompt(call, project, tmp_path, monkeypatch):
    call("eval", "demo.bench.yaml")
    other = tmp_path / "other"
    other.mkdir()
    write(other, "Route it")
    (other / "demo.bench.yaml").write_text(BENCH)
    monkeypatch.chdir(other)
    assert read(call)["groups"] == []
    moved = tmp_path / "moved"
    project.rename(moved)
    monkeypatch.chdir(moved)
    assert len(read(call)["groups"]) == 1  # its folder is gone, and the text is the same


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("history", "nothing"), "No such prompt"),
        (("history", "ask", "--show", "ffff"), "'ffff' is not a version of ask"),
        (("history", "ask", "--sort", "size"), "expected date, score, verdict"),
        (("history", "ask", "--bench", "other"), "No run of ask matches"),
        (("history", "../ask"), "cannot be a prompt's name"),
    ],
)
def test_wrong_questions(call, project, arguments, message):
    code, _, err = call(*arguments)
    assert code == 2
    assert message in err


def test_prompts_are_searched_by_tags_and_scores(call, project):
    call("eval", "demo.bench.yaml")
    (project / "good.prompty").write_text("---\nmetadata: {tags: [routing, Draft]}\n---\nuser:\n{{ message }}\n")

    def search(*arguments):
        code, out, _ = call("prompts", "--json", *arguments)
        assert code == 0
        return [row["name"] for row in json.loads(out)["prompts"] if row["origin"] == "own"]

    assert search("tag:routing", "TAG:draft") == ["good"]
    assert search("--search", "tag:route") == []
    assert search("score>=0.9") == ["ask"]
    assert search("score<0.9") == []
    assert search("message", "--sort", "score") == ["ask", "good", "kind"]
    assert "exact match 0.90, 40 cases, demo" in call("prompts")[1]
    write(project, "Send it")
    assert "exact match 0.90, 40 cases, demo, an earlier text" in call("prompts")[1]
    assert "'high' is not a number" in call("prompts", "score>high")[2]


def test_prompts_of_further_folders_are_found_and_copied_when_saved(call, project, tmp_path):
    further = tmp_path / "team"
    (further / "queues").mkdir(parents=True)
    write(further, "Ours", "queues/route")
    write(further, "Hidden by the project's", "ask")
    settings = tmp_path / "home/config/settings.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f'prompt_folders = ["{further}"]\n')
    rows = {row["name"]: row for row in json.loads(call("prompts", "--json")[1])["prompts"]}
    assert (rows["queues/route"]["origin"], rows["queues/route"]["read_only"]) == ("shared", True)
    assert rows["ask"]["origin"] == "own"
    assert "is in another folder and read-only here" in call("prompts", "delete", "queues/route")[2]
    assert call("run", "queues/route", "--var", "message=Message 1", "--model", "desk.script.json")[0] == 0
    assert call("prompts", "copy", "queues/route", "mine")[0] == 0
    assert "Ours" in (project / "mine.prompty").read_text()
    assert "Ours" in (further / "queues/route.prompty").read_text()


def test_a_version_that_only_a_pane_ran_is_listed_and_restored(call, project):
    from workbench.runs.opening import open_library
    from workbench.settings import load_settings

    call("eval", "demo.bench.yaml")
    library = open_library(load_settings())
    asked = library.open("ask").prompt
    library.note_pane_run(msgspec.structs.replace(asked, body=asked.body.replace("Route", "Bring")))
    out = call("history", "ask")[1]
    assert "Run in a pane, without scores" in out
    found = next(version for version in read(call)["versions"] if version["pane"])
    assert not found["current"] and "Bring it" in found["prompt"]["body"]
    assert call("history", "ask", "--restore", found["digest"])[0] == 0
    assert "Bring it" in (project / "ask.prompty").read_text()
