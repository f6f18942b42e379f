import pytest

from app.stores.errors import StaleTokenError
from app.stores.source import SourceStatus
from app.tasks.errors import PageRefusedError
from app.tasks.source_run import SourceRun
from queues import Retry


class OddError(Exception):
    """Has no code; its text is not for the owner."""


async def end_with(run, error):
    async with run:
        await run.begin()
        raise error


async def fail_with(world, error, *, is_last=False):
    source = await world.stores.sources.add_website("t1", "bot", "http://example.com/")
    run = SourceRun(world.stores.source_runs, source, 1, final=(PageRefusedError,), is_last=is_last)
    with pytest.raises(type(error)):
        await end_with(run, error)
    return await world.stores.sources.find(source.id)


@pytest.mark.parametrize(("is_last", "status"), [(False, SourceStatus.PENDING), (True, SourceStatus.FAILED)])
def test_an_error_that_may_pass_waits_until_the_last_attempt(world, is_last, status):
    async def scenario(world):
        return await fail_with(world, OddError("/srv/secret"), is_last=is_last)

    source = world.play(scenario)

    assert source.status is status
    assert source.error.code == "internal_error"
    assert "secret" not in source.error.detail


def test_a_final_error_fails_the_source_at_once(world):
    async def scenario(world):
        return await fail_with(world, PageRefusedError("no_text", "Nothing there."))

    source = world.play(scenario)

    assert (source.status, source.error.code, source.error.detail) == (
        SourceStatus.FAILED,
        "no_text",
        "Nothing there.",
    )


def test_a_retry_that_was_asked_for_tells_its_cause(world):
    signal = Retry(delay=5)
    signal.__cause__ = PageRefusedError("busy", "The site is busy.")

    async def scenario(world):
        return await fail_with(world, signal)

    source = world.play(scenario)

    assert (source.status, source.error.code) == (SourceStatus.PENDING, "busy")


def test_a_run_that_was_overtaken_leaves_the_record_to_the_newer_one(world):
    async def scenario(world):
        source = await world.stores.sources.add_website("t1", "bot", "http://example.com/")
        await world.stores.source_runs.begin(source.id, 9)
        before = await world.stores.sources.find(source.id)
        run = SourceRun(world.stores.source_runs, source, 1, final=(), is_last=True)
        with pytest.raises(StaleTokenError):
            await end_with(run, OddError("never reached"))
        await run.__aexit__(OddError, OddError("late"), None)
        return before, await world.stores.sources.find(source.id)

    before, after = world.play(scenario)

    assert after == before
