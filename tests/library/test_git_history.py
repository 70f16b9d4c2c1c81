from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from workbench.library import git_commands
from workbench.library.git_history import read_git_history
from workbench.library.versions import digest_prompt

EXAMPLES = '{"id": "e1", "message": "Hi", "answer": "Lantern"}\n'
HEAD = "---\nmetadata:\n  workbench: {examples: examples.jsonl, placement: turns}\n---\n"


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder, self._seconds = folder, 1_790_000_000
        folder.mkdir(exist_ok=True)
        self.git("init", "-q")

    def git(self, *arguments: str) -> None:
        moment = f"{self._seconds} +0000"
        named = {
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@b",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@b",
        }
        dated = {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment, "GIT_CONFIG_GLOBAL": os.devnull}
        subprocess.run(["git", *arguments], cwd=self.folder, check=True, env=os.environ | named | dated)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def commit(self, subject: str) -> None:
        self._seconds += 60
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "project")


def test_versions_are_followed_through_renamings_and_examples(repository):
    repository.write("p/ask.prompty", HEAD + "user:\nSay it: {{ message }}\n")
    repository.write("p/examples.jsonl", EXAMPLES)
    repository.commit("First: ü")
    repository.write("p/examples.jsonl", EXAMPLES + EXAMPLES.replace("e1", "e2"))
    repository.commit("One more example")
    repository.git("mv", "p/ask.prompty", "p/to ask.prompty")
    repository.commit("Rename")
    path = repository.write("p/to ask.prompty", HEAD + "user:\nSay it well: {{ message }}\n")
    repository.commit("Better words")
    found = read_git_history(path, "p/to ask")
    assert [one.commit.subject for one in found.prompts] == ["Better words", "Rename", "One more example", "First: ü"]
    assert [one.path for one in found.prompts] == ["p/to ask.prompty"] * 2 + ["p/ask.prompty"] * 2
    assert [len(one.prompt.examples) for one in found.prompts] == [2, 2, 2, 1]
    assert len({digest_prompt(one.prompt) for one in found.prompts}) == 3  # a renaming is no version
    assert found.complete and not found.problem
    assert not read_git_history(path, "p/to ask", most=2).complete


def test_a_version_that_cannot_be_read_is_told_and_costs_itself_alone(repository):
    path = repository.write("ask.prompty", "user:\nOne\n")
    repository.commit("One")
    path.write_bytes(b"\xff\xfe not a text")
    repository.commit("Bytes")
    path.write_text("---\ndescription: [\n---\nuser:\nTwo\n")
    repository.commit("Broken")
    repository.git("rm", "-q", "ask.prompty")
    repository.commit("Gone")
    path.write_text("user:\nThree\n")
    repository.commit("Back")
    found = read_git_history(path, "ask")
    assert [(one.commit.subject, one.prompt is None) for one in found.prompts] == [
        ("Back", False), ("Broken", True), ("Bytes", True), ("One", False),
    ]  # fmt: skip
    assert "not YAML" in found.prompts[1].problem


def test_without_a_repository_or_a_commit_there_is_no_history_and_no_problem(tmp_path, repository):
    (tmp_path / "ask.prompty").write_text("user:\nHi\n")
    assert read_git_history(tmp_path / "ask.prompty", "ask") == ((), True, "", False)
    assert read_git_history(repository.write("ask.prompty", "Hi"), "ask") == ((), True, "", False)


def test_git_that_is_missing_or_broken_is_a_problem_and_no_failure(repository, monkeypatch):
    path = repository.write("ask.prompty", "user:\nOne\n")
    repository.commit("One")
    (repository.folder / ".git/HEAD").write_text("nonsense")
    assert "git cannot read" in read_git_history(path, "ask").problem
    monkeypatch.setattr(git_commands.shutil, "which", lambda name: None)
    assert "not installed" in read_git_history(path, "ask").problem


