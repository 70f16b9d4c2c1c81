"""`workbench diff` where cases were answered several times: rates, and no single pair of answers."""

from __future__ import annotations

from stored_run import answer, make_cases, plain_variants, store_run

from workbench.analysis.baseline import compare_runs
from workbench.cli.diff import _print


def test_repeated_cases_are_told_by_their_rates(tmp_path, capsys):
    cases, views = make_cases(24), []
    for day, least in enumerate((1, 2)):
        cells = [
            answer("a", case, (case.expected or "") if repeat < least + case.number % 2 else "a wrong answer", repeat)
            for case in cases
            for repeat in range(3)
        ]
        started = 1_795_000_000.0 + day * 86_400
        views.append(store_run(tmp_path / "s.sqlite", plain_variants("a"), cases, cells, started=started))
    found = compare_runs(*views)
    _print(found, list(found.variants), (views[0], views[1]), 2)
    said = capsys.readouterr().out
    assert "better by a: case 1 (message 1): right in 2 of 3 → right in 3 of 3" in said
    assert "better by a: case 2 (message 2): right in 1 of 3 → right in 2 of 3" in said
    assert "a wrong answer" not in said and "fixed" not in said
