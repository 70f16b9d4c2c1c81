"""A bench whose variants are the product of prompts, models, adapters and samplings."""

from __future__ import annotations

import msgspec
import pytest

from workbench.errors import BenchError
from workbench.inference.types import Sampling
from workbench.library.library import Library
from workbench.runs.bench import encode_bench, load_bench, parse_bench, save_bench, with_variants
from workbench.runs.bench_variant import AdapterChoice
from workbench.runs.prompt_rename import apply_rename, plan_rename
from workbench.runs.session import Session
from workbench.settings import Settings

TEXT = """\
# every prompt on every model
matrix:
  prompts: [queues/plain, queues/few-shot]
  models: [desk, big]  # two sizes
  adapters: [none, {adapter: loras/routes, scale: 0.5}]
  sampling:
    greedy: {}
    warm: {temperature: 0.7, seed: 1}
  exclude:
    - {model: big, adapter: loras/routes}
    - {prompt: queues/few-shot, sampling: warm}
variants:
  - {name: by hand, prompt: queues/other, model: desk}
"""


def test_every_combination_that_is_not_excluded_is_a_variant():
    bench = parse_bench(TEXT, "b")
    assert [variant.name for variant in bench.variants] == [
        "by hand",
        "plain · desk · none · greedy", "plain · desk · none · warm",
        "plain · desk · routes ×0.5 · greedy", "plain · desk · routes ×0.5 · warm",
        "plain · big · none · greedy", "plain · big · none · warm",
        "few-shot · desk · none · greedy", "few-shot · desk · routes ×0.5 · greedy",
        "few-shot · big · none · greedy",
    ]  # fmt: skip
    warm = bench.variants[4]
    assert (warm.prompt, warm.model, warm.adapters) == ("queues/plain", "desk", (AdapterChoice("loras/routes", 0.5),))
    assert warm.sampling == Sampling(temperature=0.7, seed=1)


def test_only_what_differs_is_in_the_names_and_equal_endings_are_told_apart():
    one = parse_bench("matrix: {prompts: [a/plain, b/plain], models: [desk]}", "b")
    assert [variant.name for variant in one.variants] == ["a/plain", "b/plain"]
    single = parse_bench("matrix: {prompts: [a/plain], models: [desk]}", "b")
    assert [variant.name for variant in single.variants] == ["plain"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("matrix: {prompts: [], models: [a]}", "matrix.prompts: expected at least one, found none"),
        ("matrix: {prompts: [p, p], models: [a]}", "matrix.prompts names 'p' twice"),
        ("matrix: {prompts: [p], models: [a], exclude: [{}]}", "matrix.exclude[0]: expected prompt, model"),
        ("matrix: {prompts: [p], models: [a], exclude: [{model: b}]}", "no combination of the matrix is so"),
        ("matrix: {prompts: [p], models: [a], exclude: [{model: a}]}", "that are not excluded, found 0"),
        ("matrix: {prompts: [p], models: [a], sampling: {x: {top_p: 7}}}", "matrix.sampling.x: top_p"),
        ("matrix: {prompts: [p], models: [a], tasks: [x]}", "tasks"),
        (f"matrix: {{prompts: {[f'p{n}' for n in range(9)]}, models: {[f'm{n}' for n in range(8)]}}}", "found 72"),
        (f"matrix: {{prompts: {[f'p{n}' for n in range(99)]}, models: {[f'm{n}' for n in range(99)]}}}", "found 9,801"),
        ("matrix: {prompts: [p], models: [a]}\nvariants: [{name: p, prompt: p, model: b}]", "two variants are named"),
        ("library: x", "variants: expected at least one"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(text, message):
    with pytest.raises(BenchError) as error:
        parse_bench(text, "b")
    assert message in error.value.message


def test_saving_keeps_the_matrix_until_one_of_its_variants_is_changed(tmp_path):
    path = tmp_path / "b.bench.yaml"
    path.write_text(TEXT)
    bench = load_bench(path)
    save_bench(path, msgspec.structs.replace(bench, repeats=3))
    assert path.read_text() == TEXT + "repeats: 3\n"
    assert load_bench(path) == msgspec.structs.replace(bench, repeats=3)
    changed = (*bench.variants[:-1], msgspec.structs.replace(bench.variants[-1], deterministic=True))
    save_bench(path, msgspec.structs.replace(bench, variants=changed))
    again = load_bench(path)
    assert (again.matrix, again.variants) == (None, changed)
    fewer = msgspec.structs.replace(bench, variants=bench.variants[:-1])
    assert parse_bench(encode_bench(fewer), "b").variants == bench.variants[:-1]


def test_a_selection_stays_one():
    bench = parse_bench(TEXT, "b")
    chosen = with_variants(bench, bench.variants[1:3])
    assert parse_bench(encode_bench(chosen), "b").variants == bench.variants[1:3]


def test_a_renamed_prompt_is_renamed_in_the_matrix(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    (tmp_path / "queues").mkdir()
    (tmp_path / "pyproject.toml").touch()
    for name in ("plain", "few-shot", "other"):
        (tmp_path / f"queues/{name}.prompty").write_text("user:\n{{ message }}\n")
    path = tmp_path / "b.bench.yaml"
    path.write_text(TEXT)
    session = Session(path, Settings())
    plan = plan_rename(session.library, "queues/few-shot", "queues/shown", Settings())
    session.rename_prompt(plan)
    assert path.read_text() == TEXT.replace("queues/few-shot", "queues/shown")
    assert session.variants[-1].name == "shown · big · none · greedy"
    assert session.unsaved == ()
    library = Library(tmp_path)
    apply_rename(
        plan_rename(library, "queues/plain", "queues/short", Settings()), library, session.autosaves, Settings()
    )
    assert "queues/short" in path.read_text()
