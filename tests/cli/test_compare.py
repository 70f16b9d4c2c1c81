from __future__ import annotations

import json
import signal

import pytest


def test_the_json_has_exactly_the_promised_keys(call):
    code, out, _ = call("compare", "demo.bench.yaml", "--json")
    assert code == 0
    report = json.loads(out)
    assert list(report) == ["cells"]
    assert [(cell["variant"], cell["case"], cell["text"], cell["scores"]) for cell in report["cells"]] == [
        ("plain", 2, "Lantern", {"exact_match": 1.0, "contains": 1.0}),
        ("kind", 2, "Lantern, of course", {"exact_match": 0.0, "contains": 1.0}),
    ]
    assert list(report["cells"][0]) == [
        "variant",
        "case",
        "text",
        "scores",
        "prompt_tokens",
        "output_tokens",
        "thinking_tokens",
        "seconds_to_first_token",
        "seconds_to_first_answer_token",
        "tokens_per_second",
        "stop_reason",
        "deterministic",
        "notes",
        "error",
    ]
    assert report["cells"][0]["error"] is None
    assert report["cells"][0]["stop_reason"] == "eos"


def test_a_failed_cell_carries_its_error_and_the_exit_code_says_so(call):
    code, out, _ = call("compare", "demo.bench.yaml", "--json", "--case", "all")
    cells = json.loads(out)["cells"]
    assert code == 1
    assert [(cell["variant"], cell["case"]) for cell in cells] == [
        (v, n) for n in (1, 2, 3, 4) for v in ("plain", "kind")
    ]
    assert [cell["error"] for cell in cells if cell["case"] == 4] == ["It fell.", "It fell."]
    assert [cell["scores"] for cell in cells if cell["case"] == 4] == [{}, {}]
    assert not any(cell["error"] for cell in cells if cell["case"] != 4)


@pytest.mark.parametrize(("wanted", "numbers"), [("1", [1]), ("1-3", [1, 2, 3]), ("2-2", [2]), ("all", [1, 2, 3, 4])])
def test_cases_are_chosen_by_number_or_range(call, wanted, numbers):
    _, out, _ = call("compare", "demo.bench.yaml", "--json", "--variant", "plain", "--case", wanted)
    assert [cell["case"] for cell in json.loads(out)["cells"]] == numbers


@pytest.mark.parametrize("wanted", ["0", "9", "3-9", "3-1", "x", "1-", "-1", "1,"])
def test_cases_that_are_not_there_are_refused(call, wanted):
    code, out, err = call("compare", "demo.bench.yaml", f"--case={wanted}")
    assert (code, out) == (2, "")
    assert f"--case {wanted}" in err


def test_variants_are_chosen_by_name(call):
    _, out, _ = call("compare", "demo.bench.yaml", "--json", "--variant", "kind")
    assert [cell["variant"] for cell in json.loads(out)["cells"]] == ["kind"]
    code, _, err = call("compare", "demo.bench.yaml", "--variant", "gone")
    assert code == 2
    assert "plain, kind" in err


def test_the_table_shows_answers_scores_and_means(call):
    code, out, err = call("compare", "demo.bench.yaml", "--case", "1-2")
    assert code == 0
    assert out.count("Lantern, of course") == 2
    assert "exact_match" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["plain", "1.000", "1.000", "2", "0"] in rows
    assert ["kind", "0.000", "1.000", "2", "0"] in rows
    assert "[4/4]" in err


def test_what_a_model_writes_is_inert_in_the_table(call):
    _, out, _ = call("compare", "demo.bench.yaml", "--case", "3", "--variant", "plain")
    assert "␛[31mred␛[0m [bold]x[/] \ufffdback" in out
    assert "\x1b" not in out


def test_typed_inputs_count_for_the_case_they_were_typed_over(call, folder):
    text = (folder / "demo.bench.yaml").read_text()
    (folder / "demo.bench.yaml").write_text(text + "inputs: {message: Did it fall?, expected: Abacus}\n")
    _, out, _ = call("compare", "demo.bench.yaml", "--json", "--case", "1-2", "--variant", "plain")
    assert [cell["error"] for cell in json.loads(out)["cells"]] == [None, "It fell."]


def test_a_bench_without_a_dataset_runs_on_what_was_typed(call, folder):
    text = "variants: [{name: a, prompt: ask, model: desk.script.json}]\ninputs: {message: hello}\n"
    (folder / "typed.bench.yaml").write_text(text)
    code, out, _ = call("compare", "typed.bench.yaml", "--json")
    (cell,) = json.loads(out)["cells"]
    assert (code, cell["text"], cell["scores"]) == (0, "Lantern", {})


@pytest.mark.parametrize(
    ("text", "said"),
    [("variants: [", "line 1"), ("varants: []", "did you mean variants?"), (None, "Cannot read")],
)
def test_a_bench_that_cannot_be_used_is_told_without_a_traceback(call, folder, text, said):
    if text is not None:
        (folder / "x.bench.yaml").write_text(text)
    code, out, err = call("compare", "x.bench.yaml")
    assert (code, out) == (2, "")
    assert "x.bench.yaml" in err
    assert said in err
    assert "Traceback" not in err


def test_an_unknown_model_fails_its_cells_and_names_the_nearest(call, folder):
    text = (folder / "demo.bench.yaml").read_text().replace("desk.script.json}", "desk-q8}", 1)
    (folder / "demo.bench.yaml").write_text(text)
    code, out, _ = call("compare", "demo.bench.yaml", "--json")
    first, second = json.loads(out)["cells"]
    assert code == 1
    assert "desk-q8" in first["error"]
    assert second["text"] == "Lantern, of course"


def test_the_data_in_a_pipe_is_free_of_anything_else(start):
    process = start("compare", "demo.bench.yaml", "--json", "--case", "3")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["cells"][0]["text"].startswith("\x1b[31mred")
    assert b"[1/2]" in err


def test_a_reader_that_leaves_early_makes_no_noise(start):
    with start("compare", "demo.bench.yaml", "--json") as process:
        process.stdout.close()
        told = process.stderr.read()
    assert b"Traceback" not in told
    assert b"Exception" not in told


def test_an_interrupt_ends_it_with_130(start):
    with start("run", "--text", "endless", "--model", "desk.script.json", "--max-tokens", 90000) as process:
        assert process.stdout.read(4)
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    assert process.returncode == 130
    assert b"Traceback" not in told


def test_log_probabilities_are_in_the_json_where_they_are_asked_for(call):
    _, out, _ = call("compare", "demo.bench.yaml", "--json", "--variant", "plain", "--logprobs", "2")
    (cell,) = json.loads(out)["cells"]
    assert "".join(token["text"] for token in cell["tokens"]).strip() == cell["text"].strip()
    assert {len(token["top_logprobs"]) for token in cell["tokens"]} == {2}
    assert all(token["logprob"] <= 0 for token in cell["tokens"])
