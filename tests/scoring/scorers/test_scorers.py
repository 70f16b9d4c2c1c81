from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.scoring.factory import make_scorers
from workbench.scoring.registry import list_scorers
from workbench.scoring.text.normalization import is_blank, normalize, trim
from workbench.scoring.text.words import split_squad_tokens

EVERY = ("exact_match", "contains", {"regex": {"pattern": "(a+)"}}, "json_valid", "json_fields", "token_f1")


def judge(spec, text, expected="Lantern"):
    (scorer,) = make_scorers([spec])
    return scorer.score(text, Case(1, {}, expected))


LENIENT = {"exact_match": {"ignore_case": True, "ignore_whitespace": True, "ignore_punctuation": True}}


@pytest.mark.parametrize(
    ("text", "expected", "value"),
    [
        ("Lantern", "Lantern", 1),
        ("  Lantern\n", "Lantern", 1),
        ("e\u0301t\u00e9", "\u00e9te\u0301", 1),
        ("yes\u200b", "yes", 1),
        ("\ufeffNew\u00a0York", "New York", 1),
        ("ＡＢＣ１２", "ABC12", 1),
        ("ｶﾞｷﾞ", "ガギ", 1),
        ("one\r\ntwo", "one\ntwo", 1),
        ("はい。", "はい", 1),
        ("「（Ａ）」", "A", 1),
        ("lantern", "Lantern", 0),
        ("Lantern.", "Lantern", 0),
        ("Queue:  Lantern", "Queue: Lantern", 0),
        ("Lantern Abacus", "Lantern", 0),
        ("", "Lantern", 0),
        ("", "]", 0),
        ("] ] >", "} )", 0),
        ("<42", "42", 0),
        ("＜42", "42", 0),
        ("！", "？", 0),
        ("-5", "5", 0),
    ],
)
def test_exact_match_is_exact_but_for_what_nobody_sees(text, expected, value):
    assert judge("exact_match", text, expected).value == value


@pytest.mark.parametrize(
    ("text", "expected", "value"),
    [
        ("  lantern.\n", "Lantern", 1),
        ('"Lantern"', "lantern", 1),
        ("**Lantern**!", "lantern", 1),
        ("«Да».", "да", 1),
        ("(B)", "b", 1),
        ("Queue:  Lantern", "queue: lantern", 1),
        ("STRASSE", "straße", 1),
        ("12.50", "12.50.", 1),
        ("-5", "5", 0),
        (".5", "5", 0),
        ("5%", "5", 0),
        ("C++", "C", 0),
        ("<42", "42", 0),
        ("!x", "x", 0),
        ("[0, 1)", "(0, 1)", 0),
        ("(0, 1)", "[0, 1]", 0),
        ("] ] >", "} )", 0),
        ("...", "!", 0),
        ("'", '"', 0),
        ('"a" or "b"', "a or b", 0),
    ],
)
def test_exact_match_ignores_what_it_is_told_to_and_no_sign_that_changes_a_value(text, expected, value):
    assert judge(LENIENT, text, expected).value == value


def test_each_leniency_is_an_option_of_its_own_and_suggested_where_it_would_do():
    for option, text in (
        ("ignore_case", "lantern"),
        ("ignore_punctuation", "Lantern."),
        ("ignore_whitespace", "Lan  tern"),
    ):
        expected = "Lan tern" if "  " in text else "Lantern"
        assert judge("exact_match", text, expected).explanation.endswith(f" With `{option}: true` they are equal.")
        assert judge({"exact_match": {option: True}}, text, expected).value == 1
    assert "With ignore_case, " in judge("exact_match", "lantern.").explanation
    with pytest.raises(ScorerError, match="strict ignores nothing; leave out ignore_case"):
        make_scorers([{"exact_match": {"strict": True, "ignore_case": True}}])


def test_strict_exact_match_forgives_nothing():
    spec = {"exact_match": {"strict": True}}
    assert judge(spec, "Lantern").value == 1
    assert judge(spec, "Lantern ").value == 0
    assert judge(spec, "lantern").value == 0


def test_exact_match_explains_what_it_compared():
    score = judge("exact_match", " Abacus \n")
    assert (score.extracted, score.explanation) == ("Abacus", "Expected 'Lantern', got 'Abacus'.")


