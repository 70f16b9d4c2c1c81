from __future__ import annotations

import json
from pathlib import Path

import pytest


def problems(call, *files):
    """(file, line, message) of each problem, as they are printed."""
    code, out, _ = call("validate", *files)
    assert code == (2 if out else 0)
    found = []
    for line in out.splitlines():
        name, number, rest = line.split(":", 2)
        found.append((name, int(number), rest.strip()))
    return found


def lines(found):
    return [number for _, number, _ in found]


def test_a_sound_bench_has_none(call, folder):
    code, out, err = call("validate", "demo.bench.yaml", "ask.prompty")
    assert (code, out) == (0, "")
    assert "demo.bench.yaml: no problems" in err


def test_wrong_keys_types_and_scorers_are_all_listed_with_lines(call, folder):
    (folder / "a.bench.yaml").write_text(
        "variants:\n"
        "  - {name: a, prompt: ask, model: desk.script.json, smapling: {}}\n"
        "case: first\n"
        "scorers:\n"
        "  - exact_match\n"
        "  - exact_mtach\n"
        "  - token_f1: {nonsense: 1}\n"
    )
    found = problems(call, "a.bench.yaml")
    assert lines(found) == [2, 3, 6, 7]
    assert "did you mean sampling?" in found[0][2]
    assert "did you mean exact_match?" in found[2][2]


def test_judges_and_reward_models_are_looked_for(call, folder):
    sound = "judge: {model: desk.script.json, rubric: Good?, name: sound}"
    (folder / "g.bench.yaml").write_text(
        "dataset: {path: cases.jsonl}\n"
        "variants: [{name: a, prompt: ask, model: desk.script.json}]\n"
        "scorers:\n"
        f"  - {sound}\n"
        "  - judge: {model: [desk.script.json, nobody], rubric: Good?}\n"
        "  - reward_model: {adapter: nothing}\n"
    )
    found = problems(call, "g.bench.yaml")
    assert lines(found) == [5, 6]
    assert "nobody" in found[0][2] and "No such adapter: 'nothing'" in found[1][2]


def test_what_a_bench_names_is_looked_for(call, folder):
    (folder / "b.bench.yaml").write_text(
        "dataset:\n"
        "  path: nowhere.csv\n"
        "variants:\n"
        "  - name: a\n"
        "    prompt: gone\n"
        "    model: nomodel\n"
        "  - name: a\n"
        "    prompt: ask\n"
        "    model: desk.script.json\n"
        "    adapters:\n"
        "      - adapter: noadapter\n"
        "case: 0\n"
    )
    found = problems(call, "b.bench.yaml")
    assert [number for number in lines(found) if number > 1] == [5, 6, 11, 12]
    text = " ".join(message for _, _, message in found)
    assert "nowhere.csv" in text
    assert "two variants are named 'a'" in text


def test_a_variable_that_no_column_has(call, folder):
    (folder / "want.prompty").write_text("user:\n{{ message }} {{ colour }}\n")
    (folder / "c.bench.yaml").write_text(
        "dataset: {path: cases.jsonl}\nvariants:\n  - name: a\n    prompt: want\n    model: desk.script.json\n"
    )
    ((_, line, message),) = problems(call, "c.bench.yaml")
    assert (line, "asks for colour" in message) == (4, True)


@pytest.mark.parametrize("text", ["variants: [\n", "a: b: c\n"])
def test_what_is_no_yaml(call, folder, text):
    (folder / "d.bench.yaml").write_text(text)
    assert len(problems(call, "d.bench.yaml")) == 1


def test_a_recipe(call, folder):
    (folder / "e.recipe.yaml").write_text("base: nomodel\nbench: demo.bench.yaml\nvariant: none\nmethod:\n  rank: 0\n")
    found = problems(call, "e.recipe.yaml")
    assert lines(found) == [1, 3, 5]
    (folder / "f.recipe.yaml").write_text("base: x\nmethod:\n  rnak: 1\ntraining:\n  steps: 3\n")
    found = problems(call, "f.recipe.yaml")
    assert lines(found) == [3, 5]
    assert "now called max_steps" in found[1][2]


