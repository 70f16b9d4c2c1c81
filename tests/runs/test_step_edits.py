"""The steps of a chain in an open bench: edited one by one, kept, undone and saved."""

from __future__ import annotations

import pytest

from workbench.errors import PromptError
from workbench.runs.generation import list_requests
from workbench.runs.session import Session
from workbench.settings import Settings

BENCH = """\
library: .
inputs: {message: Hello}
variants:
  - {name: chain, prompt: chain, model: desk.script.json}
  - {name: plain, prompt: plain, model: desk.script.json}
"""
CHAIN = """\
steps:  # two of them
  - name: extract
    template: |
      Extract {{ message }}
  - name: route
    prompt: plain
"""


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    (tmp_path / "chain.chain.yaml").write_text(CHAIN)
    (tmp_path / "plain.prompty").write_text("Route {{ message }}\n")
    (tmp_path / "desk.script.json").write_text('{"rules": []}')
    (tmp_path / "demo.bench.yaml").write_text(BENCH)
    return Session(tmp_path / "demo.bench.yaml", Settings())


def test_each_step_of_a_chain_can_be_edited_where_its_text_stands(session, tmp_path):
    inline, library = session.edit_targets(0)
    assert (inline.step, inline.prompt.body) == ("extract", "Extract {{ message }}\n")
    assert (library.name, library.step) == ("plain", "route")
    assert session.edit_prompt(inline.name, "Find {{ message }}\n")
    assert not session.edit_prompt(inline.name, "Find {{ message }}\n")
    assert session.edit_prompt(library.name, "Send {{ message }}\n")
    assert session.unsaved == ("chain", "plain")
    first, last = list_requests(session.spec(0))
    assert [one.request.prompt.messages[0].content.strip() for one in (first, last)] == ["Find Hello", "Send Hello"]
    session.save()
    assert (tmp_path / "chain.chain.yaml").read_text() == CHAIN.replace("Extract", "Find")
    assert (tmp_path / "plain.prompty").read_text() == "Send {{ message }}\n"


def test_an_edit_of_a_step_can_be_undone(session):
    target = session.edit_targets(0)[0]
    session.note_step()
    session.edit_prompt(target.name, "Find {{ message }}\n")
    session.note_step()
    session.move_in_history(back=True)
    assert session.edit_targets(0)[0].prompt.body == "Extract {{ message }}\n"


def test_a_prompt_that_is_no_chain_has_one_text(session):
    (target,) = session.edit_targets(1)
    assert (target.name, target.step) == ("plain", "")


def test_an_edit_that_makes_a_circle_is_refused_when_it_would_run(session):
    session.edit_prompt(session.edit_targets(0)[0].name, "{{ steps.route.text }}")
    with pytest.raises(PromptError, match="comes later"):
        session.spec(0)