def test_contains_finds_the_expected_answer_or_a_given_text():
    assert judge("contains", "It goes to the  LANTERN queue.").value == 1
    assert judge("contains", "It goes to Abacus.").value == 0
    assert judge({"contains": {"strict": True}}, "lantern").value == 0
    assert judge({"contains": {"text": "sorry"}}, "I am sorry.", None).value == 1


def test_a_regex_compares_what_it_extracts():
    spec = {"regex": {"pattern": r"answer: (\w+)"}}
    assert judge(spec, "Hm. answer: lantern").extracted == "lantern"
    assert judge(spec, "Hm. answer: lantern").value == 1
    assert judge(spec, "answer: Abacus").explanation == "Expected 'Lantern', found 'Abacus'."
    assert judge(spec, "no").explanation.startswith("Nothing matches")


def test_a_regex_takes_the_group_and_the_match_it_is_told_to():
    text = "a=1 b=2 a=3"
    assert judge({"regex": {"pattern": r"\w=\d"}}, text).extracted == "a=1"
    assert judge({"regex": {"pattern": r"(\w)=(\d)", "group": 2}}, text).extracted == "1"
    assert judge({"regex": {"pattern": r"(\w)=(?P<n>\d)", "group": "n", "last": True}}, text).extracted == "3"
    assert judge({"regex": {"pattern": r"\d", "compare": False}}, text, None).value == 1


def test_a_group_that_took_no_part_extracts_nothing():
    assert judge({"regex": {"pattern": "x|(a)"}}, "x").extracted == ""


def test_a_regex_that_would_run_for_ever_is_stopped():
    spec = {"regex": {"pattern": "(a|aa)+$", "timeout_seconds": 0.05}}
    score = judge(spec, "a" * 60 + "b")
    assert not score.applies
    assert score.explanation == "The pattern took more than 0.05 s on this answer."


@pytest.mark.parametrize(
    ("text", "value", "said"),
    [
        ('{"a": 1}', 1, "Valid"),
        ('```json\n{"a": 1}\n```', 1, "Valid"),
        ("[1, 2]", 1, "Valid"),
        ('Here: {"a": 1}', 0, "line 1, column 1"),
        ('{"a": 1,}', 0, "column"),
        ("", 0, "empty"),
        ("NaN", 0, "NaN is not JSON"),
        ("[" * 100_000, 0, "Not JSON"),
    ],
)
def test_json_validity_says_where_it_ends(text, value, said):
    score = judge("json_valid", text, None)
    assert score.value == value
    assert said in score.explanation


def test_json_validity_may_ask_for_a_kind():
    assert judge({"json_valid": {"kind": "object"}}, "[]").explanation == "JSON, but not an object."
    assert judge({"json_valid": {"kind": "array"}}, "[]").value == 1


EXPECTED = '{"name": "Ada Lund", "day": "Monday", "price": 12.5, "paid": true}'


def test_json_fields_counts_the_fields_that_are_right():
    score = judge("json_fields", '{"name": "ada lund", "day": "Sunday", "price": 12.50, "extra": 1}', EXPECTED)
    assert score.value == 0.5
    assert score.explanation.splitlines() == [
        "2 of 4 fields right.",
        'day: expected "Monday", found "Sunday"',
        "paid: missing, expected true",
        "not asked for: extra",
    ]


def test_json_fields_finds_the_object_in_other_text():
    score = judge("json_fields", f"Sure! {{not this}} {EXPECTED} Bye {{", EXPECTED)
    assert (score.value, score.extracted) == (1, EXPECTED)


@pytest.mark.parametrize("text", ["", "no object", "[1]", "{" * 50_000, '{"a":' * 50_000])
def test_json_fields_of_an_answer_without_an_object_is_nothing(text):
    score = judge("json_fields", text, EXPECTED)
    assert score.value == 0
    assert score.explanation.startswith("No JSON object in the answer")


def test_json_fields_may_count_some_fields_only_and_be_strict():
    assert judge({"json_fields": {"fields": ["day"]}}, '{"day": "monday"}', EXPECTED).value == 1
    assert judge({"json_fields": {"fields": ["day"], "strict": True}}, '{"day": "monday"}', EXPECTED).value == 0


def test_true_is_not_one():
    assert judge("json_fields", '{"a": 1}', '{"a": true}').value == 0


def test_json_fields_cannot_judge_by_an_answer_that_is_no_object():
    assert not judge("json_fields", "{}", "Lantern").applies


