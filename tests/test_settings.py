from __future__ import annotations

import ast
from pathlib import Path

import pytest

from workbench import settings
from workbench.device_choice import DeviceChoice
from workbench.errors import SettingsError
from workbench.settings import Settings, change_setting, load_settings


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "settings.toml") == Settings()


def test_settings_are_read_from_the_person_s_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    file = tmp_path / "config" / "settings.toml"
    file.parent.mkdir()
    file.write_text('live = false\nmodel_folders = ["~/models"]\n[keymap]\n"bench.run" = "f5"\n')
    loaded = load_settings()
    assert loaded == Settings(live=False, model_folders=("~/models",), keymap={"bench.run": "f5"})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("lvie = true", "lvie"),
        ('live = "yes"', "live"),
        ('context_strategy = "guess"', "context_strategy"),
        ("live = ", "settings.toml"),
        ("threads = -1", "threads"),
        ("live_delay_ms = -5", "live_delay_ms"),
        ("max_context_tokens = 0", "max_context_tokens"),
        ('prompt_cache_ram = "lots"', "512 MiB"),
        ("prompt_cache_ram = -1", "prompt_cache_ram"),
        ("prompt_cache_ram = 1.5", "prompt_cache_ram"),
        ("prompt_cache_ram = true", "prompt_cache_ram"),
        ('prompt_cache_ram = "5 ms"', "prompt_cache_ram"),
        ("step_seconds = 0", "1 ms"),
        ("step_seconds = 90", "60 s"),
        ('step_seconds = "5 MiB"', "50 ms"),
        ("[offload]\ngpu_layers = -1", "`offload`: gpu_layers: expected auto, all, none or a number from 0"),
        ('[offload]\nrpc = ["8.8.8.8:1"]', "8.8.8.8:1 is a public address"),
        ('[offload]\nkv_typ = "q8_0"', "kv_typ"),
        ('[offload]\nattention = "fast"', "attention"),
        ("offload = 3", "offload"),
    ],
)
def test_a_wrong_setting_is_an_error_that_names_file_and_key(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert str(file) in caught.value.message
    assert named in caught.value.message


def test_devices_of_this_machine_are_read(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[offload]\ngpu_layers = 20\ntensor_split = [3, 1]\nrpc = ["10.0.0.2:50052"]\ndtype = "float16"\n')
    loaded = load_settings(file).offload
    assert loaded == DeviceChoice(gpu_layers=20, tensor_split=(3.0, 1.0), rpc=("10.0.0.2:50052",), dtype="float16")


@pytest.mark.parametrize(
    ("text", "parked", "step"),
    [
        ('prompt_cache_ram = "1.5 GiB"', 3 * 2**29, 0.05),
        ('prompt_cache_ram = "2gb"', 2_000_000_000, 0.05),
        ("prompt_cache_ram = 0", 0, 0.05),
        ('step_seconds = "20 ms"', 512 * 2**20, 0.02),
        ("step_seconds = 1", 512 * 2**20, 1.0),
    ],
)
def test_memory_and_time_are_read_as_people_write_them(tmp_path: Path, text: str, parked: int, step: float) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    loaded = load_settings(file)
    assert (loaded.prompt_cache_ram, loaded.step_seconds) == (parked, step)


def test_all_wrong_settings_are_reported_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('# mine\nlvie = true\ntheme = 3\n\n[keymaps]\nx = "y"\n')
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert caught.value.message.split("\n") == [
        f"{file}:2: `lvie` is not a setting; did you mean `live`?",
        f"{file}:3: `theme`: Expected `str`, got `int` - at `$.theme`",
        f"{file}:5: `keymaps` is not a setting; did you mean `keymap`?",
    ]


def test_a_file_that_is_not_text_is_a_settings_error(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(b"\xff")
    with pytest.raises(SettingsError, match=r"settings\.toml"):
        load_settings(file)


def test_every_setting_is_explained() -> None:
    tree = ast.parse(Path(settings.__file__).read_text())
    struct = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == "Settings")
    for field, after in zip(struct.body[1::2], struct.body[2::2], strict=True):
        assert isinstance(field, ast.AnnAssign)
        assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)


@pytest.mark.parametrize(
    "text",
    [
        "threads = " + "9" * 5000,
        "threads = " + "[" * 5000,
        "a." * 2000 + "b = 1",
        "theme = '\\ud800'\nx = \"\\ud800\"",
        "prompt_cache_ram = " + "9" * 400,
        "step_seconds = nan",
        "prompt_cache_ram = inf",
        "keymap = {a = {b = {c = 1}}}",
        "theme = 1979-05-27",
        "\x00",
    ],
    ids=range(10),
)
def test_settings_of_any_damage_are_refused_in_words(text: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_settings(file)
    assert str(file) in str(refused.value) and len(str(refused.value)) < 2000


def test_a_settings_file_that_is_a_circle_of_links_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    other = tmp_path / "other.toml"
    file.symlink_to(other)
    other.symlink_to(file)
    with pytest.raises(SettingsError, match="Cannot read"):
        load_settings(file)


def test_a_renamed_setting_is_an_error_with_its_new_name(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('live = true\nparked_memory = "1 GiB"\n')
    with pytest.raises(SettingsError, match=r"settings\.toml:2: `parked_memory` is now called `prompt_cache_ram`"):
        load_settings(path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'theme = "nord"\n'),
        ("live = false", 'live = false\ntheme = "nord"\n'),
        ("# mine\ntheme='old'  # why\nlive = false\n", '# mine\ntheme = "nord"  # why\nlive = false\n'),
        (
            'live = false\r\n\n[keymap]\n"bench.run" = "f5"\n',
            'live = false\r\n\ntheme = "nord"\n[keymap]\n"bench.run" = "f5"\n',
        ),
        ('[keymap]\ntheme = "f5"\n', 'theme = "nord"\n[keymap]\ntheme = "f5"\n'),
    ],
)
def test_one_setting_is_written_and_no_other_byte_changes(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(before.encode())
    change_setting("theme", "nord", file)
    assert file.read_bytes() == after.encode()
    assert load_settings(file).theme == "nord"


def test_the_settings_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    file = tmp_path / "config" / "settings.toml"
    change_setting("theme", 'a "quoted" \\ name', file)
    assert load_settings(file) == Settings(theme='a "quoted" \\ name')


@pytest.mark.parametrize("text", ['"theme" = "old"\n', "theme =\n", 'editor = """\ntheme = "old"\n"""\n'])
def test_a_form_that_cannot_be_changed_is_left_and_said(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        change_setting("theme", "nord", file)
    assert file.read_text() == text
    assert 'theme = "nord"' in caught.value.hint
