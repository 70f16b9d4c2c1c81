from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from workbench import files
from workbench.errors import FileChangedError, PromptError
from workbench.library.autosave import AutosaveStore
from workbench.library.library import Library
from workbench.library.workspace import Workspace
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import load_bench
from workbench.runs.bench_autosave import BenchAutosave
from workbench.runs.prompt_rename import apply_rename, list_users, plan_rename
from workbench.runs.session import Session
from workbench.settings import Settings

DEMO = """\
# Ours.
dataset: {path: "cases.jsonl"}   # beside it
scorers:
  - exact_match
  - judge: {model: m, prompt: queues/plain, name: 'j'}
variants:
  - name: 'a'
    prompt: "queues/plain"   # the one
    model: m
  - {name: b, prompt: queues/plain, model: m, sampling: {max_tokens: 0x10}}
  # kept
  - name: c
    prompt: queues/few-shot
    model: m
keep:
  - {name: k, dataset: {path: cases.jsonl}, prompt: queues/plain}
"""
ELSEWHERE = "library: ../prompts\nvariants:\n  - {name: x, prompt: 'queues/plain', model: m}\n"
RECIPE = "base: b  # small\nbench: ../prompts/demo.bench.yaml\nprompt: queues/plain\n"
FEW_SHOT = "---\nmetadata:\n  workbench:\n    examples: examples.jsonl\n---\nuser:\n{{ message }}\n"
EXAMPLES = '{"id": "e1", "message": "lost",  "answer": "Lantern"}\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    folder = tmp_path / "project"
    texts = {
        "prompts/queues/plain.prompty": "user:\n{{ message }}\n",
        "prompts/queues/few-shot.prompty": FEW_SHOT,
        "prompts/queues/examples.jsonl": EXAMPLES,
        "prompts/demo.bench.yaml": DEMO,
        "prompts/cases.jsonl": '{"message": "m", "expected": "e"}\n',
        "benches/other.bench.yaml": ELSEWHERE,
        "benches/tune.recipe.yaml": RECIPE,
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / ".git").mkdir()
    return folder


@pytest.fixture
def library(project: Path, tmp_path: Path) -> Library:
    shipped = tmp_path / "shipped"
    (shipped / "queues").mkdir(parents=True)
    (shipped / "queues" / "described.prompty").write_text("user:\n{{ message }}\n")
    return Library(project / "prompts", shipped, tmp_path / "trash")


def test_a_draft_of_another_bench_follows_with_its_file(project, library, tmp_path):
    drafts, path = tmp_path / "drafts", project / "prompts/demo.bench.yaml"
    left = BenchAutosave(AutosaveStore(drafts, "1 0"), path)
    left.keep(msgspec.structs.replace(load_bench(path), repeats=3), {}, files.digest(path))
    apply_rename(
        plan_rename(library, "queues/plain", "queues/short", Settings()), library, AutosaveStore(drafts), Settings()
    )
    found = BenchAutosave(AutosaveStore(drafts), path).find()
    assert found is not None
    assert [variant.prompt for variant in found.bench.variants] == ["queues/short", "queues/short", "queues/few-shot"]
    assert (found.bench.repeats, found.digest) == (3, files.digest(path))


@pytest.fixture
def autosaves(tmp_path: Path) -> AutosaveStore:
    return AutosaveStore(tmp_path / "drafts")


def read_all(project: Path) -> dict[str, str]:
    return {
        path.relative_to(project).as_posix(): path.read_text() for path in sorted(project.rglob("*")) if path.is_file()
    }


def test_a_renamed_prompt_is_renamed_in_every_bench_and_recipe_byte_for_byte(project, library, autosaves):
    before = read_all(project)
    plan = plan_rename(library, "queues/plain", "queues/short", Settings())
    assert read_all(project) == before
    apply_rename(plan, library, autosaves, Settings())
    expected = {
        name: text.replace("queues/plain", "queues/short") if name.endswith(".yaml") else text
        for name, text in before.items()
    }
    expected["prompts/queues/short.prompty"] = expected.pop("prompts/queues/plain.prompty")
    assert read_all(project) == expected


