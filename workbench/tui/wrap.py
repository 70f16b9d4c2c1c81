"""Word wrapping in terminal cells, for text that grows: nothing is dropped, so rows join back to the text.

Knows nothing of widgets.
"""

from __future__ import annotations

import re

from rich.cells import cell_len, chop_cells

_WORD = re.compile(r"\S+\s*|\s+")
_TAB = "    "


def wrap_line(line: str, width: int) -> list[str]:
    """The rows a line takes at `width` cells (at least 2); an empty line is one empty row.

    Spaces stay at the end of the row they follow, even beyond the width (they are cut off when drawn), so that
    wrapping the last row again after an append gives what wrapping the whole line would.
    """
    line = line.replace("\t", _TAB)
    width = max(width, 2)  # a wide character needs two
    if cell_len(line) <= width:
        return [line]
    rows = [""]
    used = 0
    for word in _WORD.findall(line):
        letters = word.rstrip()
        if used and used + cell_len(letters) > width:
            rows.append("")
            used = 0
        if cell_len(letters) > width:
            *full, last = chop_cells(letters, width)
            rows[-1:] = [*full, ""]
            word = last + word[len(letters) :]
        rows[-1] += word
        used += cell_len(word)
    return rows
