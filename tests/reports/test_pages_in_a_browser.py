"""HTML reports in headless Chromium: three widths, light and dark, nothing overflows, and the console stays empty.

Left out where no Chromium is installed (Debian: `apt install chromium`).
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from stored_run import answer, make_cases, plain_variants, store_run
from verdict_fixture import VERDICT

from workbench.analysis.summary import summarize
from workbench.reports.html import render_html
from workbench.training.verdict_report import write_verdict

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
WIDTHS = (360, 768, 1280)
NAMES = ("plain", "few-shot with eight examples of every queue", "a-name-without-any-place-to-break-it-" * 3)
MEASURE = """<!doctype html><body><script>
const found = {};
window.addEventListener("load", () => {
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, root = page.documentElement;
    for (const one of page.querySelectorAll("details")) one.open = true;
    const right = (one) => one.getBoundingClientRect().right;
    const inside = [...page.querySelectorAll("body *")].filter(
      (one) => !one.closest(".scroll, svg") && right(one) > root.clientWidth + 1);
    found[frame.width] = {
      overflow: root.scrollWidth - root.clientWidth,
      outside: inside.slice(0, 5).map((one) => one.tagName + "." + one.className),
      ground: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
      text: page.body.innerText.length,
    };
  }
  document.body.innerHTML = "<pre></pre>";
  document.querySelector("pre").textContent = JSON.stringify(found);
});
</script>FRAMES"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def write_run(folder: Path) -> Path:
    """A page of a run with long names, long words and many confused labels."""
    cases = make_cases(40)
    long = "an answer " * 40 + "w" * 300
    cells = [
        answer(name, case, case.expected if (case.number + at) % 3 else long if case.number % 5 else "Meadow")
        for at, name in enumerate(NAMES)
        for case in cases
    ]
    view = store_run(folder / "s.sqlite", plain_variants(*NAMES), cases, cells)
    page = folder / "run.html"
    page.write_text(render_html(view, summarize(view)), encoding="utf-8")
    return page


def write_judged(folder: Path) -> Path:
    page = folder / "verdict.html"
    write_verdict(VERDICT, page)
    return page


PAGES = {"run": write_run, "verdict": write_judged}


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page and return what the browser prints: the document, and its log."""
    assert BROWSER is not None
    fixed = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files")
    profile = page.parent / "profile"
    return subprocess.run(
        [BROWSER, *fixed, "--enable-logging=stderr", f"--user-data-dir={profile}", *options, page.as_uri()],
        capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("kind", PAGES)
def test_a_page_fits_every_width_in_light_and_dark(tmp_path, kind, dark):
    page = PAGES[kind](tmp_path)
    frames = "".join(f'<iframe src="{page.name}" width="{width}" height="900"></iframe>' for width in WIDTHS)
    outer = tmp_path / "outer.html"
    outer.write_text(MEASURE.replace("FRAMES", frames))
    shown = browse(outer, f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--dump-dom")
    measured = json.loads(html.unescape(re.search("<pre>(.*)</pre>", shown.stdout, re.DOTALL)[1]))
    assert set(measured) == {str(width) for width in WIDTHS}
    for width, one in measured.items():
        assert one["text"] > 500, (width, one)
        assert one["overflow"] <= 0, (width, one)
        assert one["outside"] == [], (width, one)
        assert (max(map(int, re.findall(r"\d+", one["ground"])[:3])) < 100) is dark, (width, one)
    assert not [line for line in shown.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_needs_nothing_beside_it(tmp_path, kind):
    """Every address in it leads to the page itself."""
    text = PAGES[kind](tmp_path).read_text(encoding="utf-8")
    assert all(target.startswith("#") for target in re.findall(r"""(?:href|src)=["']([^"']*)""", text))
    assert str(tmp_path) not in text
