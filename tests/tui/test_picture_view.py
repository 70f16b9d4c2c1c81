"""What is shown of pictures that are sent: name, pixels and tokens, as plain text."""

from __future__ import annotations

from textual.app import App

from workbench.inference.types import Admitted, ShownPicture, Tokenized
from workbench.prompting.context_fit import Budget, PictureCount
from workbench.prompting.pictures import Picture
from workbench.prompting.prompt import Message
from workbench.tui.conversation_text import show_message
from workbench.tui.dialogs.final_prompt import FinalPrompt
from workbench.tui.widgets.output_pane import OutputPane
from workbench.tui.widgets.plain import Label, Static


class PaneHost(App[None]):
    def compose(self):
        yield OutputPane()


async def test_a_pane_tells_the_pictures_that_its_prompt_sends():
    app = PaneHost()
    async with app.run_test(size=(80, 12)):
        pane = app.query_one(OutputPane)
        counts = (PictureCount("[b]cat.png", 1640, 480, 256), PictureCount("", 0, 0))
        pane.feed([Admitted(1, Budget(10, 0, 256, 8, 512, pictures=counts))])
        assert pane.output.text.splitlines()[:2] == [
            "▣ [b]cat.png, 1,640 × 480 pixels, 256 tokens",
            "▣ picture, pixels not known, tokens not counted",
        ]


async def test_a_pane_says_nothing_of_pictures_where_there_are_none():
    app = PaneHost()
    async with app.run_test(size=(80, 12)):
        pane = app.query_one(OutputPane)
        pane.feed([Admitted(1, Budget(10, 0, 6, 8, 512))])
        assert pane.output.text == ""


async def test_the_final_prompt_shows_a_pictures_positions():
    prompt = Tokenized("a b", (5, -1, -2, 6), ("a", "", "", " b"), (), (0, 1, 1, 1), (0,), (
        ShownPicture("[i]cat.png", 40, 30, 1, 2),
    ))  # fmt: skip
    app = PaneHost()
    async with app.run_test(size=(80, 20)) as pilot:
        await app.push_screen(FinalPrompt("What A sends", prompt))
        await pilot.pause()
        screen = app.screen
        assert screen.query_one("#final-notes", Label).render().plain == "▣ [i]cat.png, 40 × 30 pixels, 2 tokens"
        assert screen.query_one("#final-text", Static).render().plain == "a▣▣ b"


def test_a_message_in_a_line_names_its_pictures():
    message = Message("user", "What?", pictures=(Picture("image/png", b"", 0, "cat.png"),))
    assert show_message(message).endswith("What? [cat.png]")
