from __future__ import annotations

from pathlib import Path

import pytest

from workbench.models.adapter_info import find_base, matches_base
from workbench.models.reference import Model

FILE = Model("desk-q8_0", Path("/models/desk-q8_0.gguf"))
CACHED = Model("ada/Tiny-LM-1B", Path("/hub/models--ada--Tiny-LM-1B/snapshots/0123"), "hf")


@pytest.mark.parametrize(
    ("named", "model", "expected"),
    [
        ("desk", FILE, True),
        ("/runs/base/desk/", FILE, True),
        ("ada/Tiny_LM-1B", CACHED, True),
        ("somebody/Model-70B", FILE, False),
        ("", FILE, True),
    ],
)
def test_a_base_is_known_by_its_name_in_any_form(named, model, expected):
    assert matches_base(named, model) is expected


def test_the_base_is_looked_for_among_what_is_there():
    assert find_base("ada/Tiny-LM-1B", [FILE, CACHED]) is CACHED
    assert find_base("somebody/Model-70B", [FILE, CACHED]) is None
