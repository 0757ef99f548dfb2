"""Tasks of calls: a defect is told with the call that it belongs to, and nothing goes on after the stop."""

from __future__ import annotations

import asyncio

from cordboard.server.call_tasks import CallTasks


async def fails() -> None:
    raise ValueError("a defect")


async def test_a_task_that_fails_is_told_with_its_call_and_forgotten() -> None:
    told: list[tuple[str, str]] = []
    tasks = CallTasks(lambda call_id, error: told.append((call_id, str(error))))
    await asyncio.wait([tasks.spawn(fails(), "a")])
    async with asyncio.timeout(5.0):
        while len(tasks):  # noqa: ASYNC110 - its callbacks come in the next turn of the loop
            await asyncio.sleep(0)
    assert told == [("a", "a defect")]


async def test_the_stop_cancels_what_is_left_and_tells_nobody() -> None:
    told: list[str] = []
    tasks = CallTasks(lambda call_id, error: told.append(call_id))
    waiting = tasks.spawn(asyncio.Event().wait(), "a")  # type: ignore[arg-type] # what it returns is not asked
    assert len(tasks) == 1
    await tasks.stop()
    assert waiting.cancelled()
    assert (len(tasks), told) == (0, [])
