"""Figures as a person reads them, and fields as a person writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from workbench.inference.sampling_fields import find_sampling_field
from workbench.inference.types import Completion, Sampling
from workbench.tui.dialogs.pane_settings import LINES, read_field, write_field
from workbench.tui.figures import cut_middle, list_completion


def test_a_completion_says_tokens_time_speed_and_why_it_ended():
    done = Completion("x", prompt_tokens=61, output_tokens=2, seconds_to_first_token=0.009, stop_reason="eos")
    assert list_completion(done) == ("61→2 tok", "9 ms", "eos")
    cached = Completion(
        "x", cached_tokens=60, prompt_tokens=61, output_tokens=9, tokens_per_second=70, stop_reason="length"
    )
    assert list_completion(cached) == ("61→9 tok", "0 ms*", "70 tok/s", "max tokens")


def test_a_long_name_keeps_its_beginning_and_more_of_its_end():
    assert cut_middle("desk-q8_0", 9) == "desk-q8_0"
    assert cut_middle("Qwen2.5-7B-Instruct-Q4_K_M", 16) == "Qwen2…uct-Q4_K_M"
    assert cut_middle("漢字かな漢字かな", 7) == "漢…かな"


@given(st.text(), st.integers(1, 30))
def test_a_cut_text_is_never_wider_than_asked(text, width):
    assert cell_len(cut_middle(text, width)) <= width


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
    logit_bias=st.dictionaries(st.sampled_from(["yes", "no", "id:42"]), st.sampled_from([-100.0, 1.5]), max_size=2),
)


@given(SAMPLINGS)
def test_the_form_reads_back_what_it_shows(sampling):
    for field in LINES:
        shown = write_field(sampling, field.name)
        if field.name == "stop" and any(text != text.lstrip(" ") for text in sampling.stop):
            continue  # a space after a comma is layout in the form
        assert read_field(field, shown) == getattr(sampling, field.name)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("temperature", "hot", "not a number"),
        ("top_p", "1.5", "is 1.5, expected above 0, and 1 at most"),
        ("max_tokens", "2.5", "not a whole number"),
        ("logit_bias", "yes", "not of the form text=number"),
        ("temperature", "nan", "expected 0 or more"),
        ("top_p", "0", "is 0.0, expected above 0, and 1 at most"),
        ("ignore_eos", "maybe", "neither on nor off"),
    ],
)
def test_a_field_that_cannot_be_read_says_what_was_expected(name, text, problem):
    with pytest.raises(ValueError, match=problem):
        read_field(find_sampling_field(name), text)


def test_thinking_stands_where_the_latencies_do():
    done = Completion("7", "hm", 9, 0, 40, 30, 0.5, 2.0, 20.0, 2.5, "eos")
    assert list_completion(done) == ("9→40 tok", "500 ms / 2.0 s", "20 tok/s", "30 thinking", "eos")
