"""`workbench effects`, `scale`, `votes` and `drift`, with a scripted model."""

from __future__ import annotations

import json

import pytest

from workbench import paths
from workbench.analysis.summary import Estimate
from workbench.analysis.votes import Votes
from workbench.cli.scale import draw_track
from workbench.runs.view import RunView
from workbench.store.store import Store

BENCH = """\
variants:
  - {name: plain, prompt: ask, model: desk.script.json}
  - {name: kind, prompt: kind, model: desk.script.json}
  - {name: shown, prompt: shown, model: desk.script.json}
dataset: {path: cases.jsonl}
scorers: [exact_match, contains]
"""
SHOWN = """\
---
name: shown
metadata:
  workbench:
    examples: examples.jsonl
    placement: turns
---
user:
{{ message }}
"""


@pytest.fixture
def bench(folder):
    rows = [json.dumps({"message": f"Where is parcel {at}?", "expected": "Lantern"}) for at in range(8)]
    (folder / "cases.jsonl").write_text("\n".join(rows))
    shown = [{"id": name, "message": f"see {name}", "answer": "Lantern"} for name in ("e1", "e2")]
    (folder / "examples.jsonl").write_text("\n".join(map(json.dumps, shown)))
    (folder / "shown.prompty").write_text(SHOWN)
    (folder / "demo.bench.yaml").write_text(BENCH)
    return folder


def vote_all(choice="left"):
    store = Store(paths.data_folder() / "workbench.sqlite")
    votes = Votes(store, RunView(store, "last"))
    while (ballot := votes.next()) is not None:
        votes.cast(ballot, choice if ballot.left_variant == "plain" else "right")
    store.close()


def test_effects_shows_what_each_example_is_worth(bench, call):
    code, out, err = call("effects", "demo.bench.yaml", "--variant", "shown")
    assert code == 0, err
    assert "shown: exact match 1.00 with all 2 examples, 8 cases" in out
    assert "e1" in out and "cannot tell" in out


def test_effects_as_json_is_one_object(bench, call):
    code, out, _ = call("effects", "demo.bench.yaml", "--variant", "shown", "--limit", "3", "--json")
    told = json.loads(out)
    assert code == 0
    assert [one["example"] for one in told["effects"]] == ["e1", "e2"]
    assert told["effects"][0]["n"] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Expected a variant"),
        (("--variant", "nobody"), "No such variant: nobody"),
        (("--variant", "plain"), "shows no example"),
    ],
)
def test_effects_says_what_is_wrong_with_the_variant(bench, call, arguments, said):
    code, _, err = call("effects", "demo.bench.yaml", *arguments)
    assert code == 2 and said in err


def test_scale_says_what_is_wrong_before_anything_runs(bench, call):
    code, _, err = call("scale", "demo.bench.yaml", "--variant", "plain")
    assert code == 2 and "does not have an adapter" in err
    code, _, err = call("scale", "demo.bench.yaml", "--variant", "plain", "--scales", "a,b")
    assert code == 2 and "expected comma-separated numbers" in err


def test_a_value_is_a_dot_on_its_interval():
    nothing = float("nan")
    track = draw_track(Estimate(0.5, 0.25, 0.75, 10), 0.0, 1.0)
    assert (len(track), track[0], track[-1], track.count("●")) == (30, "·", "·", 1)
    assert track.strip("·") == track[track.index("━") : track.rindex("━") + 1]
    assert draw_track(Estimate(1.0, 0.9, 1.0, 10), 0.0, 1.0).endswith("━━●")
    assert draw_track(Estimate(0.0, nothing, nothing, 1), 0.0, 1.0) == "●" + "·" * 29
    assert draw_track(Estimate(nothing, nothing, nothing, 0), 0.0, 1.0) == ""
    assert "●" in draw_track(Estimate(7.0, 7.0, 7.0, 3), 7.0, 7.0)


def test_votes_tells_when_nobody_has_voted(bench, call):
    call("eval", "demo.bench.yaml", "--variant", "plain", "--variant", "kind")
    code, out, err = call("votes")
    assert (code, out) == (0, "") and "No votes on run" in err


def test_votes_shows_ratings_lists_votes_and_exports_pairs(bench, call):
    call("eval", "demo.bench.yaml", "--variant", "plain", "--variant", "kind")
    vote_all()
    _, out, _ = call("votes")
    assert out.index("plain") < out.index("kind")
    _, out, _ = call("votes", "--list", "--json")
    assert len(json.loads(out)) == 8
    _, out, err = call("votes", "--export", "--prompt-of", "plain")
    records = [json.loads(line) for line in out.splitlines()]
    assert len(records) == 8 and "8 pairs from 8 votes" in err
    assert records[0]["chosen"] == [{"role": "assistant", "content": "Lantern"}]
    assert records[0]["prompt"][0]["content"].startswith("Where is parcel")


def test_votes_of_an_unknown_run_or_prompt_say_so(bench, call):
    code, _, err = call("votes", "nothing")
    assert code == 2 and "nothing" in err
    call("eval", "demo.bench.yaml", "--variant", "plain", "--variant", "kind")
    code, _, err = call("votes", "--export", "--prompt-of", "nobody")
    assert code == 2 and "No such variant: nobody" in err


def test_drift_shows_each_run_and_fails_when_a_score_fell(bench, call):
    call("eval", "demo.bench.yaml", "--variant", "plain")
    code, out, _ = call("drift")
    assert code == 0 and "(baseline)" in out
    script = json.loads((bench / "desk.script.json").read_text())
    (bench / "desk.script.json").write_text(json.dumps({**script, "rules": [{"reply": "nonsense"}]}))
    call("eval", "demo.bench.yaml", "--variant", "plain")
    code, out, _ = call("drift")
    assert code == 1 and "Worse than the baseline, beyond chance: plain." in out
    code, out, _ = call("drift", "--json")
    assert [point["values"]["plain"]["value"] for point in json.loads(out)["points"]] == [1.0, 0.0]
