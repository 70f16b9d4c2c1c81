"""The cache of converted adapters stays bounded, and takes nothing away from whoever is about to use it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workbench.models import lora_to_gguf
from workbench.models.lora_to_gguf import LONGEST_IDLE_SECONDS, SAFE_SECONDS, clean, fetch

NOW = 2_000_000_000.0
DAY = 24 * 3600.0


def put(folder: Path, name: str, idle: float, size: int = 10) -> Path:
    path = folder / f"{name}.gguf"
    path.write_bytes(bytes(size))
    os.utime(path, (NOW - idle, NOW - idle))
    return path


def left(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.gguf"))


def test_what_nobody_used_for_long_goes(tmp_path):
    put(tmp_path, "old", LONGEST_IDLE_SECONDS + 1)
    put(tmp_path, "young", DAY)
    clean(tmp_path, NOW)
    assert left(tmp_path) == ["young"]


def test_beyond_the_limit_the_least_recently_used_go_first(tmp_path, monkeypatch):
    monkeypatch.setattr(lora_to_gguf, "MOST_BYTES", 25)
    for days, name in enumerate("abcd"):
        put(tmp_path, name, (days + 1) * DAY)
    clean(tmp_path, NOW)
    assert left(tmp_path) == ["a", "b"]


def test_what_was_used_just_now_stays_whatever_the_limit_says(tmp_path, monkeypatch):
    monkeypatch.setattr(lora_to_gguf, "MOST_BYTES", 0)
    put(tmp_path, "fresh", SAFE_SECONDS / 2)
    put(tmp_path, "idle", SAFE_SECONDS * 2)
    clean(tmp_path, NOW)
    assert left(tmp_path) == ["fresh"]


def test_asking_for_a_file_makes_it_the_last_one_used_and_keeps_its_date(tmp_path):
    path = put(tmp_path, "mine", LONGEST_IDLE_SECONDS - 1)
    written = path.stat().st_mtime
    assert fetch(path, lambda _: pytest.fail("it is there"), lambda: NOW) == path
    clean(tmp_path, NOW + 2)
    assert left(tmp_path) == ["mine"]
    assert path.stat().st_mtime == written


def test_a_file_that_is_not_there_is_made_and_the_others_are_looked_through(tmp_path):
    put(tmp_path, "old", LONGEST_IDLE_SECONDS + 1)
    fetch(tmp_path / "new.gguf", lambda out: put(tmp_path, out.stem, 0), lambda: NOW)
    assert left(tmp_path) == ["new"]


def test_a_file_that_another_process_takes_up_or_deletes_meanwhile_is_passed_over(tmp_path, monkeypatch):
    taken, gone = (put(tmp_path, name, LONGEST_IDLE_SECONDS + 1) for name in ("taken", "gone"))
    own = lora_to_gguf._list

    def listed(folder):
        found = own(folder)
        os.utime(taken, (NOW, NOW))
        gone.unlink()
        return found

    monkeypatch.setattr(lora_to_gguf, "_list", listed)
    clean(tmp_path, NOW)
    assert left(tmp_path) == ["taken"]


def test_what_a_broken_conversion_left_behind_goes(tmp_path):
    for name, idle in ((".x.gguf.abc", DAY), (".y.gguf.def", 1)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (NOW - idle, NOW - idle))
    clean(tmp_path, NOW)
    assert [path.name for path in tmp_path.iterdir()] == [".y.gguf.def"]
