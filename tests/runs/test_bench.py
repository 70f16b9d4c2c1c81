from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import files
from workbench.datasets.spec import Dataset
from workbench.errors import BenchError, FileChangedError, FileError
from workbench.inference.types import Sampling
from workbench.runs.bench import (
    AdapterChoice,
    Bench,
    ModelChoice,
    Perturbations,
    Threshold,
    Variant,
    load_bench,
    parse_bench,
    parse_stored_bench,
    save_bench,
)
from workbench.runs.cost import Price

TEXT = st.text(max_size=40)
NAME = st.text(min_size=1, max_size=12).filter(str.strip)
NUMBER = st.floats(allow_nan=False, allow_infinity=False, width=32)
OPTION = st.none() | st.booleans() | st.integers(-5, 5) | NUMBER | TEXT | st.lists(TEXT, max_size=2)
SAMPLING = st.builds(
    Sampling,
    temperature=st.floats(0, 100, width=32),
    top_k=st.integers(0, 99),
    stop=st.lists(TEXT, max_size=2).map(tuple),
    seed=st.none() | st.integers(0, 2**31),
    logit_bias=st.dictionaries(TEXT, NUMBER, max_size=2),
)
ADAPTER = st.builds(AdapterChoice, adapter=NAME, scale=NUMBER, on=st.booleans())
VARIANT = st.builds(
    Variant,
    name=NAME,
    prompt=TEXT,
    model=TEXT,
    sampling=SAMPLING,
    examples_off=st.lists(TEXT, max_size=2).map(tuple),
    adapters=st.lists(ADAPTER, max_size=2, unique_by=lambda choice: choice.adapter).map(tuple),
)
WANTED = st.none() | st.booleans() | st.integers(-5, 5) | NUMBER | TEXT
DATASET = st.builds(
    Dataset,
    path=TEXT,
    columns=st.dictionaries(TEXT, TEXT, max_size=2),
    expected=TEXT,
    format=TEXT,
    layout=TEXT,
    split=TEXT,
    where=st.dictionaries(TEXT, WANTED | st.lists(WANTED, max_size=2).map(tuple), max_size=2),
    sample=st.none() | st.integers(1, 9),
    seed=st.integers(0, 2**31),
    limit=st.none() | st.integers(1, 9),
    on_error=st.sampled_from(["refuse", "skip"]),
)
THRESHOLD = st.builds(Threshold, min=NUMBER, max=st.none() | NUMBER)
KIND = st.sampled_from(["whitespace", "casing", "order", "typos"])
FILE_MODEL = st.builds(
    ModelChoice, path=NAME, chat_template=st.none() | TEXT, context_tokens=st.none() | st.integers(1, 9)
)
ADDRESS = st.sampled_from(["http://127.0.0.1:8080", "https://models.example/openai", "http://[::1]:8000"])
SERVER_MODEL = st.builds(
    ModelChoice,
    remote=ADDRESS | st.lists(ADDRESS, min_size=1, max_size=3).map(tuple),
    dialect=st.sampled_from(["auto", "vllm", "ollama"]),
    model=TEXT,
    key_env=TEXT,
    context_tokens=st.none() | st.integers(1, 9),
    concurrency=st.integers(0, 9),
    server_defaults=st.lists(st.sampled_from(["temperature", "seed"]), max_size=2, unique=True).map(tuple),
)
BENCH = st.builds(
    Bench,
    variants=st.lists(VARIANT, min_size=1, max_size=3, unique_by=lambda variant: variant.name).map(tuple),
    dataset=st.none() | DATASET,
    scorers=st.lists(
        TEXT | st.dictionaries(TEXT, st.dictionaries(TEXT, OPTION, max_size=2), min_size=1, max_size=1),
        max_size=2,
    ).map(tuple),
    models=st.dictionaries(
        TEXT,
        FILE_MODEL | SERVER_MODEL,
        max_size=2,
    ),
    library=TEXT,
    case=st.integers(1, 50),
    inputs=st.dictionaries(TEXT, st.text(max_size=200), max_size=3),
    live=st.none() | st.booleans(),
    context_strategy=st.none() | st.sampled_from(["refuse", "drop"]),
    repeats=st.integers(1, 5),
    thresholds=st.dictionaries(TEXT, THRESHOLD | st.lists(THRESHOLD, max_size=2).map(tuple), max_size=2),
    prices=st.dictionaries(TEXT, st.builds(Price, input=NUMBER, output=NUMBER, hour=NUMBER), max_size=2),
    perturbations=st.none()
    | st.lists(KIND, max_size=2).map(tuple)
    | st.builds(
        Perturbations,
        kinds=st.lists(KIND, max_size=2).map(tuple),
        seed=st.integers(0, 9),
        count=st.integers(1, 5),
    ),
)
WRITTEN = """\
# what this comparison is for
variants:
  - name: plain   # the short one
    prompt: "queues/plain"
    model: desk
  # the longer one
  - name: described
    prompt: queues/described
    model: desk
    sampling: {temperature: 0.80, seed: 1}  # warm

# where the cases come from
dataset:
  path: cases.jsonl
case: 3

# how answers are judged
scorers: [exact_match]
"""


