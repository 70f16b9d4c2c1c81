"""Whose turn it is at an address: limits that adapt, prefix groups whose first request goes alone, slots."""

from __future__ import annotations

import asyncio

from workbench.inference.remote.address_queue import COOL_DOWN_SECONDS, START, AddressQueue, Turn
from workbench.inference.remote.clock import RequestClock
from workbench.inference.remote.prefix_groups import PrefixGroups
from workbench.inference.remote.slot_assignment import SlotAssignment
from workbench.inference.types import GenerateRequest
from workbench.models.reference import Adapter, Applied
from workbench.prompting.prompt import Message


class HandClock:
    """Moves when a test moves it; sleepers wake when it has passed their time."""

    def __init__(self) -> None:
        self.now = 100.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    @property
    def request_clock(self) -> RequestClock:
        return RequestClock(self._sleep, lambda: self.now, lambda: self.now, lambda: 1.0)

    async def _sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, future))
        await future

    async def move(self, seconds: float) -> None:
        self.now += seconds
        for until, future in self._sleepers:
            if until <= self.now and not future.done():
                future.set_result(None)
        await run_tasks()


async def run_tasks() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Waiting:
    """Requests of a test, and which of them have their turn."""

    def __init__(self, queue: AddressQueue) -> None:
        self.queue = queue
        self.tasks: dict[str, asyncio.Task[Turn]] = {}

    async def add(self, name: str, group: str | None = None, priority: int = 1) -> None:
        self.tasks[name] = asyncio.create_task(self.queue.acquire(priority, group))
        await run_tasks()

    @property
    def granted(self) -> list[str]:
        return [name for name, task in self.tasks.items() if task.done() and not task.cancelled()]

    async def end(self, name: str, succeeded: bool = True) -> None:
        turn = self.tasks.pop(name).result()
        if succeeded:
            self.queue.note_success(turn)
        self.queue.release(turn)
        await run_tasks()


async def test_the_first_of_a_group_goes_alone_and_the_rest_follow_when_its_prompt_is_read() -> None:
    waiting = Waiting(AddressQueue(HandClock().request_clock))
    for name in ("a1", "a2", "a3", "b1", "b2", "lone"):
        await waiting.add(name, name[0] if name != "lone" else None)
    assert waiting.granted == ["a1", "b1", "lone"]
    waiting.queue.note_prefilled(waiting.tasks["a1"].result())
    await run_tasks()
    assert waiting.granted == ["a1", "a2", "a3", "b1", "lone"]
    assert waiting.queue.is_warm("a")


async def test_where_the_first_of_a_group_fails_the_next_one_leads() -> None:
    waiting = Waiting(AddressQueue(HandClock().request_clock))
    for name in ("a1", "a2", "a3"):
        await waiting.add(name, "a")
    await waiting.end("a1", succeeded=False)
    assert waiting.granted == ["a2"]


async def test_a_cancelled_request_leaves_its_turn_to_others() -> None:
    waiting = Waiting(AddressQueue(HandClock().request_clock, ceiling=1))
    for name in ("first", "second", "third"):
        await waiting.add(name)
    waiting.tasks["second"].cancel()
    await run_tasks()
    await waiting.end("first")
    assert waiting.granted == ["third"]
    assert waiting.queue.running == 1


async def test_a_request_that_is_cancelled_in_the_moment_of_its_turn_gives_it_back() -> None:
    queue = AddressQueue(HandClock().request_clock, ceiling=1)
    waiting = Waiting(queue)
    await waiting.add("first")
    await waiting.add("second")
    queue.release(waiting.tasks["first"].result())
    waiting.tasks["second"].cancel()  # granted, and not yet resumed
    await run_tasks()
    assert queue.running == 0


async def test_who_looks_on_goes_first() -> None:
    waiting = Waiting(AddressQueue(HandClock().request_clock, ceiling=1))
    for name, priority in (("running", 1), ("batch", 1), ("pane", 0)):
        await waiting.add(name, priority=priority)
    await waiting.end("running")
    assert waiting.granted == ["pane"]


async def test_an_episode_of_refusals_shrinks_the_limit_once_and_answers_raise_it_again() -> None:
    clock = HandClock()
    queue = AddressQueue(clock.request_clock)
    waiting = Waiting(queue)
    for number in range(START + 40):
        await waiting.add(str(number))
    assert len(waiting.granted) == START
    for _ in range(5):
        queue.note_busy()
    assert queue.limit == START * 0.8
    await clock.move(COOL_DOWN_SECONDS + 1)
    queue.note_busy()
    shrunk = queue.limit
    assert shrunk == START * 0.8 * 0.8
    await clock.move(COOL_DOWN_SECONDS + 1)
    for name in list(waiting.granted):
        await waiting.end(name)
    assert shrunk < queue.limit <= shrunk + 2
    assert [limit for _, limit in queue.changes][:2] == [16, 12]


async def test_nothing_is_sent_while_a_server_asks_to_wait() -> None:
    clock = HandClock()
    waiting = Waiting(AddressQueue(clock.request_clock))
    waiting.queue.pause(7)
    waiting.queue.pause(3)
    await waiting.add("one")
    await clock.move(6)
    assert waiting.granted == []
    await clock.move(1)
    assert waiting.granted == ["one"]


async def test_on_slots_requests_that_begin_alike_run_one_after_another() -> None:
    clock = HandClock()
    queue = AddressQueue(clock.request_clock)
    queue.set_slots(2, cached=True)
    waiting = Waiting(queue)
    for name in ("a1", "a2", "b1", "b2", "c1"):
        await waiting.add(name, name[0])
    assert waiting.granted == ["a1", "b1"]
    await waiting.end("a1")
    assert waiting.granted == ["a2", "b1"]
    await waiting.end("a2")
    assert waiting.granted == ["b1", "c1"]  # b2 waits for the slot that knows its beginning
    await waiting.end("b1")
    assert waiting.granted == ["b2", "c1"]


def test_a_group_takes_a_second_slot_once_that_is_worth_its_beginning() -> None:
    slots = SlotAssignment(2)
    slots.start(0, "a")
    assert slots.choose("a", ["a"] * 5, urgent=False) is None
    assert slots.choose("a", ["a"] * 5, urgent=True) == 1
    slots.end(0, 1.0)
    slots.start(0, "a")
    slots.end(0, 0.3)
    slots.start(0, "a")
    assert slots.choose("a", ["a"] * 3, urgent=False) is None
    assert slots.choose("a", ["a"] * 4, urgent=False) == 1


def test_after_a_failure_nobody_knows_what_a_slot_holds() -> None:
    slots = SlotAssignment(1)
    slots.start(0, "a")
    slots.end(0, None)
    assert not slots.knows("a")


def test_groups_are_found_by_the_texts_themselves() -> None:
    groups = PrefixGroups()

    def find(text: str, adapter: str = "") -> int | None:
        applied = (Applied(Adapter(adapter, format="remote")),) if adapter else ()
        return groups.find(GenerateRequest(0, (Message("user", text),), adapters=applied))

    rules = "Always answer with one word. " * 20
    assert find("short") is None
    assert find(rules + "one?") == find(rules + "another one?") == 0
    assert find("Something else entirely. " * 20) == 1
    assert find(rules + "one?", "calm") == 2
