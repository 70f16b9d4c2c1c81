"""Children: nothing in the user's working folder is imported, and relative paths still lead to the same file."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import files, paths
from workbench.inference.worker import spawn

SHADOWS = (
    "subprocess",
    "json",
    "typing",
    "ast",
    "contextlib",
    "msgspec",
    "threading",
    "signal",
    "numpy",
    "platformdirs",
)
SHADOWS += ("importlib", "encodings", "queue", "tempfile", "resource", "workbench", "torch", "llama_cpp", "psutil")
ECHO = "import os, sys; print(os.getcwd()); print([p for p in sys.path if p in ('', '.', os.getcwd())])"


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user stands in a folder where every module that a child imports first has a double, which leaves a mark."""
    folder = tmp_path / "project"
    folder.mkdir()
    mark = tmp_path / "ran"
    for name in SHADOWS:
        (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write({name!r}); raise SystemExit(3)\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    yield folder
    assert not mark.exists(), f"from the working folder ran: {mark.read_text()}"


def test_an_engine_starts_beside_shadowing_files_and_finds_its_model_by_a_relative_path(trap, tiny_gguf: Callable):
    from workbench.inference.pool import Pool
    from workbench.models.reference import Model

    (trap / "tiny.gguf").symlink_to(tiny_gguf("tiny"))
    pool = Pool()
    try:
        assert pool.load(Model("tiny", Path("tiny.gguf"))).result(60).architecture == "llama"
    finally:
        pool.close()


def test_the_scripted_engine_in_a_process_does_so_too(trap):
    from workbench.inference.pool import Pool
    from workbench.models.reference import Model

    (trap / "script.yaml").write_text("{}")
    pool = Pool(isolate=True)
    try:
        pool.load(Model("script", Path("script.yaml"), "scripted")).result(60)
    finally:
        pool.close()


def test_statistics_start_beside_shadowing_files(trap):
    from workbench.analysis.worker import StatisticsWorker

    with pytest.raises(Exception, match="No run in the store"):  # the child has read the store and answered
        calculator = StatisticsWorker(Path("store.sqlite"))
        try:
            calculator.rate("nowhere").result(60)
        finally:
            calculator.close()


def test_a_scorer_starts_beside_shadowing_files(trap):
    from workbench.datasets import Case
    from workbench.scoring.scorer_set import ScorerSet

    scoring = ScorerSet(["bleu"], trap)
    try:
        (score,) = scoring.score("a b c d", Case(1, {}, "a b c d")).result(60)
        assert score.applies
    finally:
        scoring.close()


def test_a_training_starts_beside_shadowing_files(trap):
    from workbench.training.job_dir import command

    with spawn.scratch() as folder:
        own = spawn.environment()
        done = subprocess.run(command(folder), env=own, cwd=folder, capture_output=True, text=True)
    assert "No training job" in done.stderr, done.stderr  # it came as far as looking for its job


def test_a_dry_run_starts_beside_shadowing_files(trap):
    from workbench.inference.worker.process import BlockingWorker, WorkerSpec
    from workbench.training.dry_run import DRY_RUN_REPLIES, DryRunRequest

    worker = BlockingWorker(WorkerSpec("workbench.training.child.preview"), DRY_RUN_REPLIES, "dry run")
    try:
        reply = worker.ask(DryRunRequest("a", "base: nowhere", str(trap)), 120)
    finally:
        worker.end()
    assert reply.refused  # it came as far as reading the recipe


def test_the_converter_starts_beside_shadowing_files(trap):
    with spawn.scratch() as folder:
        command = spawn.command("workbench.__main__", "convert", "--help")
        done = subprocess.run(command, env=spawn.environment(), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "GGUF" in done.stdout


@pytest.mark.parametrize("given", [".", "", f".{os.pathsep}", "../project", "sub"])
def test_a_relative_python_path_does_not_let_a_childs_own_folder_in(trap, monkeypatch, given):
    monkeypatch.setenv("PYTHONPATH", given)
    own = spawn.environment()
    with spawn.scratch() as folder:
        done = subprocess.run(
            [sys.executable, "-P", "-S", "-c", ECHO], env=own, cwd=folder, capture_output=True, text=True
        )
        assert done.stdout.splitlines() == [str(folder.resolve()), "[]"]
        grandchild = subprocess.run(
            [sys.executable, "-S", "-c", ECHO], env=own, cwd=folder, capture_output=True, text=True
        )
        assert grandchild.stdout.splitlines()[1] == "[]"
    assert own["PYTHONPATH"] == (str(trap / "sub") if given == "sub" else "")


def test_a_child_knows_where_the_user_stands_and_its_relative_home(trap, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", "home")
    (trap / "data.csv").write_text("a\n1\n")
    program = "from workbench import paths; print(paths.find_input('data.csv', paths.cache_folder()))"
    program += "; print(paths.data_folder())"
    with spawn.scratch() as folder:
        root = {"PYTHONPATH": str(Path(paths.__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-P", "-c", program],
            env=spawn.environment(**root),
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.splitlines() == [str(trap / "data.csv"), str(trap / "home/data")]


def test_a_foreign_function_sees_no_secret(trap, monkeypatch):
    for name in (
        "OPENAI_API_KEY",
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "DATABASE_URL",
        "SSH_AUTH_SOCK",
    ):
        monkeypatch.setenv(name, "secret-value")
    own = spawn.minimal_environment()
    assert "secret-value" not in own.values()
    assert own["PATH"] == os.environ["PATH"]


def test_a_scratch_folder_is_private_and_one_whose_process_is_gone_is_removed(trap):
    folder = spawn.make_scratch()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    left = folder.with_name(f"{gone.stdout.strip()}-0123456789ab")
    left.mkdir()
    (left / "half.bin").write_bytes(b"x")
    spawn.sweep_scratch()
    assert folder.exists()
    assert not left.exists()
    spawn.remove_scratch(folder)
    assert not folder.exists()


def test_a_limit_that_cannot_be_set_is_named(trap):
    assert spawn.limit_resources(RLIMIT_OF_NOTHING=1) == ("RLIMIT_OF_NOTHING",)


def test_the_users_own_files_are_readable_by_the_user_alone(trap, tmp_path):
    home = tmp_path / "home/data"
    (home / "drafts").mkdir(parents=True, mode=0o755)
    home.chmod(0o755)
    old = home / "drafts/old.json"
    old.write_text("{}")
    old.chmod(0o644)
    paths._make_private.cache_clear()
    folder = paths.data_folder()
    files.write_text(folder / "new/deep/draft.json", "{}")
    files.write_text(trap / "shared.txt", "for all")
    found = {path.relative_to(home): stat.S_IMODE(path.stat().st_mode) for path in (home, *home.rglob("*"))}
    assert {mode for path, mode in found.items() if path.suffix} == {0o600}
    assert {mode for path, mode in found.items() if not path.suffix} == {0o700}
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((trap / "shared.txt").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("old", [0o644, 0o666, 0o640])
def test_a_store_is_the_users_alone_and_one_that_was_open_to_others_is_closed(tmp_path, old):
    from workbench.store.store import Store

    path = tmp_path / "runs.sqlite"
    Store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(old)
    store = Store(path)
    with store.write() as connection:
        connection.execute("PRAGMA user_version")
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    store.close()
    assert set(modes.values()) == {0o600}, modes


def test_temporary_files_of_processes_that_are_gone_are_swept(tmp_path):
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    pid = gone.stdout.strip()
    left = tmp_path / "deep" / f".draft.json.{pid}.0a1b2c3d.tmp"
    left.parent.mkdir()
    mine = tmp_path / f".draft.json.{os.getpid()}.0a1b2c3d.tmp"
    foreign = tmp_path / "notes.tmp"
    for path in (left, mine, foreign):
        path.write_text("half")
    files.sweep(tmp_path)
    assert [path.exists() for path in (left, mine, foreign)] == [False, True, True]
