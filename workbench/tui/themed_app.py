"""ThemedApp: an app in the workbench's colours: which theme is shown, remembered, and drawn with how many colours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import App
from textual.filter import LineFilter, Monochrome

from workbench.errors import SettingsError
from workbench.settings import change_setting
from workbench.tui.color_filters import GreyFilter, SixteenColorFilter
from workbench.tui.terminal_background import TerminalBackground, assume_dark
from workbench.tui.theme import AUTO, DARK, LIGHT, find_theme

if TYPE_CHECKING:
    from workbench.tui.widgets.picker import Picked


class ThemedApp(App[None]):
    """Follows the terminal's background until a theme is chosen."""

    def __init__(self, theme: str, sixteen_colors: bool) -> None:
        """theme: the choice, a name or `auto`. sixteen_colors: draw with a terminal's sixteen colours alone."""
        super().__init__()
        self.sixteen_colors = sixteen_colors
        self._reduce_colors, self._grey = SixteenColorFilter(), GreyFilter()
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme_choice = theme
        self._terminal_is_dark = assume_dark(os.environ)
        self._show_theme()

    def get_line_filters(self) -> Sequence[LineFilter]:
        found = [one for one in super().get_line_filters() if not isinstance(one, Monochrome)]
        found += [self._grey] if self.no_color and not self.native_ansi_color else []
        return [*found, *([self._reduce_colors] if self.sixteen_colors else [])]

    @property
    def few_colors(self) -> bool:
        """Whether a colour alone tells nothing apart."""
        return self.sixteen_colors or bool(self.no_color)

    def on_terminal_background(self, message: TerminalBackground) -> None:
        self._terminal_is_dark = message.dark
        self._show_theme()

    def warn_unknown_theme(self) -> None:
        """Tell of a choice that is no theme."""
        if self.theme_choice not in (AUTO, *self.available_themes):
            hint = f"The settings ask for {self.theme_choice!r}. Theme… in the palette lists all themes."
            self.notify(hint, title="No such theme", severity="warning")

    def action_toggle_theme(self) -> None:
        """From dark to light, or from light to dark."""
        self._choose_theme(LIGHT.name if self.current_theme.dark else DARK.name)

    def action_change_theme(self) -> None:
        """Open the list of all themes."""
        from workbench.tui.dialogs.theme_picker import ThemePicker

        self.push_screen(ThemePicker(self.available_themes.values(), self.theme_choice), self._take_theme)

    def _take_theme(self, picked: Picked | None) -> None:
        if picked is not None:
            self._choose_theme(picked.id)

    def _choose_theme(self, choice: str) -> None:
        """Show a theme from now on, and the next time."""
        self.theme_choice = choice
        self._show_theme()
        try:
            change_setting("theme", choice)
        except SettingsError as error:
            self.notify(error.hint, title=error.message, severity="warning")

    def _show_theme(self) -> None:
        self.theme = find_theme(self.theme_choice, self.available_themes, self._terminal_is_dark)
