from __future__ import annotations

import time

import pytest

from workbench.patterns import PatternError, compile_pattern, search


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("((a{50}){50}){50}", "grow beyond"),
        ("(((a{900}){900}){900}){900}", "grow beyond"),
        ("(?:(?:(?:a{999,}+){999}){999})", "grow beyond"),
        ("(?x)(a{900}) # twice\n{900}", "grow beyond"),
        ("(a{900})(?#again){900}", "grow beyond"),
        ("(a{900}) {900}", "grow beyond"),
        ("a{99999999999999999999}", "grow beyond"),
        ("(?R)", "calls itself"),
        (r"\((?:[^()]|(?1))*\)", "calls itself"),
        ("(?P<x>a(?&x)?)", "calls itself"),
        ("(?:" * 500 + "a" + ")*" * 500, "nests too deeply"),
        ("a|" * 10_001, "longer than"),
        ("(", "missing )"),
        ("[", "unterminated"),
        ("a{3,1}", "min repeat"),
    ],
    ids=lambda text: text[:30],
)
def test_a_pattern_that_would_take_the_memory_or_is_none_is_refused_in_words(pattern: str, reason: str) -> None:
    began = time.process_time()
    with pytest.raises(PatternError) as refused:
        compile_pattern(pattern)
    assert reason in str(refused.value) and len(str(refused.value)) < 250
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\d{4}-\d{2}-\d{2}", "on 2026-11-30"),
        (r"[0-9a-f]{64}\s[0-9a-f]{64}", "0" * 64 + " " + "f" * 64),
        (r"\p{Lu}\w{0,999}", "Äpfel"),
        (r"(?P<x>a)|[)(]{3}[]a]{2}", ")(()]a"),
        (r"\(\?R\)", "(?R)"),
        (r"(?i:yes){2}", "YesyES"),
    ],
)
def test_ordinary_patterns_are_kept_as_they_are(pattern: str, text: str) -> None:
    assert search(pattern, text, 1.0)


def test_a_search_that_tries_every_way_ends() -> None:
    with pytest.raises(PatternError, match=r"longer than 0\.05 s"):
        search("(a+)+$", "a" * 4000 + "!", 0.05)
