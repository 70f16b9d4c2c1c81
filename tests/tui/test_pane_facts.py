"""What a pane says of its settings: what tells it from the others, packed into its width, nothing cut off."""

from __future__ import annotations

import pytest
from conftest import settled, until
from hypothesis import given
from hypothesis import strategies as st
from textual.content import Content

from workbench.inference.types import Sampling
from workbench.runs.bench import AdapterChoice, Variant
from workbench.tui.pane_facts import PaneFacts, list_facts
from workbench.tui.widgets.packed_line import PackedLine, pack_parts
from workbench.tui.widgets.pane_row import span_columns


def facts(*variants: Variant) -> list[tuple[str, ...]]:
    return [(*((one.model,) if one.model else ()), *one.others) for one in list_facts(variants, [()] * len(variants))]


def test_what_all_share_is_not_said():
    same = Sampling(temperature=0.7, max_tokens=12)
    assert facts(Variant("a", "p", "m", same), Variant("b", "p", "m", same)) == [(), ()]


def test_a_setting_that_most_share_is_said_by_the_others_alone():
    usual = Variant("plain", "queues/plain", "m")
    warm = Variant("warm", "queues/plain", "m", Sampling(temperature=1.0, seed=7))
    assert facts(usual, usual, warm) == [(), (), ("t 1", "seed 7")]
    assert facts(usual, warm) == [("greedy",), ("t 1", "seed 7")]


def test_a_prompt_is_said_without_the_common_folder_and_not_where_the_name_says_it():
    named, other = Variant("few-shot", "queues/few-shot", "m"), Variant("mine", "queues/plain", "m")
    assert facts(named, other) == [(), ("plain",)]
    assert facts(named, Variant("x", "else/plain", "m")) == [("queues/few-shot",), ("else/plain",)]


def test_models_adapters_examples_and_template_variables():
    one = Variant("a", "p", "one")
    two = Variant("b", "p", "two", adapters=(AdapterChoice("lib/tone", 0.5),), examples_off=("e1", "e2"))
    three = Variant("c", "p", "one", deterministic=True, chat_template_kwargs={"enable_thinking": False})
    assert facts(one, two, three) == [
        ("one",),
        ("two", "2 examples off"),
        ("one", "deterministic", "enable_thinking False"),
    ]


def test_adapters_have_a_line_of_their_own_where_one_is_on():
    tuned = Variant("a", "p", "m", adapters=(AdapterChoice("lib/tone", 0.5),))
    off = Variant("b", "p", "m", adapters=(AdapterChoice("lib/tone", 0.5, on=False),))
    found = list_facts([tuned, off], [(), ()])
    assert [(one.adapters, one.scale) for one in found] == [(("+ tone ×0.5",), 0.5), ((), 1.0)]
    assert [one.others for one in found] == [(), ("(tone ×0.5)",)]


def test_a_refused_constraint_is_a_warning_even_where_all_share_it():
    held = Variant("a", "p", "m", Sampling(grammar="root ::= a"))
    assert list_facts([held, held], [{"grammar"}, ()]) == [PaneFacts(warnings=("refuses grammar",)), PaneFacts()]


@given(st.lists(st.text(alphabet="abc 漢", min_size=1, max_size=12), max_size=8), st.integers(4, 40))
def test_parts_are_packed_into_rows_and_none_is_lost(texts, width):
    rows = pack_parts([Content(text) for text in texts], width)
    assert all(row.cell_length <= width for row in rows)
    shown = [part for row in rows for part in row.plain.split(" · ")]
    if texts and all(Content(text).cell_length <= width for text in texts):
        assert shown == texts


async def test_a_line_keeps_its_rows_while_an_answer_comes(app):
    """Figures come and go with every key: the screen is not laid out again for them."""
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        line, layouts = screen.panes[0].query_one("#pane-figures", PackedLine), []
        words = [Content("word " * 3) for _ in range(4)]
        line.show(words)
        await pilot.pause()
        rows = line.size.height
        assert rows > 1
        refresh = line.refresh
        line.refresh = lambda *regions, **options: layouts.append(options.get("layout")) or refresh(*regions, **options)
        line.show([])
        line.show(words[:1])
        line.show(words)
        assert not any(layouts)
        line.show(words[:1], shrink=True)
        await until(pilot, lambda: line.size.height == 1)


@pytest.mark.parametrize("count", range(1, 9))
def test_the_last_row_of_panes_is_as_wide_as_the_first(count):
    spans = span_columns(count)
    first = count if count <= 4 else (count + 1) // 2
    assert len(spans) == count
    if first < count:
        assert sum(spans[:first]) == sum(spans[first:])


async def test_five_panes_fill_the_screen(app, folder):
    with (folder / "demo.bench.yaml").open("a") as file:
        file.write("  - {name: fifth, prompt: queues/plain, model: desk.script.json}\n")
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        grid = screen.controller.row.grid.region
        regions = [pane.region for pane in screen.panes]
        assert [region.y for region in regions] == [grid.y] * 3 + [regions[3].y] * 2
        assert regions[2].right == regions[4].right == grid.right
        await screen.controller.focus(4)
        await pilot.press("z")
        await until(pilot, lambda: screen.panes[4].region.width == screen.controller.row.grid.region.width)


async def test_a_long_pane_name_keeps_its_end(app):
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        screen.session.change_variant(0, name="a very long name of a pane with queues-lora-v2")
        screen.controller.show_titles()
        title = str(screen.panes[0].border_title)
        assert title.startswith("A  a ver…")
        assert title.endswith("lora-v2")
        assert len(title) <= screen.panes[0].outer_size.width - 4


async def test_no_text_is_under_the_scroll_bar(app):
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        output = screen.panes[0].output
        output.clear()
        width = output.scrollable_content_region.width
        for number in range(output.size.height + 5):
            output.append(f"{number % 10}" * width)
        await until(pilot, lambda: output.show_vertical_scrollbar)
        assert output.scrollable_content_region.width == width
        assert all(len(output.render_line(row).text.rstrip()) == width for row in range(output.size.height))
