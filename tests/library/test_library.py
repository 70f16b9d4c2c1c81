from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from workbench import paths
from workbench.errors import FileChangedError, FileError, PromptError
from workbench.library.library import Library
from workbench.library.search import parse_query
from workbench.prompting.prompt import Example, Prompt
from workbench.prompting.render import render

FEW_SHOT = """---
description: Answered messages show the way.  # seen in the list
metadata:
  workbench:
    examples: examples.jsonl
    placement: turns
---
system:
Route.

user:
{{ message }}
"""
EXAMPLES = (
    '{"id": "e1", "message": "lost",  "answer": "Lantern"}\n{"id": "e2", "message": "paid", "answer": "Abacus"}\n'
)
NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    folder = tmp_path / "shipped"
    (folder / "queues").mkdir(parents=True)
    (folder / "queues" / "few-shot.prompty").write_text(FEW_SHOT)
    (folder / "queues" / "examples.jsonl").write_text(EXAMPLES)
    (folder / "queues" / "plain.prompty").write_text("user:\n{{ message }}\n")
    return folder


@pytest.fixture
def library(tmp_path: Path, shipped: Path) -> Library:
    return Library(tmp_path / "own", shipped, tmp_path / "trash", clock=lambda: NOON)


@pytest.fixture
def own(tmp_path: Path, shipped: Path) -> Library:
    """The same prompts, as a person's own."""
    return Library(shipped, None, tmp_path / "trash", clock=lambda: NOON)


def names(library: Library, query: str = "") -> list[str]:
    return [entry.name for entry in library.entries() if parse_query(query).matches(entry)]


def list_files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_own_prompts_lie_over_the_shipped_ones(library: Library) -> None:
    library.save_as(Prompt("", "Mine."), "queues/plain")
    library.save_as(Prompt("", "Hello."), "hello")
    assert [(entry.name, entry.read_only) for entry in library.entries()] == [
        ("hello", False),
        ("queues/few-shot", True),
        ("queues/plain", False),
    ]
    assert library.open("queues/plain").prompt.body == "Mine."


def test_the_search_looks_at_names_descriptions_and_texts(library: Library) -> None:
    assert names(library, "SHOT queues") == ["queues/few-shot"]
    assert names(library, "answered way") == ["queues/few-shot"]
    assert names(library, "message") == ["queues/few-shot", "queues/plain"]
    assert names(library, "message nowhere") == []


def test_the_line_with_the_most_words_of_a_search_is_found(library: Library) -> None:
    query = parse_query("few-shot way answered metadata")
    (entry,) = filter(query.matches, library.entries())
    assert query.find_line(entry) == (
        2,
        "description: Answered messages show the way.  # seen in the list",
    )
    assert parse_query("few-shot").find_line(entry) is None


def test_a_broken_prompt_is_listed_with_its_problem(library: Library) -> None:
    library.folder.mkdir()
    (library.folder / "broken.prompty").write_text("---\nnever: closed\n")
    (library.folder / "bytes.prompty").write_bytes(b"\xff")
    broken, binary = library.entries()[:2]
    assert "never closed" in broken.problem
    assert "not UTF-8" in binary.problem


def test_the_list_notices_a_file_that_changed(own: Library) -> None:
    assert names(own, "brandnew") == []
    own.folder.joinpath("queues/plain.prompty").write_text("brandnew text here")
    assert names(own, "brandnew") == ["queues/plain"]


def test_hidden_and_temporary_files_are_not_prompts(own: Library) -> None:
    (own.folder / ".plain.prompty.123.abc.tmp").write_text("torn")
    (own.folder / ".git").mkdir()
    (own.folder / ".git" / "x.prompty").write_text("not a prompt")
    assert names(own) == ["queues/few-shot", "queues/plain"]


