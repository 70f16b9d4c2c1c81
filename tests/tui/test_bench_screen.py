"""The bench screen, driven by its keys: values and messages, not pictures."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from conftest import bench_of, settled, until
from textual.widgets import Input, Static, TextArea

from workbench.inference.types import Likelihood
from workbench.models.reference import Adapter, Model
from workbench.runs.bench import AdapterChoice, ModelChoice, load_bench
from workbench.settings import Settings
from workbench.tui.dialogs.adapter_panel import AdapterPanel
from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.dialogs.difference import DifferenceView, mark_differences
from workbench.tui.dialogs.example_editor import ExampleEditor
from workbench.tui.dialogs.explanation import Explanation
from workbench.tui.dialogs.final_prompt import FinalPrompt
from workbench.tui.dialogs.help import Help
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.pane_settings import PaneSettings
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.dialogs.token_view import TokenView
from workbench.tui.score_tracker import ScoreTracker
from workbench.tui.screens.models import ModelsScreen
from workbench.tui.widgets.case_view import CaseField
from workbench.tui.widgets.picker import Picker

WIDE = (160, 45)


def answers(screen) -> list[str]:
    return [pane.completion.text for pane in screen.panes]


def badges(screen) -> list[str]:
    return [pane.badge.plain for pane in screen.panes]


async def dialog(pilot, kind):
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))
    return pilot.app.screen


async def test_opening_runs_every_pane_and_scores_it(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        assert answers(screen) == ["Refunds", "Lantern", "Lantern", "Letters"]
        assert badges(screen) == ["✗ 0.00", "✓ 1.00", "✓ 1.00", "✗ 0.00"]


async def test_typing_runs_the_panes_that_share_the_prompt_again(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        untouched = screen.panes[1].chunks
        screen.edit.editor.move_cursor(screen.edit.editor.document.end)
        await pilot.press(*"Queues:", "enter")
        await until(pilot, lambda: answers(screen)[0] == "Lantern" == answers(screen)[3])
        assert screen.panes[1].chunks is untouched


async def test_nothing_runs_while_typing_when_live_is_off_and_ctrl_r_runs(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("ctrl+l")
        assert not screen.session.live
        screen.edit.editor.move_cursor(screen.edit.editor.document.end)
        await pilot.press(*"Queues:")
        await until(pilot, lambda: "queues/plain" in screen.session.prompts.edited)
        assert answers(screen)[0] == "Refunds"
        await pilot.press("ctrl+r")
        await until(pilot, lambda: answers(screen)[0] == "Lantern")


async def test_a_template_error_is_shown_where_it_is_typed_and_in_the_panes(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.edit.editor.move_cursor(screen.edit.editor.document.end)
        await pilot.press(*"{{ oops")
        await until(pilot, lambda: screen.panes[0].state == "failed")
        assert "line" in str(screen.edit.editor.border_subtitle)
        assert screen.panes[1].state == "done"


async def test_missing_variables_are_named_together(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.edit.editor.move_cursor(screen.edit.editor.document.end)
        screen.edit.editor.insert("{{ first }} {{ second }}")
        await until(pilot, lambda: screen.panes[0].state == "failed" and "second" in screen.panes[0].output.text)
        assert "first" in screen.panes[0].output.text


async def test_space_switches_an_example_off_and_moves_the_meter(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await screen.controller.choose(screen.panes[1])
        await until(pilot, lambda: screen.edit.meter._budget is not None and screen.edit.meter._budget.examples > 0)
        before = screen.edit.meter._budget.examples
        screen.edit.examples.focus()
        await pilot.press("space")
        assert screen.session.variants[1].examples_off == ("e1",)
        await until(pilot, lambda: screen.edit.meter._budget.examples < before)
        await pilot.press("space")
        assert screen.session.variants[1].examples_off == ()
        await pilot.press("t")
        await until(pilot, lambda: screen.session.variants[1].examples_off == ("e1", "e2", "e3"))


async def test_an_example_is_edited_added_and_removed(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await screen.controller.choose(screen.panes[1])
        screen.edit.examples.focus()
        await pilot.press("enter")
        editor = await dialog(pilot, ExampleEditor)
        editor.query_one("#answer", TextArea).load_text("Anvil")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: screen.session.prompt("queues/listed").examples[0].answer == "Anvil")
        screen.edit.examples.focus()
        await pilot.press("a")
        await dialog(pilot, ExampleEditor)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(screen.session.prompt("queues/listed").examples) == 4)
        assert screen.session.prompt("queues/listed").examples[3].answer == "Lantern"
        screen.edit.examples.focus()
        await pilot.press("delete")
        await until(
            pilot, lambda: [e.id for e in screen.session.prompt("queues/listed").examples] == ["e2", "e3", "e4"]
        )


async def test_the_case_moves_forth_and_back_and_by_number(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("ctrl+down")
        await until(pilot, lambda: answers(screen)[0] == "Abacus")
        assert screen.panes[0].completion.thinking == "Money was taken."
        await pilot.press("ctrl+up")
        await until(pilot, lambda: answers(screen)[0] == "Refunds")
        await pilot.press("ctrl+up")
        assert screen.session.bench.case == 1
        await pilot.press("escape", "g")
        (await dialog(pilot, NameInput)).query_one(Input).value = "3"
        await pilot.press("enter")
        await until(pilot, lambda: answers(screen)[0] == "I do not know.")


async def test_what_is_typed_over_a_case_runs_and_is_still_there_after_moving_on(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        field = screen.query(CaseField).first()
        field.load_text("You charged me")
        await until(pilot, lambda: answers(screen)[0] == "Abacus")
        await pilot.press("ctrl+down", "ctrl+up")
        assert screen.query(CaseField).first().text == "You charged me"
        assert screen.session.case_is_typed


async def test_escape_stops_what_runs_and_keeps_its_text(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.query(CaseField).first().load_text("endless")
        await until(pilot, lambda: all(pane.output.text.startswith("on and on") for pane in screen.panes))
        await pilot.press("escape")
        await until(pilot, lambda: all(pane.state == "cancelled" for pane in screen.panes))
        assert screen.panes[0].completion.text.startswith("on and on")
        assert screen.panes[0].scores == ()


async def test_escape_leaves_the_editor_when_nothing_runs(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("escape")
        assert app.focused is screen.panes[0]


async def test_a_failure_in_the_middle_stays_in_its_pane_and_enter_tries_again(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.query(CaseField).first().load_text("fail")
        await until(pilot, lambda: all(pane.state == "failed" for pane in screen.panes))
        assert "ran out of ink" in screen.panes[0].output.text
        screen.query(CaseField).first().load_text("parcel")
        screen.panes[0].focus()
        await pilot.press("enter")
        await until(pilot, lambda: screen.panes[0].state == "done")


async def test_number_keys_and_arrows_choose_panes(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("escape", "2")
        await until(pilot, lambda: screen.controller.chosen == 1)
        assert app.focused is screen.panes[1]
        assert "queues/listed" in str(screen.edit.editor.border_title)
        await pilot.press("right")
        await until(pilot, lambda: screen.controller.chosen == 2)
        await pilot.press("left", "left")
        await until(pilot, lambda: screen.controller.chosen == 0)
        screen.edit.editor.focus()
        await pilot.press("f7")
        await until(pilot, lambda: screen.controller.chosen == 3)
        assert app.focused is screen.edit.editor
        await pilot.press("f8")
        await until(pilot, lambda: screen.controller.chosen == 0)


async def test_duplicating_gives_the_copy_a_prompt_of_its_own(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("escape", "D")
        await until(pilot, lambda: len(screen.panes) == 5 and screen.panes[1].state == "done")
        assert screen.session.variants[1].prompt == "queues/plain-2"
        assert screen.controller.chosen == 1
        screen.edit.editor.focus()
        screen.edit.editor.move_cursor(screen.edit.editor.document.end)
        await pilot.press(*"Queues:")
        await until(pilot, lambda: answers(screen)[1] == "Lantern")
        assert answers(screen)[0] == "Refunds"
        assert [pane.letter for pane in screen.panes] == list("ABCDE")


async def test_panes_are_added_up_to_eight_and_closed_down_to_one(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("escape", "a")
        await dialog(pilot, Picker)
        await pilot.press("enter")
        await until(pilot, lambda: len(screen.panes) == 5 and app.screen is screen)
        for count in (6, 7, 8):
            await pilot.press("D")
            await until(pilot, lambda count=count: len(screen.panes) == count)
        await pilot.press("D")
        await until(pilot, lambda: "at most 8" in notices(app))
        screen.session.prompts.revert_all()
        for count in range(7, 0, -1):
            screen.panes[0].focus()
            await pilot.press("x")
            await until(pilot, lambda count=count: len(screen.panes) == count)
        await pilot.press("x")
        await until(pilot, lambda: "last pane" in notices(app))


def notices(app) -> str:
    return " ".join(f"{notice.title} {notice.message}" for notice in app._notifications)


async def test_closing_a_pane_with_an_unsaved_prompt_asks(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("escape", "D")
        await until(pilot, lambda: len(screen.panes) == 5)
        screen.panes[1].focus()
        await pilot.press("x")
        await dialog(pilot, ConfirmDialog)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert len(screen.panes) == 5
        await pilot.press("x")
        await dialog(pilot, ConfirmDialog)
        await pilot.click("#answer-drop")
        await until(pilot, lambda: len(screen.panes) == 4)


async def test_a_pane_is_renamed(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("escape", "n")
        (await dialog(pilot, NameInput)).query_one(Input).value = "short"
        await pilot.press("enter")
        await until(pilot, lambda: screen.session.variants[0].name == "short")
        assert "short" in str(screen.panes[0].border_title)


async def test_a_name_that_is_taken_is_refused(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("escape", "n")
        (await dialog(pilot, NameInput)).query_one(Input).value = "warm"
        await pilot.press("enter")
        await until(pilot, lambda: "taken" in notices(app))
        assert screen.session.variants[0].name == "plain"


async def test_settings_change_the_sampling_and_run_the_pane_again(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("escape", "s")
        panel = await dialog(pilot, PaneSettings)
        panel.query_one("#stop", Input).value = r"f, \n"
        panel.query_one("#temperature", Input).value = "hot"
        await pilot.press("enter")
        assert "not a number" in str(panel.query_one("#explanation", Static).content)
        panel.query_one("#temperature", Input).value = "0"
        await pilot.press("enter")
        await until(pilot, lambda: answers(screen)[0] == "Re")
        assert screen.session.variants[0].sampling.stop == ("f", "\n")
        await pilot.press("s")
        panel = await dialog(pilot, PaneSettings)
        panel.query_one("#default_sampling", Input).value = "temperature, heat"
        await pilot.press("enter")
        assert "no sampling field is named 'heat'" in str(panel.query_one("#explanation", Static).content)
        panel.query_one("#default_sampling", Input).value = "temperature, max_tokens"
        await pilot.press("enter")
        await until(pilot, lambda: screen.session.variants[0].default_sampling == ("temperature", "max_tokens"))


async def test_settings_lead_to_another_prompt_and_another_model(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        for button in ("#choose-prompt", "#choose-model"):
            screen.panes[0].focus()
            await pilot.press("s")
            (await dialog(pilot, PaneSettings)).query_one(button).focus()
            await pilot.press("enter")
            await dialog(pilot, Picker)
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is screen)


async def test_f4_takes_what_the_editor_outside_leaves(app, monkeypatch):
    monkeypatch.setenv("EDITOR", "sed -i 's/}}/}} Queues:/'")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setattr(type(app), "suspend", lambda _self: contextlib.nullcontext())
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("f4")
        await until(pilot, lambda: answers(screen)[0] == "Lantern")
        assert "{{ message }} Queues:" in screen.edit.editor.text


async def test_an_editor_that_does_not_run_is_named(app, monkeypatch):
    monkeypatch.setenv("VISUAL", "no-such-editor")
    monkeypatch.setattr(type(app), "suspend", lambda _self: contextlib.nullcontext())
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("f4")
        await until(pilot, lambda: "no-such-editor" in notices(app))


async def test_a_terminal_that_cannot_be_lent_says_so(app):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("f4")
        await until(pilot, lambda: "cannot run another program" in notices(app))


async def test_a_long_answer_is_scrolled_by_keys(make_app, folder: Path):
    reply = "".join(f"line {number}\n" for number in range(100))
    (folder / "desk.script.json").write_text(json.dumps({"rules": [{"reply": reply}]}))
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        output = screen.panes[0].output
        await pilot.press("escape")
        bottom = output.scroll_offset.y
        assert bottom == output.max_scroll_y > 0
        for keys, moved in (("up", -1), ("k", -2), ("pageup", -12), ("j", -11), ("pagedown", -1), ("down", 0)):
            await pilot.press(keys)
            await until(pilot, lambda moved=moved: output.scroll_offset.y == bottom + moved)


async def test_explain_shows_the_scores_and_for_a_failure_its_reason(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("escape", "e")
        shown = await dialog(pilot, Explanation)
        assert "Refunds" in shown._facts().plain
        assert "exact match" in shown._facts().plain
        await pilot.press("escape")
        screen.query(CaseField).first().load_text("fail")
        await until(pilot, lambda: screen.panes[0].state == "failed")
        screen.panes[0].focus()
        await pilot.press("e")
        await dialog(pilot, TextViewer)


@pytest.fixture
def adapter(folder: Path) -> Adapter:
    """An adapter by its looks, for the scripted engine."""
    (folder / "routes").mkdir()
    (folder / "routes/adapter_config.json").write_text("{}")
    return Adapter("routes", folder / "routes", "peft")


async def test_an_adapter_is_laid_over_scaled_and_switched_while_the_pane_answers(app, adapter):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.controller.know((), (adapter,))
        await pilot.press("escape", "p")
        await dialog(pilot, AdapterPanel)
        await pilot.press("a")
        await dialog(pilot, Picker)
        await pilot.press("enter")
        await dialog(pilot, AdapterPanel)
        await until(pilot, lambda: answers(screen)[0] == "Lantern routes 1")
        await pilot.press("left", "left")
        await until(pilot, lambda: answers(screen)[0] == "Lantern routes 0.8")
        await pilot.press("space")
        await until(pilot, lambda: answers(screen)[0] == "Refunds")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("plus")
        await until(pilot, lambda: answers(screen)[0] == "Lantern routes 0.9")
        await pilot.press("b")
        await until(pilot, lambda: len(screen.panes) == 5 and answers(screen)[1] == "Refunds")
        assert screen.session.variants[1].prompt == screen.session.variants[0].prompt
        await pilot.press("h", "p")
        await dialog(pilot, AdapterPanel)
        await pilot.press("x", "escape")
        await until(pilot, lambda: screen.session.variants[0].adapters == ())


async def test_the_browser_shows_what_is_wrong_with_a_file_and_hands_a_choice_to_the_pane(app, adapter, folder: Path):
    (folder / "cut.gguf").write_bytes(b"GGUF")
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        models = (Model("cut", folder / "cut.gguf"), screen.session.model(0))
        screen.controller.know(models, (adapter,))
        await pilot.press("escape", "M")
        browser = await dialog(pilot, ModelsScreen)
        details = browser.query_one("#models-text", Static)
        browser.bases.select("cut")
        await until(pilot, lambda: "cut.gguf" in str(details.visual) and "cut" in str(details.visual))
        await pilot.press("f1")
        assert "models.unload" in {option.id for option in (await dialog(pilot, Help)).options.options}
        await pilot.press("escape", "tab")
        await until(pilot, lambda: "routes" in str(details.visual))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen)
        assert [choice.adapter for choice in screen.session.variants[0].adapters] == ["routes"]
        await until(pilot, lambda: answers(screen)[0] == "Lantern routes 1")
        await settled(pilot)  # while a pane runs, escape stops it and stays in the field
        await pilot.press("escape", "M")
        browser = await dialog(pilot, ModelsScreen)
        browser.bases.select("desk.script")
        shown = browser.query_one("#models-text", Static)
        await until(pilot, lambda: "desk.script" in str(shown.visual))
        await pilot.press("f8")
        await until(pilot, lambda: screen.controller.pool.loaded_models() == ())
        await pilot.press("f7")
        await until(pilot, lambda: [resident.state for resident in screen.controller.pool.loaded_models()] == ["ready"])
        await pilot.press("enter")
        await until(pilot, lambda: screen.session.variants[0].model == "desk.script")


async def test_adapters_are_found_again_after_saving(make_app, folder: Path, adapter):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.session.add_adapter(0, "routes")
        screen.session.step_scale(0, 0, -5)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not screen.session.unsaved)
    assert load_bench(folder / "demo.bench.yaml").variants[0].adapters == (AdapterChoice("routes", 0.5),)


async def test_panes_say_whether_they_differ_from_the_chosen_one(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await until(pilot, lambda: [pane.mark for pane in screen.panes] == ["", "≠ A", "≠ A", "≠ A"])
        await pilot.press("f8")
        await until(pilot, lambda: [pane.mark for pane in screen.panes] == ["≠ B", "", "= B", "≠ B"])


async def test_the_difference_between_two_answers_is_shown_word_by_word(app):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("escape", "d")
        shown = await dialog(pilot, DifferenceView)
        assert "[-Refunds-]" in str(shown.query_one("#difference-text").visual)
        assert "{+Lantern+}" in str(shown.query_one("#difference-text").visual)
        await pilot.press("left")
        assert "{+Letters+}" in str(shown.query_one("#difference-text").visual)


async def test_the_tokens_of_an_answer_show_their_probability_and_alternatives(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.edit.case.query(CaseField).first().load_text("Good morning.")
        await until(pilot, lambda: answers(screen)[0] == "I do not know.")
        await settled(pilot)  # while a pane runs, escape stops it and stays in the field
        await pilot.press("escape", "t")
        view = await dialog(pilot, TokenView)
        text, guesses = view.query_one("#tokens-text", Static), view.query_one("#tokens-guesses", Static)
        assert str(text.visual) == "I do not know."
        assert "token 1 of 5" in str(guesses.visual)
        await pilot.press("right")
        assert "' do'" in str(guesses.visual) and "' other1'" in str(guesses.visual)
        await pilot.press("left", "left")
        assert "token 1 of 5" in str(guesses.visual)
        await pilot.press("tab")
        assert "token 1 of 5" not in str(guesses.visual)


def test_every_word_of_both_texts_is_in_the_difference():
    left, right = mark_differences("the red lamp broke", "the lamp broke twice")
    assert left.plain == "the[- red-] lamp broke"
    assert right.plain == "the lamp broke{+ twice+}"


async def test_copy_puts_the_answer_into_the_clipboard(app):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("escape", "y")
        assert app.clipboard == "Refunds"


async def test_view_shows_the_whole_answer(app):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("escape", "v")
        assert (await dialog(pilot, TextViewer)).query_one(TextArea).text == "Refunds"


async def test_ctrl_t_shows_exactly_what_is_sent(app):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+t")
        shown = await dialog(pilot, FinalPrompt)
        assert "The parcel never came." in shown._prompt.text
        assert "".join(shown._prompt.pieces) == shown._prompt.text
        await pilot.press("t", "t", "y")
        await until(pilot, lambda: app.clipboard == shown._prompt.text)


async def test_another_prompt_is_opened_for_the_pane(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("ctrl+o")
        await dialog(pilot, Picker)
        await pilot.press(*"queues/listed", "enter")
        await until(pilot, lambda: screen.session.variants[0].prompt == "queues/listed")
        await until(pilot, lambda: answers(screen)[0] == "Lantern")


async def test_the_library_is_changed_from_the_picker(app, folder: Path):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("ctrl+o")
        await dialog(pilot, Picker)
        await pilot.press("f5")
        (await dialog(pilot, NameInput)).query_one(Input).value = "queues/copy"
        await pilot.press("enter")
        await dialog(pilot, Picker)
        assert (folder / "queues/copy.prompty").read_bytes() == (folder / "queues/plain.prompty").read_bytes()
        await pilot.press(*"queues/copy", "f2")
        (await dialog(pilot, NameInput)).query_one(Input).value = "queues/other"
        await pilot.press("enter")
        await dialog(pilot, ConfirmDialog)
        await pilot.press("enter")
        await dialog(pilot, Picker)
        await pilot.press(*"queues/other", "f8")
        await dialog(pilot, ConfirmDialog)
        await pilot.click("#answer-delete")
        await until(pilot, lambda: not (folder / "queues/other.prompty").exists())
        await dialog(pilot, Picker)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        screen.action_do("restore_prompt")
        await dialog(pilot, Picker)
        await pilot.press("enter")
        await until(pilot, lambda: (folder / "queues/other.prompty").exists())


async def test_a_renaming_shows_what_changes_and_changes_other_benches_too(app, folder: Path):
    (folder / "other.bench.yaml").write_text("variants:\n  - {name: x, prompt: 'queues/plain', model: m}\n")
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("ctrl+o")
        await dialog(pilot, Picker)
        await pilot.press(*"queues/plain", "f2")
        (await dialog(pilot, NameInput)).query_one(Input).value = "queues/short"
        await pilot.press("enter")
        shown = str((await dialog(pilot, ConfirmDialog)).query_one(".question-text Label", Static).content)
        assert "+ - {name: x, prompt: 'queues/short', model: m}" in shown
        assert "+ prompt: queues/short" in shown
        await pilot.press("enter")
        await dialog(pilot, Picker)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert screen.session.variants[0].prompt == "queues/short"
        assert screen.session.unsaved == ()
        assert "queues/short" in str(screen.edit.editor.border_title)
        assert "'queues/short'" in (folder / "other.bench.yaml").read_text()
        assert "prompt: queues/short" in (folder / "demo.bench.yaml").read_text()


async def test_the_list_of_prompts_finds_texts_and_shows_the_line(app):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+o")
        picker = await dialog(pilot, Picker)
        await pilot.press(*"{% lantern,")
        await until(pilot, lambda: picker.options.option_count == 1)
        row = picker.options.get_option_at_index(0)
        assert row.id == "queues/listed"
        assert "… {% for e in examples %}" in str(row.prompt)


async def test_examples_are_placed_and_the_mode_is_set_from_the_palette(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await screen.controller.choose(screen.panes[1])
        screen.action_do("set_placement")
        await dialog(pilot, Picker)
        await pilot.press(*"turns", "enter")
        await until(pilot, lambda: screen.session.prompt("queues/listed").placement == "turns")
        screen.action_do("set_mode")
        await dialog(pilot, Picker)
        await pilot.press(*"completion", "enter")
        await until(pilot, lambda: screen.session.prompt("queues/listed").mode == "completion")


async def test_another_model_is_chosen_and_remembered(app, folder: Path):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        app.bench_screen.controller.know((screen.session.model(0),), ())
        await pilot.press("escape", "m")
        await dialog(pilot, Picker)
        await pilot.press("enter")
        await until(pilot, lambda: screen.session.variants[0].model == "desk.script")


async def test_a_servers_model_is_named_by_its_address_and_kept_in_the_bench(app, folder: Path):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("escape", "m")
        await dialog(pilot, Picker)
        await pilot.press("f7")
        await dialog(pilot, NameInput)
        await pilot.press(*"http://127.0.0.1:9/v1#tiny", "enter")
        await until(pilot, lambda: screen.session.variants[0].model == "tiny")
        assert screen.session.bench.models["tiny"] == ModelChoice(remote="http://127.0.0.1:9", model="tiny")
        await until(pilot, lambda: "does not answer" in screen.panes[0].output.text)


async def test_everything_is_found_again_after_saving_and_reopening(make_app, folder: Path):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.edit.editor.move_cursor(screen.edit.editor.document.end)
        await pilot.press(*"Queues:")
        await pilot.press("ctrl+down", "f8")
        screen.edit.examples.focus()
        await pilot.press("space", "ctrl+l", "ctrl+s")
        await until(pilot, lambda: not screen.session.unsaved)
    text = (folder / "queues/plain.prompty").read_text()
    assert text.endswith("{{ message }}\nQueues:")
    assert "# a comment that stays" in text
    assert "# what we compare" in (folder / "demo.bench.yaml").read_text()
    again = make_app()
    async with again.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        assert screen.session.bench.case == 2
        assert screen.session.variants[1].examples_off == ("e1",)
        assert not screen.session.live
        assert screen.edit.editor.text.endswith("Queues:")


async def test_an_unsaved_prompt_survives_a_crash_as_a_draft(make_app, folder: Path):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.edit.editor.move_cursor(screen.edit.editor.document.end)
        await pilot.press(*"Queues:")
        await until(pilot, lambda: "queues/plain" in screen.session.prompts.edited)
    again = make_app()
    async with again.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        assert screen.edit.editor.text.endswith("Queues:")
        assert screen.session.unsaved == ("queues/plain",)
    assert not (folder / "queues/plain.prompty").read_text().endswith("Queues:")


async def test_a_file_changed_by_another_program_is_not_overwritten_silently(app, folder: Path):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("x")
        await until(pilot, lambda: "queues/plain" in screen.session.prompts.edited)
        other = (folder / "queues/plain.prompty").read_text() + "theirs\n"
        (folder / "queues/plain.prompty").write_text(other)
        await pilot.press("ctrl+s")
        await dialog(pilot, ConfirmDialog)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert (folder / "queues/plain.prompty").read_text() == other
        await pilot.press("ctrl+s")
        await dialog(pilot, ConfirmDialog)
        await pilot.click("#answer-reload")
        await until(pilot, lambda: screen.edit.editor.text.endswith("theirs\n"))
        assert not screen.session.unsaved


async def test_a_change_from_outside_is_shown_when_nothing_was_typed_and_announced_when_something_was(
    app, folder: Path
):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        (folder / "queues/plain.prompty").write_text("---\nname: plain\n---\nuser:\n{{ message }} Queues:\n")
        screen._watch_files()
        await until(pilot, lambda: answers(screen)[0] == "Lantern" and "Queues" in screen.edit.editor.text)
        screen.edit.editor.insert("x")
        await until(pilot, lambda: "queues/plain" in screen.session.prompts.edited)
        (folder / "queues/plain.prompty").write_text("---\nname: plain\n---\nuser:\ntheirs\n")
        screen._watch_files()
        await until(pilot, lambda: "saving will ask" in notices(app))
        assert "x" in screen.edit.editor.text and "theirs" not in screen.edit.editor.text


async def test_quitting_with_unsaved_changes_asks(app, folder: Path):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("x")
        await pilot.press("ctrl+q")
        await dialog(pilot, ConfirmDialog)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("ctrl+q")
        await dialog(pilot, ConfirmDialog)
        await pilot.click("#answer-save")
        await until(pilot, lambda: not app.is_running)
    assert (folder / "queues/plain.prompty").read_text().startswith("---")
    assert "\nxRoute" in (folder / "queues/plain.prompty").read_text()


async def test_quitting_without_changes_just_quits(app):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)


async def test_f2_hides_the_editor_and_the_brackets_move_the_split(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        edit = screen.edit
        await pilot.press("escape")
        before = edit.outer_size.width
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: edit.outer_size.width > before)
        await pilot.press("left_square_bracket", "left_square_bracket")
        await until(pilot, lambda: edit.outer_size.width < before)
        await pilot.press("f2")
        await until(pilot, lambda: not edit.display)
        await pilot.press("f2")
        await until(pilot, lambda: edit.display)
        assert app.focused is screen.edit.editor


async def test_f1_lists_every_key_in_words_and_says_the_id_of_the_highlighted_one(app):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("f1")
        page = await dialog(pilot, Help)
        ids = {option.id for option in page.options.options}
        assert {"bench.run", "bench.save", "pane.settings", "examples.toggle", "app.palette"} <= ids
        await pilot.press(*"sampling")
        await until(pilot, lambda: [option.id for option in page.options.options] == ["pane.settings"])
        await until(pilot, lambda: "pane.settings" in str(page.footnote.visual))
        await pilot.press("f1")
        await until(pilot, lambda: app.screen is app.bench_screen)


async def test_a_key_can_be_moved_in_the_settings(make_app):
    app = make_app(Settings(live_delay_ms=1, keymap={"bench.next_case": "f9"}))
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("f9")
        await until(pilot, lambda: screen.session.bench.case == 2)


async def test_f3_turns_light_and_dark(app):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        assert app.current_theme.dark
        await pilot.press("f3")
        assert not app.current_theme.dark


async def test_on_a_narrow_terminal_one_pane_shows_and_the_others_are_tabs(app):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        assert [pane.display for pane in screen.panes] == [True, False, False, False]
        await until(pilot, lambda: "B ✓" in str(screen.controller.row.tabs.visual))
        await pilot.press("escape", "2")
        await until(pilot, lambda: [pane.display for pane in screen.panes] == [False, True, False, False])


async def test_a_bench_without_a_dataset_starts_from_typed_input(make_app, folder: Path):
    (folder / "bare.bench.yaml").write_text(
        "variants:\n  - name: plain\n    prompt: queues/plain\n    model: desk.script.json\n"
    )
    app = make_app(bench="bare.bench.yaml")
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        assert [field.variable for field in screen.query(CaseField)] == ["message", "expected"]
        screen.query(CaseField).first().load_text("charged")
        await until(pilot, lambda: answers(screen) == ["Abacus"])
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not screen.session.unsaved)
    assert load_bench(folder / "bare.bench.yaml").inputs == {"message": "charged"}


async def test_a_missing_prompt_a_missing_model_and_a_missing_dataset_leave_the_rest_working(make_app, folder: Path):
    (folder / "cases.jsonl").unlink()
    (folder / "broken.bench.yaml").write_text(
        "dataset: {path: cases.jsonl}\ninputs: {message: parcel}\nvariants:\n"
        "  - {name: a, prompt: queues/none, model: desk.script.json}\n"
        "  - {name: b, prompt: queues/plain, model: nowhere}\n"
        "  - {name: c, prompt: queues/plain, model: desk.script.json}\n"
    )
    app = make_app(bench="broken.bench.yaml")
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: bool(app.bench_screen and app.bench_screen.panes))
        screen = bench_of(app)
        await until(pilot, lambda: [pane.state for pane in screen.panes] == ["failed", "failed", "done"])
        assert "nowhere" in screen.panes[1].output.text


@pytest.mark.parametrize("key", ["ctrl+r", "f5"])
async def test_both_run_keys_run(app, key):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        before = screen.panes[0].chunks
        await pilot.press(key)
        await until(pilot, lambda: screen.panes[0].chunks is not before and screen.panes[0].state == "done")


async def test_the_panes_tell_how_probable_the_expected_answer_is_and_forget_it_on_an_edit(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        assert all(pane.expected is None for pane in screen.panes)
        await pilot.press("escape", "w")
        await until(pilot, lambda: all(pane.expected is not None for pane in screen.panes))
        assert [pane.expected.greedy for pane in screen.panes] == [False, True, True, False]
        assert str(screen.panes[1].query_one("#pane-expected", Static).content).startswith("expected p")
        screen.panes[1].begin()
        assert screen.panes[1].expected is None
        await pilot.press("ctrl+r")
        await until(pilot, lambda: screen.panes[1].expected is not None)
        await pilot.press("w")
        assert all(pane.expected is None for pane in screen.panes)


async def test_a_likelihood_that_comes_too_late_is_not_shown(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        pane = screen.panes[0]
        old = screen.controller.runner.shown(pane)
        await pilot.press("ctrl+down")
        await until(
            pilot, lambda: screen.controller.runner.shown(pane) != old and pane.state == "done" and bool(pane.scores)
        )
        screen.post_message(ScoreTracker.ExpectedProbed(pane, old, Likelihood(-0.5, 1, 7, True)))
        await pilot.pause()
        assert pane.expected is None


async def test_a_pane_says_that_an_example_of_its_prompt_is_the_case(make_app, folder):
    (folder / "cases.jsonl").write_text('{"message": "Where is my parcel?", "expected": "Lantern"}\n')
    async with make_app().run_test(size=(160, 45)) as pilot:
        await settled(pilot)
        panes = pilot.app.screen.panes
        await until(pilot, lambda: all(pane.scores for pane in panes))
        assert [pane.seen for pane in panes] == ["", "seen as an example", "", ""]
        assert "seen as an example" in str(panes[1].query_one("#pane-meta").visual)
