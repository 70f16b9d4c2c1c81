"""What a keystroke asks of the engines: one request for each pane that shares the prompt, and no count beside them; and
keys are drawn while the requests are still being rendered."""

from __future__ import annotations

import threading

from conftest import settled, until

from workbench.inference.worker.supervisor import EngineSupervisor
from workbench.runs.generation import GenerationSpec

LONGEST_SECONDS = 120
"""after which a test that hangs fails"""


async def test_a_keystroke_asks_once_for_each_pane_and_the_meter_reads_the_same_answer(app, monkeypatch):
    asked: list[str] = []
    submit, fit = EngineSupervisor.submit, EngineSupervisor.fit
    monkeypatch.setattr(EngineSupervisor, "submit", lambda *given: asked.append("submit") or submit(*given))
    monkeypatch.setattr(EngineSupervisor, "fit", lambda *given: asked.append("fit") or fit(*given))
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        runner, pane = screen.controller.runner, screen.panes[0]
        before = runner.budget(pane)
        asked.clear()
        screen.edit.editor.move_cursor(screen.edit.editor.document.end)
        await pilot.press("x")
        await until(pilot, lambda: bool(asked))
        await until(pilot, lambda: not runner.busy)
        assert asked == ["submit", "submit"]
        assert runner.budget(pane) != before
        assert screen.edit.meter._budget == runner.budget(pane)
        assert len(runner.sent(pane)) == 2


async def test_the_next_key_is_drawn_before_any_request_is_rendered(app, folder, monkeypatch):
    """Eight panes start to answer. Rendering their prompts is held up; keys go on all the same."""
    more = "".join(f"  - {{name: v{number}, prompt: queues/plain, model: desk.script.json}}\n" for number in range(4))
    with (folder / "demo.bench.yaml").open("a") as file:
        file.write(more)
    begun, go_on, rendered = threading.Event(), threading.Event(), list[GenerationSpec]()
    render = GenerationSpec.request

    def slow(spec: GenerationSpec, *options: int):
        begun.set()
        assert go_on.wait(LONGEST_SECONDS), "the key that was to be drawn meanwhile never came"
        rendered.append(spec)
        return render(spec, *options)

    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        editor = screen.edit.editor
        editor.move_cursor(editor.document.end)
        monkeypatch.setattr(GenerationSpec, "request", slow)
        await pilot.press("x")
        await until(pilot, begun.is_set)
        await pilot.press("y")
        await until(pilot, lambda: any("xy" in editor.render_line(row).text for row in range(editor.size.height)))
        assert not rendered
        go_on.set()
        await until(pilot, lambda: not screen.controller.runner.busy and not screen.controller.typed.waiting)
        plain = [pane for pane in screen.panes if screen.session.variants[pane.index].prompt == "queues/plain"]
        assert len(plain) == 6
        assert all("xy" in screen.controller.runner.shown(pane).prompt.body and pane.state == "done" for pane in plain)
