"""The two themes of the workbench, and which one is shown.

Every colour on the screen comes from here, by variables of the theme; no widget names one.
"""

from __future__ import annotations

from collections.abc import Container

from textual.theme import Theme

AUTO = "auto"
"""the choice that follows the terminal's background"""

DARK = Theme(
    name="workbench-dark",
    primary="#7aa2f7",
    secondary="#9d7cd8",
    accent="#e0af68",
    warning="#e0af68",
    error="#f7768e",
    success="#9ece6a",
    foreground="#c8d0e8",
    background="#14161f",
    surface="#191c28",
    panel="#222636",
    dark=True,
    variables={
        "border": "#3b4261",
        "border-blurred": "#2b3048",
        "footer-background": "#191c28",
        "footer-key-foreground": "#7aa2f7",
        "footer-description-foreground": "#8b93b5",
        "input-selection-background": "#7aa2f7 35%",
        "block-cursor-text-style": "none",
    },
)

LIGHT = Theme(
    name="workbench-light",
    primary="#2e5bbf",
    secondary="#7847bd",
    accent="#9a6700",
    warning="#9a6700",
    error="#b4233c",
    success="#2f7d32",
    foreground="#23283b",
    background="#f5f6fa",
    surface="#ffffff",
    panel="#e6e9f2",
    dark=False,
    variables={
        "border": "#aab2cc",
        "border-blurred": "#d3d8e6",
        "footer-background": "#e6e9f2",
        "footer-key-foreground": "#2e5bbf",
        "footer-description-foreground": "#59617d",
        "input-selection-background": "#2e5bbf 25%",
        "block-cursor-text-style": "none",
    },
)


def find_theme(choice: str, available: Container[str], dark: bool) -> str:
    """The name of the theme for a choice; what is no theme follows the terminal. dark: whether its background is."""
    return choice if choice in available else DARK.name if dark else LIGHT.name
