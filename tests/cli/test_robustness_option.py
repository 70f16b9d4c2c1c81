from __future__ import annotations

import json

PERTURBED = """\
perturbations:
  kinds: [casing]
  count: 2
"""


def test_a_run_with_other_wordings_reports_their_spread(folder, call):
    bench = folder / "demo.bench.yaml"
    bench.write_text(bench.read_text() + PERTURBED)
    code, out, err = call("eval", bench, "--robustness", "--case", "1-2", "--json")
    told = json.loads(out)
    assert code == 0
    assert "kind ~ casing 1, kind ~ casing 2" in err
    assert [one["name"] for one in told["variants"]] == ["plain", "kind"]
    assert [(pair["a"], pair["b"], pair["metric"]) for pair in told["pairs"]] == [
        *(("plain", "kind", metric) for metric in ("exact_match", "contains"))
    ]
    spread = next(one for one in told["robustness"] if one["metric"] == "exact_match")
    assert (spread["variant"], spread["written"], spread["wordings"], spread["high"]) == ("kind", 0, 3, 1)


def test_the_spread_stands_in_the_table_and_in_markdown(folder, call):
    _, out, _ = call("eval", "demo.bench.yaml", "--robustness", "--case", "1")
    assert "reworded" in out
    _, out, _ = call("runs", "last", "--markdown")
    assert "## Prompt sensitivity" in out


def test_a_run_that_goes_on_keeps_its_wordings(folder, call):
    call("eval", "demo.bench.yaml", "--case", "1")
    code, _, err = call("eval", "--resume", "last", "--robustness")
    assert code == 2
    assert "--robustness" in err
    assert "only apply to a new run" in err