def test_a_prompt_with_its_lines_in_the_file(call, folder):
    (folder / "g.prompty").write_text("---\nname: g\n---\nuser:\n{{ message }\n")
    ((_, line, message),) = problems(call, "g.prompty")
    assert line == 5
    assert "at line" not in message
    (folder / "h.prompty").write_text(
        "---\nmetadata:\n  workbench:\n    palcement: turns\n    mode: song\n---\nuser:\nx\n"
    )
    assert lines(problems(call, "h.prompty")) == [4, 5]
    (folder / "i.prompty").write_text("---\nmetadata: {workbench: {examples: gone.jsonl}}\n---\nuser:\nx\n")
    assert call("validate", "i.prompty")[0] == 2


def test_settings(call, folder):
    (folder / "settings.toml").write_text('live = "often"\ntheme = "x"\nthems = 1\n')
    found = problems(call, "settings.toml")
    assert lines(found) == [1, 3]
    (folder / "settings.toml").write_text("live = \n")
    assert call("validate", "settings.toml")[0] == 2


def test_several_files_as_json(call, folder):
    (folder / "j.bench.yaml").write_text("variants: []\ncsae: 1\n")
    code, out, _ = call("validate", "j.bench.yaml", "demo.bench.yaml", "--json")
    assert code == 2
    assert [(one["file"], one["line"]) for one in json.loads(out)["problems"]] == [("j.bench.yaml", 2)]


def test_a_file_of_no_known_kind_or_that_is_not_there(call, folder):
    (folder / "x.txt").write_text("x")
    assert call("validate", "x.txt")[0] == 2
    assert call("validate", "gone.bench.yaml")[0] == 2


def test_what_the_tasks_to_keep_name_is_looked_for(call, folder):
    (folder / "k.bench.yaml").write_text(
        "variants:\n"
        "  - {name: a, prompt: ask, model: desk.script.json}\n"
        "keep:\n"
        "  - {name: one, dataset: {path: nowhere.csv}, prompt: ask}\n"
        "  - {name: two, dataset: {path: cases.jsonl}, prompt: nothing, scorers: [exact_mtach]}\n"
    )
    found = problems(call, "k.bench.yaml")
    assert lines(found) == [4, 5, 5]
    assert "nowhere.csv" in found[0][2]


SHOPS = """\
dataset: {path: talks.jsonl}
corpus: shops
variants:
  - {name: words, prompt: shop, model: desk.script.json, retrieve: bm25}
  - {name: oracle, prompt: shop, model: desk.script.json, retrieve: oracle}
"""


def test_turns_and_passages_are_columns_like_others(call, folder):
    (folder / "shops").mkdir()
    (folder / "shops" / "york.md").write_text("The shop in York opens at 8.")
    (folder / "shop.prompty").write_text("user:\n{{ passages }}\n{{ question }}\n")
    turns = [{"question": "When?", "expected": "8", "relevant": "york.md"}]
    (folder / "talks.jsonl").write_text(json.dumps({"turns": turns}))
    (folder / "s.bench.yaml").write_text(SHOPS)
    assert problems(call, "s.bench.yaml") == []


def test_what_cannot_be_retrieved_is_said_at_its_line(call, folder):
    (folder / "shops").mkdir()
    (folder / "shops" / "york.md").write_text("The shop in York opens at 8.")
    (folder / "shop.prompty").write_text("user:\n{{ passages }}\n{{ message }}\n")
    pinned = "retrieve: {by: bm25, pin: ['york.md:0-5']}"
    text = SHOPS.replace("talks", "cases").replace("retrieve: bm25", pinned)
    text += "  - {name: hidden, prompt: ask, model: desk.script.json, retrieve: bm25}\n"
    (folder / "s.bench.yaml").write_text(text)
    found = problems(call, "s.bench.yaml")
    assert lines(found) == [4, 5, 6]
    assert "york.md is cut into york.md:0-28" in found[0][2]
    assert "oracle needs to know what is relevant" in found[1][2]
    assert "its prompt ask does not show them" in found[2][2]
    (folder / "shops" / "york.md").unlink()
    assert any("holds no document" in message for _, _, message in problems(call, "s.bench.yaml"))


def test_the_benches_that_are_shipped_have_none(call, folder):
    shipped = sorted((Path(__file__).parents[2] / "prompts").glob("*.bench.yaml"))
    assert len(shipped) >= 5
    assert problems(call, *shipped) == []