def test_the_preview_names_every_file_and_line(project, library):
    text = plan_rename(library, "queues/plain", "queues/short", Settings()).describe(project)
    assert text.splitlines() == [
        "prompts/queues/plain.prompty → prompts/queues/short.prompty",
        "benches/other.bench.yaml",
        "     3 - - {name: x, prompt: 'queues/plain', model: m}",
        "     3 + - {name: x, prompt: 'queues/short', model: m}",
        "benches/tune.recipe.yaml",
        "     3 - prompt: queues/plain",
        "     3 + prompt: queues/short",
        "prompts/demo.bench.yaml",
        "     5 - - judge: {model: m, prompt: queues/plain, name: 'j'}",
        "     5 + - judge: {model: m, prompt: queues/short, name: 'j'}",
        '     8 - prompt: "queues/plain"   # the one',
        '     8 + prompt: "queues/short"   # the one',
        "    10 - - {name: b, prompt: queues/plain, model: m, sampling: {max_tokens: 0x10}}",
        "    10 + - {name: b, prompt: queues/short, model: m, sampling: {max_tokens: 0x10}}",
        "    16 - - {name: k, dataset: {path: cases.jsonl}, prompt: queues/plain}",
        "    16 + - {name: k, dataset: {path: cases.jsonl}, prompt: queues/short}",
        "3 files and 6 lines change.",
    ]


def test_a_prompt_that_moves_takes_its_own_examples_along(project, library, autosaves):
    plan = plan_rename(library, "queues/few-shot", "routing/shown", Settings())
    assert "prompts/queues/examples.jsonl → prompts/routing/" in plan.describe(project)
    apply_rename(plan, library, autosaves, Settings())
    assert not (project / "prompts/queues/examples.jsonl").exists()
    assert (project / "prompts/routing/examples.jsonl").read_text() == EXAMPLES
    assert (project / "prompts/routing/shown.prompty").read_text() == FEW_SHOT
    assert "prompt: routing/shown" in (project / "prompts/demo.bench.yaml").read_text()


def test_examples_that_another_prompt_has_stay_for_it(project, library, autosaves):
    (project / "prompts/queues/other.prompty").write_text(FEW_SHOT)
    plan = plan_rename(library, "queues/few-shot", "routing/shown", Settings())
    assert "it stays for other prompts" in plan.describe(project)
    apply_rename(plan, library, autosaves, Settings())
    assert len(library.open("queues/other").prompt.examples) == len(library.open("routing/shown").prompt.examples) == 1


def test_a_bench_that_was_changed_meanwhile_leaves_everything_as_it_was(project, library, autosaves):
    plan = plan_rename(library, "queues/few-shot", "routing/shown", Settings())
    other = plan_rename(library, "queues/plain", "routing/plain", Settings())
    bench = project / "prompts/demo.bench.yaml"  # the last one that is written
    bench.write_text(DEMO + "# typed meanwhile\n")
    before = read_all(project)
    for one in (plan, other):
        with pytest.raises(FileChangedError):
            apply_rename(one, library, autosaves, Settings())
        assert read_all(project) == before


def test_a_file_that_cannot_be_read_is_named_and_left_alone(project, library, autosaves):
    (project / "broken.bench.yaml").write_text("variants: [\n")
    plan = plan_rename(library, "queues/plain", "queues/short", Settings())
    assert f"Not looked at: {project}/broken.bench.yaml:" in plan.describe(project)
    apply_rename(plan, library, autosaves, Settings())
    assert (project / "broken.bench.yaml").read_text() == "variants: [\n"


def test_a_bench_that_could_not_name_the_prompt_any_more_is_a_reason_to_refuse(project, library):
    (project / "benches/inner.bench.yaml").write_text(
        "library: ../prompts/queues\nvariants:\n  - {name: x, prompt: plain, model: m}\n"
    )
    assert len(plan_rename(library, "queues/plain", "queues/short", Settings()).edits) == 4
    with pytest.raises(PromptError, match=r"inner\.bench\.yaml could not name"):
        plan_rename(library, "queues/plain", "routing/plain", Settings())


def test_the_name_of_a_shipped_prompt_that_a_bench_uses_is_refused(project, library):
    bench = project / "prompts/demo.bench.yaml"
    bench.write_text(DEMO.replace("queues/few-shot", "queues/described"))
    with pytest.raises(PromptError, match="uses the shipped prompt queues/described"):
        plan_rename(library, "queues/plain", "queues/described", Settings())


