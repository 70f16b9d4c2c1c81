"""A variant without its adapters stays with the one it came from: moved, changed, renamed, closed, undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.inference.types import Sampling
from workbench.runs.base_variant import find_pair
from workbench.runs.bench import AdapterChoice, Variant, load_bench
from workbench.runs.session import Session
from workbench.settings import Settings

BENCH = """\
variants:
  - {name: plain, prompt: p, model: m.script.json}
  - {name: tuned, prompt: p, model: m.script.json, sampling: {max_tokens: 9}, adapters: [{adapter: tone, scale: 0.5}]}
  - {name: other, prompt: q, model: m.script.json, adapters: [{adapter: tone}]}
"""


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    for name in "pq":
        (tmp_path / f"{name}.prompty").write_text("user:\n{{ message }}\n")
    (tmp_path / "b.bench.yaml").write_text(BENCH)
    return Session(tmp_path / "b.bench.yaml", Settings())


def names(session: Session) -> list[str]:
    return [variant.name for variant in session.variants]


def test_the_base_is_the_same_without_adapters_and_both_find_each_other(session: Session) -> None:
    assert session.find_pair(1) is None  # plain samples otherwise
    assert session.add_without_adapters(1) == 2
    base = session.variants[2]
    assert (base.name, base.sampling.max_tokens, base.has_adapter, base.base_of) == ("tuned without", 9, False, "tuned")
    assert (session.find_pair(1), session.find_pair(2)) == (2, 1)


def test_it_follows_what_is_changed_and_is_found_after_moves_and_renames(session: Session) -> None:
    session.add_without_adapters(1)
    session.change_variant(1, sampling=Sampling(temperature=0.5), prompt="q")
    session.step_scale(1, 0, 3)
    session.change_variant(1, name="new name")
    session.move_variant(1, 3)
    session.move_variant(0, 2)
    tuned, base = names(session).index("new name"), names(session).index("tuned without")
    followed = session.variants[base]
    assert (followed.prompt, followed.sampling.temperature, followed.base_of) == ("q", 0.5, "new name")
    assert followed.adapters == (AdapterChoice("tone", 0.8, on=False),)
    assert (session.find_pair(tuned), session.find_pair(base)) == (base, tuned)


def test_a_change_of_both_is_one_step_of_the_history_named_after_the_one_changed(session: Session) -> None:
    session.add_without_adapters(1)
    session.note_step()
    session.change_variant(1, model="n.script.json")
    session.note_step()
    step = session.history.peek(back=True)
    assert step is not None
    assert step.change.text == "change the model of tuned"
    session.move_in_history(back=True)
    assert [variant.model for variant in session.variants] == ["m.script.json"] * 4
    assert session.find_pair(1) == 2


def test_a_base_that_is_changed_itself_goes_its_own_way(session: Session) -> None:
    session.add_without_adapters(1)
    session.change_variant(2, name="mine")
    assert session.find_pair(2) == 1
    session.change_variant(2, prompt="q")
    session.change_variant(1, sampling=Sampling(max_tokens=3))
    assert session.variants[2].sampling.max_tokens == 9
    assert session.find_pair(1) is None


def test_closing_one_ends_the_pair_and_undo_restores_it(session: Session) -> None:
    session.add_without_adapters(1)
    session.note_step()
    session.close_variant(1)
    session.note_step()
    assert session.variants[1].base_of == ""
    session.move_in_history(back=True)
    assert (session.find_pair(1), session.find_pair(2)) == (2, 1)


def test_the_pair_is_kept_in_the_file(session: Session) -> None:
    session.add_without_adapters(1)
    session.save()
    assert load_bench(session.path).variants[2].base_of == "tuned"


def test_a_copy_of_a_base_is_no_base(session: Session) -> None:
    session.add_without_adapters(1)
    index = session.duplicate_variant(2)
    assert session.variants[index].base_of == ""


def test_a_variant_that_differs_in_its_adapters_alone_is_found_without_a_link() -> None:
    bare, tuned = Variant("a", "p", "m"), Variant("b", "p", "m", adapters=(AdapterChoice("tone"),))
    assert (find_pair([bare, tuned], 0), find_pair([bare, tuned], 1)) == (1, 0)
    assert find_pair([bare, Variant("c", "q", "m")], 0) is None