@settings(deadline=None, max_examples=60)
@given(BENCH)
def test_a_bench_opens_exactly_as_it_was_saved(tmp_path_factory, bench):
    path = tmp_path_factory.mktemp("bench") / "a.bench.yaml"
    save_bench(path, bench)
    assert load_bench(path) == bench


@settings(deadline=None, max_examples=60)
@given(BENCH, BENCH)
def test_a_bench_saved_over_another_one_opens_as_it_was_saved(tmp_path_factory, before, after):
    path = tmp_path_factory.mktemp("bench") / "a.bench.yaml"
    save_bench(path, before)
    save_bench(path, after)
    assert load_bench(path) == after


@settings(deadline=None, max_examples=60)
@given(BENCH)
def test_saving_an_unchanged_bench_leaves_its_file_alone(tmp_path_factory, bench):
    path = tmp_path_factory.mktemp("bench") / "a.bench.yaml"
    save_bench(path, bench)
    before = path.read_bytes()
    save_bench(path, load_bench(path))
    assert path.read_bytes() == before


def write(tmp_path, text):
    path = tmp_path / "a.bench.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_saving_an_unchanged_hand_written_bench_changes_no_byte(tmp_path):
    path = write(tmp_path, WRITTEN)
    save_bench(path, load_bench(path))
    assert path.read_text() == WRITTEN


def test_a_change_touches_only_its_own_line(tmp_path):
    path = write(tmp_path, WRITTEN)
    save_bench(path, msgspec.structs.replace(load_bench(path), case=1))
    assert path.read_text() == WRITTEN.replace("case: 3", "case: 1")


def test_defaults_are_left_out_of_a_new_file(tmp_path):
    path = tmp_path / "new.bench.yaml"
    save_bench(path, Bench((Variant("a", "p", "m", Sampling(top_k=3)),)))
    assert path.read_text() == ("variants:\n  - name: a\n    prompt: p\n    model: m\n    sampling: {top_k: 3}\n")


def test_comments_stay_with_their_variant_when_others_come_and_go(tmp_path):
    path = write(tmp_path, WRITTEN)
    bench = load_bench(path)
    _, described = bench.variants
    other = Variant("other", "queues/other", "desk")
    for variants in [(described, other), (other, described), (described,)]:
        save_bench(path, msgspec.structs.replace(bench, variants=variants))
        assert load_bench(path).variants == variants
        text = path.read_text()
        for comment in ["# what this", "# warm", "# where the cases", "# how answers"]:
            assert comment in text, (comment, text)
        assert text.index("# where the cases") > text.index("- name: " + variants[-1].name)


def test_no_comment_is_lost_when_a_variant_is_closed(tmp_path):
    path = write(tmp_path, WRITTEN)
    bench = load_bench(path)
    plain, _ = bench.variants
    save_bench(path, msgspec.structs.replace(bench, variants=(plain,)))
    text = path.read_text()
    assert load_bench(path).variants == (plain,)
    for comment in ["# what this", "# the short one", "# where the cases", "# how answers"]:
        assert comment in text, (comment, text)


def test_texts_of_several_lines_are_written_as_blocks(tmp_path):
    path = tmp_path / "new.bench.yaml"
    save_bench(path, Bench((Variant("a", "p", "m"),), inputs={"message": "one\ntwo\n"}))
    assert "message: |\n    one\n    two\n" in path.read_text()


