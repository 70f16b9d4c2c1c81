from __future__ import annotations

import pytest

from workbench.measures import read_bytes, read_seconds


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
