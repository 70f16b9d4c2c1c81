from __future__ import annotations

from workbench.training.checkpoints import (
    MANIFEST,
    SAVING,
    TrainerState,
    commit_checkpoint,
    find_checkpoints,
    prune,
    remove_partial,
)


def write_state(folder, step, content=b"weights"):
    written = folder / SAVING / f"checkpoint-{step}"
    written.mkdir(parents=True)
    (written / "model.bin").write_bytes(content)
    return commit_checkpoint(folder, written.name, TrainerState(step, tokens=step * 10))


def test_a_sealed_state_is_found_with_its_bookmark(tmp_path):
    write_state(tmp_path, 4)
    write_state(tmp_path, 12)
    assert [(found.step, found.trainer_state.tokens) for found in find_checkpoints(tmp_path)] == [(4, 40), (12, 120)]


def test_a_state_that_was_being_written_is_not_there(tmp_path):
    write_state(tmp_path, 4)
    half = tmp_path / SAVING / "checkpoint-8"
    half.mkdir(parents=True)
    (half / "model.bin").write_bytes(b"wei")
    assert [found.step for found in find_checkpoints(tmp_path)] == [4]
    remove_partial(tmp_path)
    assert not (tmp_path / SAVING).exists()


def test_nothing_is_left_of_where_it_was_written(tmp_path):
    write_state(tmp_path, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-4"]


def test_what_is_being_written_beside_it_stays(tmp_path):
    half = tmp_path / SAVING / "checkpoint-8"
    half.mkdir(parents=True)
    write_state(tmp_path, 4)
    assert half.is_dir()


def test_a_state_that_lost_a_part_is_not_there(tmp_path):
    path = write_state(tmp_path, 4)
    (path / "model.bin").write_bytes(b"w")
    assert find_checkpoints(tmp_path) == ()
    (path / "model.bin").unlink()
    assert find_checkpoints(tmp_path) == ()


def test_a_state_without_a_manifest_is_not_there(tmp_path):
    (write_state(tmp_path, 4) / MANIFEST).unlink()
    assert find_checkpoints(tmp_path) == ()


def test_the_same_state_written_again_replaces_the_old_one(tmp_path):
    write_state(tmp_path, 4)
    path = write_state(tmp_path, 4, b"again")
    assert (path / "model.bin").read_bytes() == b"again"


def test_the_latest_and_the_best_are_kept(tmp_path):
    for step in (2, 4, 6, 8):
        write_state(tmp_path, step)
    prune(tmp_path, best=4)
    assert [found.step for found in find_checkpoints(tmp_path)] == [4, 8]