def test_every_problem_of_a_file_is_told_with_its_line_and_key(tmp_path):
    path = write(
        tmp_path,
        "variants:\n"
        "  - nam: plain\n"
        "    prompt: 3\n"
        "    model: desk\n"
        "    sampling: {temprature: 1, top_k: 1.5}\n"
        "models: {own: {}}\n"
        "livee: true\n"
        "case: x\n",
    )
    with pytest.raises(BenchError) as caught:
        load_bench(path)
    assert caught.value.message.splitlines() == [
        f"{path} cannot be used:",
        "  line 2: variants[0].nam: unknown key; did you mean name?",
        "  line 2: variants[0].name: missing",
        "  line 3: variants[0].prompt: expected `str`, got `int`",
        "  line 5: variants[0].sampling.temprature: unknown key; did you mean temperature?",
        "  line 5: variants[0].sampling.top_k: expected `int`, got `float`",
        "  line 7: livee: unknown key; did you mean live?",
        "  line 8: case: expected `int`, got `str`",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file: expected a mapping, found nothing"),
        ("- a\n", "the file: expected a mapping"),
        ("a: [", "line 1, column 5"),
        ("a: 1\na: 2\n", 'found duplicate key "a"'),
        ("a: &a [*a]\n", "holds itself"),
        ("variants: [{name: x}," + "[" * 5000 + "\n", "nests too deeply"),
        ("variants: " + "{" * 2000 + "\n", "nests too deeply"),
        ("variants: []\n", "expected at least one"),
        ("a: \x07\n", "is not YAML"),
        (
            "variants: [{name: a, prompt: p, model: m}, {name: a, prompt: p, model: m}]\n",
            "two variants are named 'a'",
        ),
        ("variants: [{name: a, prompt: p, model: m}]\ncase: 0\n", "expected a number from 1"),
        ("variants: [{name: a, prompt: p, model: m}]\nrepeats: 0\n", "repeats: expected a number from 1"),
        ("variants: [{name: a, prompt: p, model: m}]\nthresholds: {f1: {mn: 1}}\n", "did you mean min?"),
        ("variants: [{name: a, prompt: p, model: m}]\nthresholds: {f1: {variant: b, min: 1}}\n", "named 'b'"),
        ("variants: [{name: a, prompt: p, model: m}]\nprices: {m: {hour: much}}\n", "prices.m.hour"),
    ],
)
def test_what_is_no_bench_is_a_clear_error(tmp_path, text, said):
    with pytest.raises(BenchError, match=r"a\.bench\.yaml") as caught:
        load_bench(write(tmp_path, text))
    assert said in caught.value.message


def test_a_document_that_grows_beyond_measure_is_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(BenchError, match="aliases"):
        parse_bench("\n".join([*lines, "variants: *a11"]), "bomb")


def test_a_missing_file_is_a_file_error(tmp_path):
    with pytest.raises(FileError, match="Cannot read"):
        load_bench(tmp_path / "none.bench.yaml")


def test_a_bench_changed_by_another_program_is_not_overwritten(tmp_path):
    path = write(tmp_path, WRITTEN)
    bench, digest = load_bench(path), files.digest(path)
    path.write_text(WRITTEN + "live: true\n")
    with pytest.raises(FileChangedError):
        save_bench(path, bench, digest)
    assert path.read_text() == WRITTEN + "live: true\n"


def test_saving_gives_the_digest_of_what_was_written(tmp_path):
    path = write(tmp_path, WRITTEN)
    bench = load_bench(path)
    digest = save_bench(path, msgspec.structs.replace(bench, case=1), files.digest(path))
    assert digest == files.digest(path)
    save_bench(path, bench, digest)


def test_a_file_that_is_no_document_is_replaced_by_one(tmp_path):
    path = write(tmp_path, "a: [")
    save_bench(path, Bench((Variant("a", "p", "m"),)))
    assert load_bench(path) == Bench((Variant("a", "p", "m"),))


@settings(deadline=None, max_examples=60)
@given(BENCH)
def test_whatever_is_changed_the_comments_of_what_stays_are_kept(tmp_path_factory, after):
    path = tmp_path_factory.mktemp("bench") / "a.bench.yaml"
    path.write_text(WRITTEN, encoding="utf-8")
    save_bench(path, after)
    assert load_bench(path) == after
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# what this comparison is for\n")
    assert "# how answers are judged" in text


def test_sampling_out_of_range_is_told_as_the_engine_would(tmp_path):
    sampling = "{top_p: 0, mirostat: 3, regex: a, grammar: b}"
    path = write(tmp_path, f"variants: [{{name: a, prompt: p, model: m, sampling: {sampling}}}]\n")
    with pytest.raises(BenchError) as raised:
        load_bench(path)
    for told in ("top_p is 0.0, expected above 0, and 1 at most", "mirostat is 3", "both a grammar and a regex"):
        assert "variants[0].sampling: " in raised.value.message
        assert told in raised.value.message


def test_numbers_need_no_quotes_as_keys(tmp_path):
    path = write(tmp_path, "variants: [{name: a, prompt: p, model: m}]\ninputs: {50: b}\n")
    assert load_bench(path).inputs == {"50": "b"}