def test_nothing_that_a_repository_names_is_run(repository, tmp_path):
    path = repository.write("ask.prompty", "user:\nOne\n")
    repository.write(".gitattributes", "*.prompty diff=evil filter=evil\n")
    repository.commit("One")
    path.write_text("user:\nTwo\n")
    repository.commit("Two")
    trace, script = tmp_path / "trace", tmp_path / "evil.sh"
    script.write_text(f'#!/bin/sh\necho "$0 $*" >> {trace}\ncat "$1" 2>/dev/null\n')
    script.chmod(0o755)
    commands = "core.fsmonitor core.pager core.editor gpg.program diff.external core.sshCommand pager.log core.gitProxy"
    drivers = "diff.evil.textconv diff.evil.command filter.evil.smudge filter.evil.clean"
    for key in f"{commands} {drivers}".split():
        repository.git("config", key, str(script))
    repository.git("config", "protocol.ext.allow", "always")
    repository.git("config", "core.repositoryFormatVersion", "1")
    repository.git("config", "log.showSignature", "true")
    repository.git("config", "alias.log", f"!{script}")
    repository.git("config", "extensions.partialClone", "origin")
    repository.git("config", "remote.origin.url", f"ext::{script}")
    repository.git("config", "remote.origin.promisor", "true")
    for hook in ("post-index-change", "pre-commit", "reference-transaction"):
        (repository.folder / ".git/hooks" / hook).symlink_to(script)
    assert [one.prompt.body for one in read_git_history(path, "ask").prompts] == ["user:\nTwo\n", "user:\nOne\n"]
    blob = next(file for file in (repository.folder / ".git/objects").rglob("*") if file.is_file())
    blob.unlink()  # a missing object would be fetched from the promisor
    assert not trace.exists()
    read_git_history(path, "ask")
    assert not trace.exists()


def test_worktrees_clones_and_states_of_head_have_the_history(repository, tmp_path):
    repository.write("deep/lib/ask.prompty", "user:\nOne\n")
    repository.write("deep/lib/other/ask.prompty", "user:\nAnother prompt of that name\n")
    repository.commit("One")
    repository.write("deep/lib/ask.prompty", "user:\nTwo\n")
    repository.commit("Two")

    def subjects(folder: Path, file: str = "deep/lib/ask.prompty") -> list[str]:
        return [one.commit.subject for one in read_git_history(folder / file, "ask").prompts]

    assert subjects(repository.folder) == ["Two", "One"]
    assert subjects(repository.folder, "deep/lib/other/ask.prompty") == ["One"]

    repository.git("worktree", "add", "-q", str(tmp_path / "tree"), "HEAD~1")  # its .git is a file, its HEAD detached
    assert subjects(tmp_path / "tree") == ["One"]

    (tmp_path / "link").symlink_to(repository.folder / "deep/lib")
    assert subjects(tmp_path / "link", "ask.prompty") == ["Two", "One"]
    (repository.folder / "deep/lib/same.prompty").symlink_to("ask.prompty")
    repository.commit("A link to it")
    held = read_git_history(repository.folder / "deep/lib/same.prompty", "same").prompts
    assert [one.prompt.body for one in held] == ["user:\nTwo\n", "user:\nOne\n"]

    repository.git("clone", "-q", "--depth=1", f"file://{repository.folder}", str(tmp_path / "shallow"))
    shallow = read_git_history(tmp_path / "shallow/deep/lib/ask.prompty", "ask")
    assert [one.prompt.body for one in shallow.prompts] == ["user:\nTwo\n"]
    assert shallow.shallow and not read_git_history(repository.folder / "deep/lib/ask.prompty", "ask").shallow

    repository.git("worktree", "remove", str(tmp_path / "tree"))
    repository.git("checkout", "-q", "--detach")
    for branch in ("master", "main"):
        if (repository.folder / f".git/refs/heads/{branch}").exists():
            repository.git("branch", "-q", "-D", branch)
    assert subjects(repository.folder) == ["Two", "One"]  # though no reference is left
    repository.git("branch", "-q", "kept")
    repository.git("checkout", "-q", "--orphan", "fresh")
    assert read_git_history(repository.folder / "deep/lib/ask.prompty", "ask") == ((), True, "", False)
