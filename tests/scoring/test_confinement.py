"""What a user's function can load, see and use in the process that runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from workbench.datasets import Case
from workbench.scoring.confinement_probe import find_unconfined
from workbench.scoring.protocol import bound_score
from workbench.scoring.scorer import Score
from workbench.scoring.scorer_set import ScorerSet
from workbench.scoring.trust import find_untrusted, trust
from workbench.store.store import Store  # noqa: F401  its import must not be needed by a scorer

PATIENCE = 60
SPEC = {"python": {"file": "judge.py", "scale": "free", "timeout_seconds": 30}}

Judge = Callable[[str], Score]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return project


@pytest.fixture
def judge(folder: Path) -> Iterator[Callable[..., Judge]]:
    """Makes a judge of a source: what it says of an answer."""
    opened: list[ScorerSet] = []

    def make(source: str, trusted: bool = True) -> Judge:
        (folder / "judge.py").write_text(source)
        if trusted:
            trust(find_untrusted([SPEC], folder))
        scoring = ScorerSet([SPEC], folder)
        opened.append(scoring)

        def score(text: str) -> Score:
            (found,) = scoring.score(text, Case(1, {})).result(PATIENCE)
            return found

        return score

    yield make
    for scoring in opened:
        scoring.close()


SAY = "def score(answer):\n    import json\n    return 1, json.dumps({})\n"


def test_neighbours_are_loaded_from_modules_and_packages(folder, judge):
    (folder / "helper.py").write_text("WORD = 'Lantern'")
    (folder / "rules").mkdir()
    (folder / "rules/__init__.py").write_text("from .deep import SIX")
    (folder / "rules/deep.py").write_text("SIX = 6")
    (folder / "bare").mkdir()
    (folder / "bare/leaf.py").write_text("SEVEN = 7")
    (folder / "lib").mkdir()
    (folder / "lib/far.py").write_text("EIGHT = 8")
    source = "import os, sys\nfrom helper import WORD\nimport rules, bare.leaf\n"
    source += "sys.path.append(os.path.join(os.path.dirname(__file__), 'lib'))\nimport far\n"
    source += "def score(answer): return (answer == WORD) + rules.SIX + bare.leaf.SEVEN + far.EIGHT"
    assert judge(source)("Lantern").value == 22


def test_a_file_beside_it_that_it_reads_is_found(folder, judge):
    (folder / "words.txt").write_text("Lantern")
    source = "from pathlib import Path\nWORDS = (Path(__file__).parent / 'words.txt').read_text()\n"
    assert judge(source + "def score(answer): return answer in WORDS")("Lantern").value == 1


@pytest.mark.parametrize(
    "load",
    [
        "import importlib; importlib.import_module('hel' + 'per')",
        "exec(open(FOLDER + '/hel' + 'per.py').read())",
        "import runpy; runpy.run_path(FOLDER + '/hel' + 'per.py')",
        "import sys; sys.path.insert(0, FOLDER); __import__('hel' + 'per')",
        "import importlib.util as u; s = u.spec_from_file_location('h', FOLDER + '/hel' + 'per.py');"
        " s.loader.exec_module(u.module_from_spec(s))",
    ],
)
def test_a_neighbour_that_nobody_agreed_to_is_not_run(folder, judge, load):
    (folder / "helper.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    source = "import os\nFOLDER = os.path.dirname(os.path.abspath(__file__))\n"
    source += f"def score(answer):\n    {load}\n    return 1\n"
    found = judge(source)("a")
    assert not (folder / "ran").exists()
    assert found.unscored == "error"


def test_a_neighbour_that_changes_after_it_was_agreed_to_is_not_run(folder, judge):
    (folder / "helper.py").write_text("rule = 1")
    ask = judge("def score(answer):\n    import helper\n    return helper.rule")
    (folder / "helper.py").write_text(f"rule = 1; open({str(folder / 'ran')!r}, 'w')")
    found = ask("a")
    assert not (folder / "ran").exists()
    assert "has changed since it was agreed to" in found.explanation


def test_a_compiled_file_is_not_run_in_place_of_its_source(folder, judge):
    import importlib.util
    import py_compile

    helper = folder / "helper.py"
    helper.write_text(f"rule = 2; open({str(folder / 'ran')!r}, 'w')")
    py_compile.compile(str(helper), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert Path(importlib.util.cache_from_source(str(helper))).exists()
    helper.write_text("rule = 1")
    assert judge("import helper\ndef score(answer): return helper.rule")("a").value == 1
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("name", ["json", "typing", "msgspec", "numpy", "jsonschema", "traceback", "inspect"])
def test_a_neighbour_does_not_stand_in_for_a_module_of_others(folder, judge, name):
    (folder / f"{name}.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    assert judge("def score(answer):\n    import json, traceback\n    return len(json.dumps([]))")("a").value == 2
    assert not (folder / "ran").exists()


def test_it_sees_no_secret_and_stands_in_an_empty_folder_of_its_own(folder, judge, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-4711-abc")
    monkeypatch.setenv("HF_TOKEN", "hf-4711-abc")
    source = (
        "import json, os, tempfile\nBEFORE = os.listdir()\n"
        "def score(answer):\n"
        "    open('mine', 'w').write('x')\n"
        "    told = dict(env=dict(os.environ), cwd=os.getcwd(), files=BEFORE, temp=tempfile.gettempdir())\n"
        "    return 1, json.dumps(told)\n"
    )
    said = json.loads(judge(source)("a").explanation)
    assert not [value for value in said["env"].values() if "4711-abc" in value]
    assert said["files"] == []
    assert said["cwd"] == said["temp"] != str(folder)
    assert stat.S_IMODE(Path(said["cwd"]).stat().st_mode) == 0o700


def test_its_folder_goes_with_it(folder, tmp_path):
    (folder / "judge.py").write_text("import os\ndef score(answer): return 1, os.getcwd()")
    trust(find_untrusted([SPEC], folder))
    scoring = ScorerSet([SPEC], folder)
    (found,) = scoring.score("a", Case(1, {})).result(PATIENCE)
    assert Path(found.explanation).is_dir()
    scoring.close()
    assert not Path(found.explanation).exists()


def test_limits_hold(judge):
    source = """