def test_a_number_in_logit_bias_has_to_say_whether_it_is_a_text_or_a_token(tmp_path):
    def load(key):
        text = f"variants:\n  - {{name: a, prompt: p, model: m, sampling: {{logit_bias: {{{key}: 1.5}}}}}}\n"
        return load_bench(write(tmp_path, text)).variants[0].sampling.logit_bias

    assert load("'50'") == {"50": 1.5}
    assert load("'id:50'") == {"id:50": 1.5}
    with pytest.raises(BenchError, match=r"line 2: .*logit_bias: the key 50 is a number; write id:50 for the token"):
        load("50")


def test_a_number_that_rounds_onto_an_exclusive_bound_is_refused(tmp_path):
    path = write(tmp_path, "variants: [{name: a, prompt: p, model: m, sampling: {repetition_penalty: 1.0e-50}}]\n")
    with pytest.raises(BenchError, match="repetition_penalty is 1e-50, expected above 0"):
        load_bench(path)


def test_a_key_that_is_no_text_is_a_clear_error(tmp_path):
    path = write(tmp_path, "variants: [{name: a, prompt: p, model: m}]\ninputs:\n  true: b\n")
    with pytest.raises(BenchError, match="line 3: inputs: the key True is not text"):
        load_bench(path)


def test_adapters_are_kept_with_their_scales_and_the_usual_ones_left_out(tmp_path):
    text = "variants:\n  - name: a\n    prompt: p\n    model: m\n    adapters:\n"
    text += "      - {adapter: calm, scale: 0.5}  # half of it\n      - {adapter: terse, on: false}\n"
    (tmp_path / "a.bench.yaml").write_text(text)
    bench = load_bench(tmp_path / "a.bench.yaml")
    assert bench.variants[0].adapters == (AdapterChoice("calm", 0.5), AdapterChoice("terse", on=False))
    save_bench(tmp_path / "a.bench.yaml", bench)
    assert (tmp_path / "a.bench.yaml").read_text() == text


def test_adapters_that_make_no_sense_are_all_named():
    text = "variants:\n  - name: a\n    prompt: p\n    model: m\n    adapters:\n"
    text += "      - {adapter: calm, scale: .nan}\n      - {adapter: calm}\n      - {adapter: ' '}\n"
    with pytest.raises(BenchError) as caught:
        parse_bench(text, "here")
    for part in (" names 'calm' twice", "[0].scale: expected a number, found nan", "[2].adapter is empty"):
        assert f"variants[0].adapters{part}" in caught.value.message


def test_a_choice_of_rows_is_kept_as_a_person_wrote_it(tmp_path):
    text = "variants: [{name: a, prompt: p, model: m}]\ndataset:\n  path: rows.csv\n"
    text += "  where: {level: [1, 2], seen: null, sure: true}  # the easy ones\n  sample: 20\n"
    path = write(tmp_path, text)
    bench = load_bench(path)
    assert bench.dataset == Dataset("rows.csv", where={"level": (1, 2), "seen": None, "sure": True}, sample=20)
    save_bench(path, bench)
    assert path.read_text() == text


def test_counts_of_rows_that_make_no_sense_are_all_named():
    text = "variants: [{name: a, prompt: p, model: m}]\ndataset: {path: a.csv, sample: 0, limit: -1}\n"
    with pytest.raises(BenchError) as caught:
        parse_bench(text, "here")
    assert "dataset.sample: expected a number from 1, found 0" in caught.value.message
    assert "dataset.limit: expected a number from 1, found -1" in caught.value.message


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("!!set {a, b}", "a set"),
        ("!x y", "a value tagged !x"),
        ("{contains: {text: !x y}}", "a value tagged !x"),
        ("!!binary aGk=", "!!binary"),
        ('"\\ud800"', "a lone surrogate"),
        ('{"\\ud800": {}}', "a lone surrogate"),
        ("&a [*a]", "holds itself"),
    ],
)
def test_a_value_that_only_yaml_has_is_refused_with_its_line(value: str, reason: str) -> None:
    text = f"variants:\n  - {{name: a, prompt: p, model: m}}\nscorers:\n  - exact_match\n  - {value}\n"
    with pytest.raises(BenchError, match=reason) as refused:
        parse_bench(text, "b.bench.yaml")
    assert "line 5" in str(refused.value)
    str(refused.value).encode()


def test_a_key_that_was_renamed_is_named_with_the_new_one():
    text = "variants:\n  - name: a\n    prompt: p\n    model: m\n    reproducible: true\n"
    with pytest.raises(BenchError, match=r"line 5: variants\[0\]\.reproducible: .*deterministic"):
        parse_bench(text, "x.bench.yaml")
    assert parse_stored_bench(text, "a run").variants[0].deterministic
