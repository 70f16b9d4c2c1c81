from __future__ import annotations

import pytest

from workbench.units import (
    format_bytes,
    format_count,
    format_date,
    format_duration,
    format_money,
    format_number,
    format_p,
    format_score,
    format_subject,
    read_bytes,
    read_seconds,
)


@pytest.mark.parametrize(
    "value",
    [
        10**400,
        -1,
        1e308,
        float("inf"),
        float("nan"),
        "9" * 400,
        "9" * 400 + " MiB",
        "1e999",
        True,
        None,
        "\ud800",
        [1],
        "٣ MiB",
    ],
    ids=range(13),
)
def test_an_amount_that_is_none_or_too_large_is_refused_in_words(value: object) -> None:
    for read in (read_bytes, read_seconds):
        with pytest.raises(ValueError, match=r"^Expected") as refused:
            read(value)
        assert len(str(refused.value)) < 250
        str(refused.value).encode()


def test_amounts_are_read_as_people_write_them() -> None:
    assert (read_bytes("1.5 GB"), read_bytes("512 MiB"), read_bytes(7)) == (1_500_000_000, 512 << 20, 7)
    assert (read_seconds("50 ms"), read_seconds(0.05)) == (0.05, 0.05)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        *((0, "0 ms"), (0.0094, "9 ms"), (0.9994, "999 ms"), (1.25, "1.2 s"), (59.9, "59.9 s")),
        *((59.97, "1:00 min"), (125, "2:05 min"), (3599.7, "1:00 h"), (7800, "2:10 h")),
    ],
)
def test_durations_have_units_and_sensible_digits(seconds, shown):
    assert format_duration(seconds) == shown


def test_sizes_and_counts():
    shown = ["0 B", "999 B", "4.0 MiB", "100 MiB", "1.0 GiB", "130 GiB"]
    assert [format_bytes(size) for size in (0, 999, 2**22, 100 * 2**20, 2**30, 140e9)] == shown
    assert [format_count(count) for count in (1536, 1_180_800, 7_100_000_000)] == ["1,536", "1.2 M", "7.1 B"]


def test_a_figure_that_is_not_known_is_a_dash():
    assert [format_number(value) for value in (0.5, None, float("nan"))] == ["0.500", "–", "–"]
    assert format_number(0.25, 2, signed=True) == "+0.25"


def test_money_scores_and_p_values():
    assert [format_money(amount) for amount in (0.000123456, 12.3456, 3)] == ["0.0001235", "12.35", "3"]
    assert [format_score(0.9166), format_score(0.9166, share=False), format_score(41.234)] == ["91.7%", "0.917", "41.2"]
    assert [format_p(p) for p in (0.0001, 0.0421, 0.312)] == ["p < 0.001", "p = 0.042", "p = 0.31"]


def test_a_date_for_others_says_that_it_is_utc():
    assert format_date(1_780_000_000, utc=True) == "2026-05-28 20:26 UTC"
    assert len(format_date(1_780_000_000)) == len("2026-05-28 20:26")


def test_a_count_agrees_with_its_noun_and_its_verb():
    assert [format_subject(count, "row") for count in (0, 1, 1200)] == ["0 rows are", "1 row is", "1,200 rows are"]
    assert format_subject(1, "case", "names", "name") == "1 case names"