import json, resource
def score(answer):
    if answer == "memory":
        bytearray(1 << 50)
    if answer == "files":
        held = [open("/dev/null") for _ in range(5000)]
    if answer == "disk":
        with open("big", "wb") as big:
            big.truncate((1 << 30) + 1)
    return 1
"""
    ask = judge(source)
    assert "MemoryError" in ask("memory").explanation
    assert "Too many open files" in ask("files").explanation
    assert "File too large" in ask("disk").explanation
    assert ask("plain").value == 1


def test_there_is_no_network_or_it_is_said(judge, folder):
    server = socket.create_server(("127.0.0.1", 0))  # the system answers whoever connects
    port = server.getsockname()[1]
    (folder / "judge.py").write_text(
        f"import socket\ndef score(answer):\n    socket.create_connection(('127.0.0.1', {port}), 5)\n    return 1"
    )
    trust(find_untrusted([SPEC], folder))
    scoring = ScorerSet([SPEC], folder)
    (found,) = scoring.score("a", Case(1, {})).result(PATIENCE)
    scoring.close()
    server.close()
    kept = find_unconfined()
    assert (found.value == 1) == any("the network" in what for what in kept), (found, kept)


@pytest.mark.parametrize("text", ["e", "x" * 20_000_000])
def test_what_it_says_is_bounded(judge, text):
    source = (
        "def score(answer): return {'score': 1, 'explanation': answer * 3_000_000, 'extracted': answer * 3_000_000}"
    )
    if len(text) > 1:
        source = "def score(answer): raise ValueError(answer)"
    found = judge(source)(text)
    assert len(found.explanation) < 5_000
    assert "[cut: " in found.explanation
    assert len(found.details) < 50_000
    assert len(found.extracted) < 5_000


def test_half_characters_in_what_it_says_are_escaped(judge):
    assert judge("def score(answer): return 1, '\\ud800'")("a").explanation == "\\ud800"


def test_noise_without_end_on_its_streams_takes_no_memory(judge):
    source = "import os\ndef score(answer):\n    for _ in range(200): os.write(2, b'x' * 1_000_000)\n    return 1"
    before = psutil.Process().memory_info().rss
    assert judge(source)("a").value == 1
    assert psutil.Process().memory_info().rss - before < 100_000_000


def test_more_parts_than_anybody_reads_are_cut():
    assert len(bound_score(Score("s", 1, "", "", parts={str(number): 1.0 for number in range(5000)})).parts) == 200


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_an_answer_whose_process_something_kills_is_scored_all_the_same(judge, tmp_path, number):
    gate = tmp_path / "gate"
    gate.touch()
    source = (
        f"import os, time\ndef score(answer):\n    while os.path.exists({str(gate)!r}): time.sleep(0.01)\n    return 1"
    )
    ask = judge(source)
    scores: list[Score] = []
    asking = threading.Thread(target=lambda: scores.append(ask("a")))
    asking.start()
    first = wait_for_child(set())
    os.kill(first, number)
    second = wait_for_child({first})
    gate.unlink()
    asking.join(PATIENCE)
    assert second != first
    assert [(score.value, score.unscored) for score in scores] == [(1, "")]


def wait_for_child(known: set[int]) -> int:
    waited = threading.Event()
    for _ in range(6000):
        for child in psutil.Process().children():
            if child.pid not in known and child.status() != psutil.STATUS_ZOMBIE:
                return child.pid
        waited.wait(0.01)
    raise AssertionError("no process was started")


def test_an_answer_whose_process_always_ends_is_lost_and_says_how_often(judge):
    ask = judge("import os, signal\ndef score(answer): os.kill(os.getpid(), signal.SIGKILL)")
    found = ask("a")
    assert (found.applies, found.unscored) == (False, "lost")
    assert "4 times" in found.explanation


def test_this_process_is_not_confined():
    assert not any("confinement" in type(finder).__module__ for finder in sys.meta_path)