def test_drafts_of_an_earlier_session_follow(project, library, tmp_path):
    drafts, dead = tmp_path / "drafts", "1 0"
    left = Workspace(library, AutosaveStore(drafts, dead))
    left.prompt("queues/plain")
    left.edit("queues/plain", Prompt("queues/plain", "user:\nTyped.\n"))
    apply_rename(
        plan_rename(library, "queues/plain", "queues/short", Settings()), library, AutosaveStore(drafts), Settings()
    )
    opened = Workspace(library, AutosaveStore(drafts))
    assert opened.recover(["queues/short"]) == ()
    assert opened.prompt("queues/short").body == "user:\nTyped.\n"
    assert opened.edited == ("queues/short",)


def test_an_open_bench_goes_on_with_the_new_name_and_its_unsaved_changes(project):
    session = Session(project / "prompts/demo.bench.yaml", Settings())
    session.edit_prompt("queues/plain", "user:\nTyped.\n")
    session.change_variant(0, name="renamed")
    session.rename_prompt(session.plan_rename("queues/plain", "queues/short"))
    assert [variant.prompt for variant in session.variants] == ["queues/short", "queues/short", "queues/few-shot"]
    assert session.prompt("queues/short").body == "user:\nTyped.\n"
    assert session.unsaved == ("queues/short", "demo.bench.yaml")
    session.save()
    text = DEMO.replace("queues/plain", "queues/short").replace("'a'", "'renamed'")
    assert (project / "prompts/demo.bench.yaml").read_text() == text
    assert not (project / "prompts/queues/plain.prompty").exists()


def test_the_users_of_a_prompt_are_listed(project, library):
    found = [path.name for path in list_users(library, "queues/plain", Settings())]
    assert found == ["other.bench.yaml", "tune.recipe.yaml", "demo.bench.yaml"]
    assert list_users(library, "queues/nothing", Settings()) == ()


CHAIN = """\
# Two calls.
steps:
  - name: first
    prompt: queues/plain  # the one
  - {name: second, template: "{{ steps.first.text }}", verify: {prompt: queues/plain, check: accepted}}
"""
STEPPED = "---\nname: s\nsteps:\n  - {name: first, prompt: 'queues/plain'}\n---\nuser:\nqueues/plain {{ message }}\n"


def test_the_steps_of_chains_follow_a_renamed_prompt(project, library, autosaves):
    (project / "prompts/queues/two.chain.yaml").write_text(CHAIN)
    (project / "prompts/stepped.prompty").write_text(STEPPED)
    assert "two.chain.yaml" in [path.name for path in list_users(library, "queues/plain", Settings())]
    plan = plan_rename(library, "queues/plain", "queues/short", Settings())
    apply_rename(plan, library, autosaves, Settings())
    assert (project / "prompts/queues/two.chain.yaml").read_text() == CHAIN.replace("queues/plain", "queues/short")
    changed = STEPPED.replace("'queues/plain'", "'queues/short'")  # what the body says is text, not a name
    assert (project / "prompts/stepped.prompty").read_text() == changed


def test_a_chain_that_cannot_be_read_is_named_and_left(project, library):
    (project / "prompts/torn.prompty").write_text("---\nsteps:\n  - {name: first, prompt: queues/plain}\n")
    (project / "prompts/bad.chain.yaml").write_text("steps: [\n")
    text = plan_rename(library, "queues/plain", "queues/short", Settings()).describe(project)
    assert "Not looked at:" in text and "torn.prompty" in text and "bad.chain.yaml" in text


def test_an_open_chain_goes_on_with_the_new_name_and_its_unsaved_changes(project):
    (project / "prompts/stepped.prompty").write_text(STEPPED)
    (project / "prompts/read.prompty").write_text(STEPPED)
    session = Session(project / "prompts/demo.bench.yaml", Settings())
    assert session.prompt("read").steps[0].prompt == "queues/plain"
    session.edit_prompt("stepped", "user:\nTyped {{ message }}\n")
    session.rename_prompt(session.plan_rename("queues/plain", "queues/short"))
    assert session.prompt("read").steps[0].prompt == "queues/short"
    assert session.prompt("stepped").steps[0].prompt == "queues/short"
    assert session.prompt("stepped").body == "user:\nTyped {{ message }}\n"
    session.save()
    text = (project / "prompts/stepped.prompty").read_text()
    assert text == STEPPED.replace("'queues/plain'", "'queues/short'").replace("queues/plain {{", "Typed {{")
