"""What a bench allows its own Python scorers: a network, variables of the environment; and nothing that it does not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.scoring import confinement_probe
from workbench.scoring.confinement_probe import describe_unconfined, find_unconfined
from workbench.scoring.scorer import Score
from workbench.scoring.scorer_set import ScorerSet
from workbench.scoring.trust import describe_code, find_untrusted, trust

PATIENCE = 60
KEY = "sk-4711-very-secret"
SHOW = "import json, os\ndef score(answer): return 1, json.dumps(sorted(os.environ))\n"
CALL = """
import socket
def score(answer):
    with socket.create_connection(("127.0.0.1", {port}), 5) as judge:
        return 1, judge.recv(20).decode()
"""

Ask = Callable[..., tuple[Score, ...]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MY_API_KEY", KEY)
    monkeypatch.setenv("OTHER_TOKEN", "another-secret")
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return project


@pytest.fixture
def ask(folder: Path) -> Iterator[Ask]:
    """The scores of an answer by these specs, all agreed to."""
    opened: list[ScorerSet] = []

    def score(*specs: Any) -> tuple[Score, ...]:
        trust(find_untrusted(specs, folder))
        opened.append(ScorerSet(specs, folder))
        return opened[-1].score("a", Case(1, {})).result(PATIENCE)

    yield score
    for scoring in opened:
        scoring.close()


@pytest.fixture
def judge_port() -> Iterator[int]:
    """Something that answers over the network."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"well done")

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


def python(**options: Any) -> dict[str, Any]:
    return {"python": {"file": "judge.py", "timeout_seconds": 30, **options}}


def test_with_the_option_a_judge_behind_an_api_is_reached(folder, ask, judge_port):
    (folder / "judge.py").write_text(CALL.format(port=judge_port))
    (found,) = ask(python(network=True))
    assert (found.value, found.explanation) == (1, "well done"), found


def test_one_with_a_network_lends_it_to_no_other(folder, ask, judge_port):
    if find_unconfined():
        pytest.skip("this system cannot take a network away")
    (folder / "judge.py").write_text(CALL.format(port=judge_port))
    (folder / "other.py").write_text(CALL.format(port=judge_port))
    first, second = ask(python(network=True), {"python": {"file": "other.py", "name": "other"}})
    assert first.value == 1, first
    assert second.unscored == "error"
    assert "`network: true` in its options allows that" in second.explanation


def test_it_sees_the_variables_that_are_named_and_no_others(folder, ask):
    (folder / "judge.py").write_text(SHOW)
    (found,) = ask(python(environment=["MY_API_KEY"]))
    names = json.loads(found.explanation)
    assert "MY_API_KEY" in names
    assert "OTHER_TOKEN" not in names


def test_without_the_option_it_sees_none_of_them(folder, ask):
    (folder / "judge.py").write_text(SHOW)
    (found,) = ask(python())
    assert not {"MY_API_KEY", "OTHER_TOKEN"} & set(json.loads(found.explanation))


@pytest.mark.parametrize(
    "body",
    [
        "return 1, 'asked with ' + os.environ['MY_API_KEY']",
        "raise RuntimeError('401 for Bearer ' + os.environ['MY_API_KEY'])",
        "print(os.environ['MY_API_KEY'], flush=True); os._exit(3)",
        "return {'score': 1, 'extracted': os.environ['MY_API_KEY']}",
    ],
)
def test_a_key_that_it_says_is_in_no_score(folder, ask, body):
    (folder / "judge.py").write_text(f"import os\ndef score(answer):\n    {body}\n")
    (found,) = ask(python(environment=["MY_API_KEY"]))
    told = found.extracted + found.explanation + found.details
    assert KEY not in told
    assert "[MY_API_KEY]" in told


def test_a_variable_that_is_not_set_is_said_before_anything_is_judged(folder, monkeypatch):
    (folder / "judge.py").write_text(SHOW)
    monkeypatch.delenv("MY_API_KEY")
    spec = python(environment=["MY_API_KEY"])
    trust(find_untrusted([spec], folder))
    with pytest.raises(ScorerError, match="expected MY_API_KEY to be set"):
        ScorerSet([spec], folder)


@pytest.mark.parametrize("names", [["A=B"], [""], ["MY KEY"], ["1ST"], ["K\0"], ["K\n"]])
def test_what_is_no_name_of_a_variable_is_refused(folder, names):
    (folder / "judge.py").write_text(SHOW)
    trust(find_untrusted([python(environment=names)], folder))
    with pytest.raises(ScorerError, match="expected names of variables"):
        ScorerSet([python(environment=names)], folder)


CHANGES = [
    ({}, {"network": True}),
    ({}, {"environment": ["MY_API_KEY"]}),
    ({"environment": ["MY_API_KEY"]}, {"environment": ["MY_API_KEY", "OTHER_TOKEN"]}),
    ({"network": True}, {"network": True, "environment": ["MY_API_KEY"]}),
    ({"environment": ["MY_API_KEY"]}, {}),
]


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_changed_option_is_asked_about_again(folder, before, after):
    (folder / "judge.py").write_text(SHOW)
    trust(find_untrusted([python(**before)], folder))
    assert find_untrusted([python(**before)], folder) == ()
    (asked,) = find_untrusted([python(**after)], folder)
    assert asked.permissions.network == after.get("network", False)
    with pytest.raises(ScorerError, match="nobody has agreed to"):
        ScorerSet([python(**after)], folder)


def test_the_order_of_names_and_other_options_ask_nothing(folder):
    (folder / "judge.py").write_text(SHOW)
    trust(find_untrusted([python(environment=["MY_API_KEY", "OTHER_TOKEN"])], folder))
    assert find_untrusted([python(environment=["OTHER_TOKEN", "MY_API_KEY"], scale="free", name="x")], folder) == ()


def test_parts_that_share_a_process_are_agreed_to_with_all_that_it_may_use(folder):
    (folder / "judge.py").write_text(SHOW)
    (folder / "other.py").write_text(SHOW)
    parts = [python(network=True), {"python": {"file": "other.py", "environment": ["MY_API_KEY"]}}]
    found = find_untrusted([{"combined": {"parts": parts}}], folder)
    assert [Path(code.file).name for code in found] == ["judge.py", "other.py"]
    assert {(code.permissions.network, code.permissions.environment) for code in found} == {(True, ("MY_API_KEY",))}


def test_the_same_file_with_two_permissions_is_asked_about_for_each(folder):
    (folder / "judge.py").write_text(SHOW)
    assert len(find_untrusted([python(), python(network=True, name="b"), python(name="c")], folder)) == 2


def test_the_question_says_what_it_may_use(folder):
    (folder / "judge.py").write_text(SHOW)
    told = describe_code(find_untrusted([python(network=True, environment=["MY_API_KEY"])], folder))
    assert "may use the network" in told
    assert "sees MY_API_KEY of your environment" in told


def test_what_the_system_cannot_take_away_is_said_where_it_matters(folder, monkeypatch):
    (folder / "judge.py").write_text(SHOW)
    monkeypatch.setattr(confinement_probe, "find_unconfined", lambda: ("the network (Operation not permitted)",))
    plain, connected = (find_untrusted([python(network=network)], folder) for network in (False, True))
    assert "the network (Operation not permitted)" in describe_unconfined(plain)
    assert describe_unconfined(connected) == ""
    monkeypatch.setattr(confinement_probe, "find_unconfined", lambda: ())
    assert describe_unconfined(plain) == ""
