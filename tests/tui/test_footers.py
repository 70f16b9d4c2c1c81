"""The footer: as many keys as fit, the most important first, at any width and wherever the cursor is."""

from __future__ import annotations

from conftest import settled, until
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

WIDTHS = (160, 80, 60)


async def test_every_key_in_the_footer_is_whole_and_help_and_palette_are_there(app):
    async with app.run_test(size=(WIDTHS[0], 30)) as pilot:
        screen = await settled(pilot)
        shown: list[int] = []
        for width in WIDTHS:
            await pilot.resize_terminal(width, 30)
            for widget in (screen.edit.examples, screen.edit.editor):
                widget.focus()
                await until(pilot, lambda width=width: fits(screen, width))
            shown.append(len(screen.query_one(Footer).children))
        assert shown == sorted(shown, reverse=True)
        assert shown[0] > shown[-1]


async def test_at_80_columns_there_are_seven_to_nine_keys_of_what_has_the_focus(app):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        for widget, pinned in ((screen.edit.editor, "f1"), (screen.panes[0], "?")):
            widget.focus()
            await until(pilot, lambda pinned=pinned: fits(screen, 80) and pinned_keys(screen)[0] == pinned)
            assert 7 <= len(screen.query_one(Footer).query(FooterKey)) - 2 <= 9


def pinned_keys(screen) -> list[str]:
    return [key.key_display for key in screen.query_one(Footer).query(FooterKey)][-2:]


def fits(screen, width: int) -> bool:
    """Whether the footer is drawn for its width, none of its keys beyond the edge."""
    keys = list(screen.query_one(Footer).query(FooterKey))
    names = [key.description for key in keys]
    whole = all(key.region.width > 0 and key.region.right <= width for key in keys)
    return (
        bool(keys)
        and whole
        and names[-2:] == ["keys", "palette"]
        and width - keys[-1].region.right <= 1
        and ("run" in names or width < 80)
    )
