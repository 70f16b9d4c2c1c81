"""Numbers however they are written: read whole, and found in a text."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.scoring.factory import make_scorers
from workbench.scoring.text.numbers import find_numbers, read_number, write_number


def judge(text, expected, **options):
    (scorer,) = make_scorers([{"numeric_match": options}])
    return scorer.score(text, Case(1, {}, expected))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("42", "42"), ("42.", "42"), ("42!", "42"), ("(42)", "42"), ("**42**", "42"), ("_`42`_", "42")),
        *(
            ('"42"', "42"),
            ("$42$", "42"),
            (r"\(42\)", "42"),
            (r"\boxed{42}", "42"),
            ("4２", "42"),
            ("（４２）。", "42"),
        ),
        *(("٤٢", "42"), ("४२", "42"), ("4\u200b2", "42"), ("+7", "7"), ("007", "7")),
        *(("-5", "-5"), ("−5", "-5"), ("－５", "-5"), ("–5", "-5"), ("- 5", "-5"), ("-$5", "-5"), ("$-5", "-5")),
        *(
            ("$1,200", "1200"),
            ("US$5", "5"),
            ("EUR 5", "5"),
            ("5円", "5"),
            ("5 €", "5"),
            ("£ 5", "5"),
            ("42%", "42"),
            ("42 %", "42"),
            ("￥42", "42"),
        ),
        *(("1,200", "1200"), ("1,234,567.89", "1234567.89"), ("12,34,567", "1234567"), ("1_000", "1000")),
        *(("1,5", "1.5"), ("0,500", "0.5"), ("1234,567", "1234.567"), ("1.200,50", "1200.5"), ("1.234.567", "1234567")),
        *(("1.200", "1.2"), ("1 200 000", "1200000"), ("1\u202f200,5", "1200.5"), ("1'200", "1200"), ("1’200", "1200")),
        *(("9{,}500", "9500"), (r"9\,500", "9500"), ("٣٫٥", "3.5"), ("１，５", "1.5"), (".5", "0.5")),
        *(
            ("1e5", "100000"),
            ("1.5E-3", "0.0015"),
            ("1×10^5", "100000"),
            (r"1.2 \times 10^{3}", "1200"),
            ("10⁵", "100000"),
        ),
        *(("2·10⁻²", "0.02"), ("123456789012345678901", "123456789012345678901")),
    ],
)
def test_a_number_is_read_however_it_is_written(text, value):
    found = read_number(text)
    assert found == Decimal(value)
    assert write_number(found) == value


@pytest.mark.parametrize(
    "text",
    ["", "x", "42 km", "1,2,3", "1..2", "--5", "<42", "5-3", "4/5", "12:30", "nan", "inf", "1e999", "9" * 500, "()"],
)
def test_what_is_no_single_number_is_none(text):
    assert read_number(text) is None


@pytest.mark.parametrize(
    ("answer", "expected", "value"),
    [
        ("1,5", "15", 0),
        ("1,5", "1.5", 1),
        ("1.200", "1200", 0),
        ("123456789012", "123456789013", 0),
        ("9007199254740993", "9007199254740992", 0),
        ("0.1", "0.10000000000000001", 0),
        ("1200.00", "1,200", 1),
        ("1e5", "100000", 1),
    ],
)
def test_numbers_are_compared_exactly(answer, expected, value):
    assert judge(answer, expected).value == value


def test_a_tolerance_is_exact_as_well():
    assert judge("12.35", "12.34", tolerance=0.01).value == 1
    assert judge("12.351", "12.34", tolerance=0.01).value == 0
    assert judge("12.35", "12.34", tolerance=0.01).explanation == "12.35 is within 0.01 of 12.34."
    assert judge("9007199254740993", "9007199254740992", tolerance=0.5).value == 0
    with pytest.raises(ScorerError, match="tolerance is inf"):
        make_scorers([{"numeric_match": {"tolerance": float("inf")}}])


def test_what_cannot_be_compared_as_numbers_is_told():
    assert not judge("42", "forty-two").applies
    assert judge("forty-two", "42").explanation.startswith("The answer is not a number; `extract: last_number`")
    assert judge("43", "42").explanation == "Expected 42, got 43."


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("The answer is $9{,}500.", ["9500"]),
        ("about 1e5", ["100000"]),
        ("Die Antwort ist 1,5.", ["1.5"]),
        ("1.234.567,5 oder 0,25", ["1234567.5", "0.25"]),
        ("1,2,3", ["1", "2", "3"]),
        ("05.06.2024", ["05", "06", "2024"]),
        ("10–20, 2-3 and (−4)", ["10", "20", "2", "3", "-4"]),
        ("1,000-2,000", ["1000", "2000"]),
        ("in 2020 300 people", ["2020", "300"]),
        ("答えは４２です", ["42"]),
        ("x = 2 × 10^3", ["2000"]),
        ("#### 72", ["72"]),
        ("2e3f", ["2", "3"]),
        ("1.50 € each", ["1.50"]),
    ],
)
def test_the_numbers_of_a_text_are_found_and_spelled_plainly(text, numbers):
    assert find_numbers(text) == numbers


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_a_number_that_is_written_is_read_again(value):
    assert read_number(write_number(value)) == value
    assert read_number(f"{value:,f}") == value or abs(value) < 1000 or value == int(value)


@given(st.integers(min_value=-(10**40), max_value=10**40))
def test_thousands_may_be_separated(value):
    for separator in (",", "_", "'", "\u202f", " ", "{,}"):
        assert read_number(f"{value:,}".replace(",", separator)) == value


@given(st.text(alphabet="0123456789.,-+eE×^$()*{}\\ 'x−", max_size=30))
def test_no_text_upsets_the_reading_of_numbers(text):
    for number in find_numbers(text):
        assert read_number(number) is not None
    read_number(text)