@pytest.mark.parametrize(
    ("text", "expected", "value"),
    [
        ("The cat sat", "a cat sat", 1.0),
        ("the black cat", "cat", 2 / 3),
        ("dog", "cat", 0.0),
        ("cat cat", "cat", 2 / 3),
        ("", "cat", 0.0),
        ("the", "a", 0.0),
        ("the A", "A", 1.0),
        ("] ]", "} )", 0.0),
        ("15 kg", "1.5 kg", 0.5),
        ("$1,200.00 or so", "1200 or so", 1.0),
    ],
)
def test_token_f1_is_that_of_squad(text, expected, value):
    assert judge("token_f1", text, expected).value == pytest.approx(value)


def test_squad_tokens_have_no_case_punctuation_or_articles():
    assert split_squad_tokens("The U.S.A., an 'Ally'; theme!") == ["usa", "ally", "theme"]


@pytest.mark.parametrize("spec", ["exact_match", "contains", EVERY[2], "json_fields", "token_f1"])
def test_a_case_without_an_answer_is_said_to_have_none(spec):
    score = judge(spec, "Lantern", None)
    assert not score.applies
    assert score.explanation == "This case has no expected answer."


@given(st.text(), st.none() | st.text() | st.just(EXPECTED))
def test_no_text_upsets_a_scorer(text, expected):
    for scorer in make_scorers(EVERY):
        score = scorer.score(text, Case(1, {}, expected))
        assert 0 <= score.value <= 1
        assert score.scorer == scorer.name


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("exact_match", 1),
        ("normalized_match", 1),
        ("accuracy", 1),
        ("token_f1", 1),
        ("edit_similarity", 1),
        ("edit_distance", 0),
        ("contains", 1),
        ({"regex": {"pattern": r"\w+"}}, 1),
        ({"exact_match": {"extract": "first_line", "extract_expected": "first_line"}}, 1),
    ],
)
def test_any_of_several_right_answers_will_do(spec, value):
    (scorer,) = make_scorers([spec])
    case = Case(1, {}, "Lantern", also=("Abacus", "Harbour"))
    assert scorer.score("Harbour", case).value == value
    assert scorer.score("Willow", case).value != value


@pytest.mark.parametrize(
    "spec", ["exact_match", "normalized_match", "accuracy", "token_f1", "edit_distance", "contains", "rouge1"]
)
def test_a_score_does_not_keep_a_long_answer_once_more(spec):
    score = judge(spec, "many words " * 2000, "other words " * 2000)
    assert len(msgspec.json.encode(score)) < 1000


@given(st.text())
def test_every_answer_matches_itself(text):
    for name in ("exact_match", "normalized_match", "accuracy", "token_f1", "contains", "edit_similarity"):
        score = judge(name, text, text)
        assert score.value == 1 or (is_blank(text) and not score.applies)
    assert normalize(normalize(text)) == normalize(text)
    assert trim(trim(text)) == trim(text)


def test_every_problem_of_a_list_of_scorers_is_told():
    specs = [
        "exact_mach",
        {"regex": {"patern": "a"}},
        {"regex": {"pattern": "("}},
        {"regex": {"pattern": "(a)", "group": 2}},
        {"regex": {"pattern": "a", "timeout_seconds": 0}},
        {"json_valid": {"kind": "text"}},
        {"a": {}, "b": {}},
        "contains",
        "contains",
    ]
    with pytest.raises(ScorerError) as caught:
        make_scorers(specs)
    lines = caught.value.message.splitlines()[1:]
    told = [
        "did you mean exact_match?",
        "patern",
        "'(': missing )",
        "has no group 2; it has [0, 1]",
        "timeout_seconds: expected `float` > 0",
        "invalid enum value 'text'",
        "found 2 names",
        "two scorers are called contains",
    ]
    assert len(lines) == len(told)
    assert all(part in line for part, line in zip(told, lines, strict=True)), lines
    assert "json_fields" in caught.value.hint


def test_two_scorers_of_a_kind_go_by_names_of_their_own():
    scorers = make_scorers([{"contains": {"text": "a", "name": "has a"}}, "contains"])
    assert [scorer.name for scorer in scorers] == ["has a", "contains"]


def test_scorers_are_listed_with_a_line_each():
    listed = list_scorers()
    assert {spec if isinstance(spec, str) else "regex" for spec in EVERY} < set(listed)
    assert all(line and "\n" not in line for line in listed.values())