def test_the_trash_and_what_a_project_installed_are_not_searched(tmp_path: Path) -> None:
    library = Library(tmp_path, None, tmp_path / "trash", clock=lambda: NOON)
    library.save_as(Prompt("", "b"), "kept")
    library.save_as(Prompt("", "b"), "gone")
    library.delete("gone")
    for folder in (".venv/lib", "env/lib", "web/node_modules/x"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.prompty").write_text("b")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    assert names(library) == ["kept"]


def test_opening_a_prompt_reads_its_examples(library: Library) -> None:
    opened = library.open("queues/few-shot")
    assert opened.read_only
    assert opened.prompt.examples[0] == Example("e1", {"message": "lost"}, "Lantern")


def test_a_name_that_is_not_there_suggests_near_ones(library: Library) -> None:
    with pytest.raises(PromptError, match="Did you mean queues/plain"):
        library.open("queue/plain")


@pytest.mark.parametrize(
    "name", ["../x", "a/../x", "/etc/passwd", "", "a//b", "a/", ".hidden", "a/.git", "a\\b", "a\0b", "x" * 300, " a"]
)
def test_a_name_never_leads_out_of_the_library(own: Library, name: str) -> None:
    for act in (own.open, own.delete, lambda name: own.save_as(Prompt("", "b"), name)):
        with pytest.raises(PromptError, match="cannot be a prompt's name"):
            act(name)


def test_a_link_out_of_the_library_is_neither_listed_nor_followed(own: Library, tmp_path: Path) -> None:
    secret = tmp_path / "secret.prompty"
    secret.write_text("secret")
    (own.folder / "link.prompty").symlink_to(secret)
    (own.folder / "out").symlink_to(tmp_path)
    assert names(own) == ["queues/few-shot", "queues/plain"]
    for name in ("link", "out/secret"):
        with pytest.raises(PromptError, match="leads out"):
            own.open(name)


@pytest.mark.parametrize("reference", ["../secret.jsonl", "/etc/passwd", "link.jsonl"])
def test_examples_are_not_read_from_outside_the_folder(own: Library, tmp_path: Path, reference: str) -> None:
    (tmp_path / "secret.jsonl").write_text(EXAMPLES)
    (own.folder / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    text = FEW_SHOT.replace("examples: examples.jsonl", f"examples: {reference}")
    (own.folder / "evil.prompty").write_text(text)
    with pytest.raises(PromptError, match="not in the prompt's own folder"):
        own.open("evil")


def test_a_missing_examples_file_is_an_error_that_names_it(own: Library) -> None:
    (own.folder / "queues" / "examples.jsonl").unlink()
    with pytest.raises(FileError, match=r"examples\.jsonl"):
        own.open("queues/few-shot")


def test_saving_changes_what_was_edited_and_nothing_else(own: Library) -> None:
    opened = own.open("queues/few-shot")
    edited = replace(opened.prompt, body=opened.prompt.body.replace("Route.", "Route it. "))
    saved = own.save(opened, edited)
    assert saved == own.open("queues/few-shot")
    assert saved.path.read_text() == FEW_SHOT.replace("Route.", "Route it. ")
    assert (own.folder / "queues" / "examples.jsonl").read_text() == EXAMPLES


def test_saving_edited_examples_writes_the_changed_lines(own: Library) -> None:
    opened = own.open("queues/few-shot")
    first, second = opened.prompt.examples
    saved = own.save(opened, replace(opened.prompt, examples=(first, Example("e2", second.variables, "Anvil"))))
    assert (own.folder / "queues" / "examples.jsonl").read_text() == EXAMPLES.replace("Abacus", "Anvil")
    assert saved.path.read_text() == FEW_SHOT
    assert not own.changed(saved)


def test_examples_added_to_a_prompt_without_any_get_a_file_beside_it(own: Library) -> None:
    opened = own.open("queues/plain")
    example = Example("x", {"message": "m"}, "a")
    saved = own.save(opened, replace(opened.prompt, examples=(example,), placement="turns"))
    assert saved.prompt.examples == (example,)
    assert saved.examples_path == own.folder / "queues" / "plain.examples.jsonl"
    assert (own.folder / "queues" / "examples.jsonl").read_text() == EXAMPLES


def test_a_file_changed_by_another_program_is_not_overwritten(own: Library) -> None:
    opened = own.open("queues/plain")
    edited = replace(opened.prompt, body="mine")
    opened.path.write_text("theirs")
    assert own.changed(opened)
    with pytest.raises(FileChangedError):
        own.save(opened, edited)
    assert opened.path.read_text() == "theirs"
    assert own.save(opened, edited, force=True).path.read_text() == "mine"


def test_changed_examples_are_noticed_and_not_overwritten(own: Library) -> None:
    opened = own.open("queues/few-shot")
    assert opened.examples_path
    opened.examples_path.write_text(EXAMPLES + '{"id": "e3", "message": "new", "answer": "Anvil"}\n')
    assert own.changed(opened)
    with pytest.raises(FileChangedError):
        own.save(opened, replace(opened.prompt, body="mine", examples=()))
    assert "e3" in opened.examples_path.read_text()
    assert opened.path.read_text() == FEW_SHOT


def test_changed_examples_do_not_stand_in_the_way_of_a_prompt_whose_examples_were_not_edited(own: Library) -> None:
    first, second = own.open("queues/few-shot"), own.duplicate("queues/few-shot", "queues/second")
    own.save(first, replace(first.prompt, examples=first.prompt.examples[:1]))
    assert own.changed(second)
    saved = own.save(second, replace(second.prompt, body="user:\n{{ message }}!"))
    assert saved.prompt.examples == first.prompt.examples[:1]


def test_writing_over_a_changed_file_leaves_examples_that_were_not_edited(own: Library) -> None:
    opened = own.open("queues/few-shot")
    assert opened.examples_path
    opened.examples_path.write_text(EXAMPLES.replace("Abacus", "Anvil"))
    saved = own.save(opened, replace(opened.prompt, body="user:\nmine"), force=True)
    assert saved.prompt.examples[1].answer == "Anvil"


def test_a_prompt_deleted_by_another_program_is_noticed(own: Library) -> None:
    opened = own.open("queues/plain")
    opened.path.unlink()
    assert own.changed(opened)
    with pytest.raises(FileChangedError):
        own.save(opened, opened.prompt)


def test_saving_a_shipped_prompt_writes_a_copy_of_one_s_own(library: Library, shipped: Path) -> None:
    opened = library.open("queues/few-shot")
    saved = library.save(opened, replace(opened.prompt, body="user:\n{{ message }}?"))
    assert saved.path == library.folder / "queues" / "few-shot.prompty"
    assert not saved.read_only
    assert saved.prompt.examples == opened.prompt.examples
    assert "# seen in the list" in saved.source
    assert (shipped / "queues" / "few-shot.prompty").read_text() == FEW_SHOT
    assert library.open("queues/few-shot") == saved


def test_a_copy_that_appeared_meanwhile_is_not_overwritten(library: Library) -> None:
    opened = library.open("queues/plain")
    library.save_as(Prompt("", "by another program"), "queues/plain")
    with pytest.raises(FileChangedError):
        library.save(opened, opened.prompt)
    assert library.open("queues/plain").prompt.body == "by another program"


def test_a_shipped_prompt_can_be_neither_renamed_nor_deleted(library: Library) -> None:
    for act in (library.delete, lambda name: library.rename(name, "new")):
        with pytest.raises(PromptError, match="is shipped"):
            act("queues/plain")


def test_saving_under_a_new_name_takes_comments_and_examples_along(own: Library) -> None:
    opened = own.open("queues/few-shot")
    saved = own.save_as(opened.prompt, "tickets/mine", opened)
    assert saved.prompt == replace(opened.prompt, name="tickets/mine")
    assert saved.source == FEW_SHOT
    assert (own.folder / "tickets" / "examples.jsonl").read_text() == EXAMPLES


def test_saving_under_a_new_name_beside_it_shares_the_same_examples(own: Library) -> None:
    opened = own.open("queues/few-shot")
    own.save_as(opened.prompt, "queues/second", opened)
    edited = replace(opened.prompt, examples=opened.prompt.examples[:1])
    third = own.save_as(edited, "queues/third", opened)
    assert third.prompt.examples == edited.examples
    assert list_files(own.folder / "queues") == [
        "examples.jsonl",
        "few-shot.prompty",
        "plain.prompty",
        "second.prompty",
        "third.examples.jsonl",
        "third.prompty",
    ]


def test_a_prompt_deleted_by_another_program_can_be_saved_under_its_name_again(own: Library) -> None:
    opened = own.open("queues/few-shot")
    assert opened.examples_path
    opened.path.unlink()
    opened.examples_path.unlink()
    assert own.save_as(opened.prompt, "queues/few-shot", opened) == opened


@pytest.mark.parametrize("act", ["save_as", "rename", "duplicate", "restore"])
def test_a_name_that_is_taken_is_refused(own: Library, act: str) -> None:
    opened = own.open("queues/plain")
    before = opened.source
    with pytest.raises(PromptError, match="already exists"):
        if act == "save_as":
            own.save_as(Prompt("", "x"), "queues/plain")
        elif act == "restore":
            trashed = own.delete("queues/plain")
            own.save_as(opened.prompt, "queues/plain", opened)
            own.restore(trashed)
        else:
            getattr(own, act)("queues/few-shot", "queues/plain")
    assert opened.path.read_text() == before


def test_renaming_moves_the_file_and_its_examples(own: Library) -> None:
    own.rename("queues/few-shot", "queues/shown")
    own.rename("queues/shown", "other/shown")
    assert names(own) == ["other/shown", "queues/plain"]
    assert own.open("other/shown").source == FEW_SHOT
    assert len(own.open("other/shown").prompt.examples) == 2


def test_a_broken_prompt_can_be_renamed(own: Library) -> None:
    (own.folder / "broken.prompty").write_text("---\nnever: closed\n")
    own.rename("broken", "mended")
    assert (own.folder / "mended.prompty").read_text() == "---\nnever: closed\n"


def test_a_name_may_hold_dots_and_spaces(own: Library) -> None:
    own.duplicate("queues/plain", "v1.2 final/plain v1.3")
    assert own.open("v1.2 final/plain v1.3").source == own.open("queues/plain").source


def test_a_deleted_prompt_lies_in_the_trash_and_comes_back(own: Library) -> None:
    trashed = own.delete("queues/few-shot")
    assert trashed == own.trash.folder / "20260301-120000-000000-1" / "queues" / "few-shot.prompty"
    assert names(own) == ["queues/plain"]
    assert own.trash.list() == (("queues/few-shot.prompty", trashed),)
    assert own.restore(trashed) == "queues/few-shot"
    assert own.open("queues/few-shot").source == FEW_SHOT
    assert own.trash.list() == ()


def test_two_prompts_deleted_at_once_are_both_kept(own: Library) -> None:
    first = own.delete("queues/plain")
    own.save_as(Prompt("", "second"), "queues/plain")
    second = own.delete("queues/plain")
    assert [path for _, path in own.trash.list()] == [second, first]
    assert second.read_text() == "second"


def test_only_files_of_the_trash_are_restored(own: Library) -> None:
    with pytest.raises(FileError, match="not in the trash"):
        own.restore(own.folder / "queues" / "plain.prompty")


def test_a_folder_that_cannot_be_written_loses_nothing(own: Library) -> None:
    if os.geteuid() == 0:
        (own.folder / "blocked").write_text("a file where a folder is needed")
        name = "blocked/x"
    else:
        own.folder.chmod(0o500)
        name = "new"
    with pytest.raises((FileError, PromptError)):
        own.duplicate("queues/plain", name)
    own.folder.chmod(0o700)
    assert names(own) == ["queues/few-shot", "queues/plain"]


def test_every_shipped_prompt_opens_renders_and_is_written_back_byte_for_byte(tmp_path: Path) -> None:
    library = Library(tmp_path, paths.find_shipped("prompts"), tmp_path / "trash")
    entries = library.entries()
    assert {entry.name.partition("/")[0] for entry in entries} >= {"queues", "fields", "change"}
    for entry in entries:
        opened = library.open(entry.name)
        assert entry.problem == "" and entry.description
        variables = dict.fromkeys(("message", "question"), "x")
        assert render(opened.prompt, variables, opened.prompt.examples)[-1].role == "user"
        assert library.duplicate(entry.name, f"copies/{entry.name}").source == opened.source


def test_opening_a_prompt_clears_what_a_killed_save_left(own: Library) -> None:
    path = own.open(own.entries()[0].name).path
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    left = path.parent / f".{path.name}.{int(gone.stdout)}.0a1b2c3d.tmp"
    alive = path.parent / f".{path.name}.{os.getppid()}.0a1b2c3d.tmp"
    left.write_text("torn")
    alive.write_text("half")
    own.open(own.entries()[0].name)
    assert not left.exists()
    assert alive.read_text() == "half"
