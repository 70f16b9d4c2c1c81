"""Figures as a person reads them, and fields as a person writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engines.engine import Completion, Sampling
from workbench.tui.dialogs.pane_settings import FIELDS, read_field, write_field
from workbench.tui.figures import show_bytes, show_completion, show_count, show_sampling, show_seconds


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0094, "9 ms"), (0.9994, "999 ms"), (1.25, "1.2 s"), (59.9, "59.9 s"), (125, "2:05")]
)
def test_times_have_units_and_sensible_digits(seconds, shown):
    assert show_seconds(seconds) == shown


def test_sizes_and_counts():
    assert [show_bytes(size) for size in (999, 4_200_000, 140_000_000_000)] == ["999 B", "4.2 MB", "140 GB"]
    assert [show_count(count) for count in (1536, 1_180_800, 7_100_000_000)] == ["1,536", "1.2 M", "7.1 B"]


def test_a_completion_says_tokens_time_speed_and_why_it_ended():
    done = Completion("x", prompt_tokens=61, output_tokens=2, seconds_to_first_token=0.009, stop_reason="eos")
    assert show_completion(done) == "61→2 tok  9 ms\nended"
    cached = Completion(
        "x", cached_tokens=60, prompt_tokens=61, output_tokens=9, tokens_per_second=70, stop_reason="length"
    )
    assert show_completion(cached) == "61→9 tok  0 ms*\n70 tok/s  cut at limit"


def test_sampling_in_a_few_characters():
    assert show_sampling(Sampling()) == "greedy"
    assert show_sampling(Sampling(temperature=0.7, top_p=0.9, top_k=40, min_p=0.05)) == "t 0.7 p 0.9 k 40 min-p 0.05"


SAMPLINGS = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.7, 1.25]),
    top_p=st.sampled_from([1.0, 0.9]),
    top_k=st.integers(0, 100),
    max_tokens=st.integers(1, 5000),
    stop=st.lists(st.text(alphabet="ab,\\\n #", min_size=1).filter(lambda text: text.strip(" ")), max_size=3).map(
        tuple
    ),
    seed=st.none() | st.integers(0, 10),
    logit_bias=st.dictionaries(st.sampled_from(["yes", "no", "42"]), st.sampled_from([-100.0, 1.5]), max_size=2),
)


@given(SAMPLINGS)
def test_the_form_reads_back_what_it_shows(sampling):
    for field in FIELDS:
        shown = write_field(sampling, field.name)
        if field.name == "stop" and any(text != text.lstrip(" ") for text in sampling.stop):
            continue  # a space after a comma is layout in the form
        assert read_field(field.name, shown) == getattr(sampling, field.name)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("temperature", "hot", "not a number"),
        ("top_p", "1.5", "outside 0 to 1"),
        ("max_tokens", "2.5", "not a whole number"),
        ("logit_bias", "yes", "not text=number"),
        ("temperature", "nan", "outside"),
    ],
)
def test_a_field_that_cannot_be_read_says_what_was_expected(name, text, problem):
    with pytest.raises(ValueError, match=problem):
        read_field(name, text)
