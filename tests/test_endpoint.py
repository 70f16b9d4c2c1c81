"""Addresses of servers as a person writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.endpoint import Endpoint, clean_address, is_address, make_endpoint
from workbench.errors import ModelError

SECRET = "sk-very-secret"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        (" HTTP://GPU.Example:8000/v1/ ", "http://gpu.example:8000"),
        ("https://api.example/openai/v1", "https://api.example/openai"),
        ("http://[::1]:9", "http://[::1]:9"),
    ],
)
def test_an_address_is_kept_in_one_form(written: str, kept: str) -> None:
    assert clean_address(written) == kept


@pytest.mark.parametrize(
    "written",
    ["gpu:8080", "ftp://gpu", "http://", "http://gpu:x", "http://gpu:99999", "http://gpu:0", "http://g pu",
     "http:\\\\gpu", f"http://me:{SECRET}@gpu", f"https://gpu/v1?api_key={SECRET}", "http://gpu\n.example", "http://[::1"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_its_secrets(written: str) -> None:
    with pytest.raises(ModelError, match="is not a server's address") as raised:
        clean_address(written)
    assert SECRET not in str(raised.value)
    assert "WORKBENCH_SERVER_KEY" in raised.value.hint


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for written in (text, f"http://{text}"):
        try:
            kept = clean_address(written)
        except ModelError:
            continue
        assert clean_address(kept) == kept
        assert "@" not in kept


def test_a_models_name_may_stand_behind_the_address() -> None:
    assert make_endpoint("http://gpu:11434#qwen3:8b") == Endpoint(("http://gpu:11434",), model="qwen3:8b")
    assert make_endpoint("http://gpu:11434", model="other").model == "other"
    with pytest.raises(ModelError):
        make_endpoint("http://gpu:11434#qwen3:8b", model="other")


def test_addresses_that_are_the_same_count_once() -> None:
    assert make_endpoint(["http://a:1", "http://A:1/v1", "http://b:2"]).urls == ("http://a:1", "http://b:2")
    assert make_endpoint(["http://a:1", "http://b:2"]).label == "http://a:1 and 1 more"
    with pytest.raises(ModelError, match="no address"):
        make_endpoint([])


def test_addresses_are_told_from_names_and_paths() -> None:
    assert is_address("HTTP://127.0.0.1:8080")
    assert not is_address("models/http.gguf")
