import itertools
from collections.abc import Iterator

import pytest

from app.stores.chunks import NewChunk
from app.stores.errors import StaleTokenError
from app.stores.source import ActiveSource, Outcome, SourceFailure


def pieces(token, start=0, end=3):
    return [NewChunk(n, f"text {n} of run {token}", f"page {n + 1}") for n in range(start, end)]


def upload(stores, name="a.pdf"):
    return stores.sources.add_document("t1", "bot", name=name, path=name, content_hash="0" * 64, size_bytes=1)


async def read_whole(stores, source, token, end=3):
    source = await stores.source_runs.begin(source.id, token)
    await stores.chunks.write(source, token, pieces(token, 0, end))
    await stores.source_runs.activate(source.id, token, Outcome(end, 1, 1))
    await stores.chunks.remove_older(source.id, token)


class Writer:
    """A run over a source, one step at a time; a step that is refused ends it, as it ends a real one."""

    def __init__(self, stores, source, token):
        self.stores, self.source, self.token = stores, source, token
        self.has_won = False
        self.is_over = False

    @property
    def steps(self):
        return [self.begin, self.write_some, self.write_rest, self.activate, self.remove_older]

    async def step(self, *steps):
        for step in steps:
            try:
                if not self.is_over:
                    await step()
            except StaleTokenError:
                self.is_over = True

    async def begin(self):
        await self.stores.source_runs.begin(self.source.id, self.token)

    async def write_some(self):
        await self.stores.chunks.write(self.source, self.token, pieces(self.token, 0, 2))

    async def write_rest(self):
        await self.stores.chunks.write(self.source, self.token, pieces(self.token, 2, 3))

    async def activate(self):
        await self.stores.source_runs.activate(self.source.id, self.token, Outcome(3, 1, 1))
        self.has_won = True

    async def remove_older(self):
        await self.stores.chunks.remove_older(self.source.id, self.token)


def interleavings() -> Iterator[tuple[int, ...]]:
    """Every order of four steps of writer 0 and four of writer 1 in which each keeps its own order."""
    for places in itertools.combinations(range(8), 4):
        yield tuple(0 if place in places else 1 for place in range(8))


async def seen(stores, source):
    page = await stores.chunks.list("t1", source.id)
    return [(chunk.position, chunk.token) for chunk in page.items]


async def play(stores, order, number):
    """Two runs over one source in this order; what a reader saw after each step, and the runs."""
    source = await upload(stores, f"{number}.pdf")
    await read_whole(stores, source, 1)
    writers = [Writer(stores, source, 2), Writer(stores, source, 3)]
    left = [
        iter([[each.begin], [each.write_some, each.write_rest], [each.activate], [each.remove_older]])
        for each in writers
    ]
    views = []
    for who in order:
        await writers[who].step(*next(left[who]))
        views.append(await seen(stores, source))
    return writers, views


@pytest.mark.parametrize("part", range(2))
def test_in_every_order_of_two_runs_a_reader_sees_one_whole_run(run, part):
    async def scenario(stores):
        odd = []
        for number, order in enumerate(itertools.islice(interleavings(), part, None, 2)):
            writers, views = await play(stores, order, number)
            whole = [[(n, token) for n in range(3)] for token in (1, 2, 3)]
            tokens = [view[0][1] for view in views if view]
            if (
                any(view not in whole for view in views)
                or tokens != sorted(tokens)
                or tokens[-1] != 3
                or not writers[1].has_won
            ):
                odd.append((order, views))
        return odd

    assert run(scenario) == []


@pytest.mark.parametrize("killed_after", range(5))
def test_a_run_killed_at_any_step_is_replaced_by_the_next_without_a_trace(run, killed_after):
    async def scenario(stores):
        source = await upload(stores)
        await read_whole(stores, source, 1)
        killed = Writer(stores, source, 2)
        await killed.step(*killed.steps[:killed_after])
        between = await seen(stores, source)
        await read_whole(stores, source, 3)
        stored = await stores.mongo.collection("chunks").find({}, limit=100)
        return between, await seen(stores, source), stored

    between, after, stored = run(scenario)

    assert between in [[(n, token) for n in range(3)] for token in (1, 2)]
    assert after == [(n, 3) for n in range(3)]
    assert len(stored) == 3


def test_the_same_write_again_stores_nothing(run):
    async def scenario(stores):
        source = await upload(stores)
        return [await stores.chunks.write(source, 7, pieces(7)) for _ in range(2)]

    assert run(scenario) == [3, 0]


def test_chunks_that_a_slow_loser_writes_late_are_never_seen_and_cleanup_finds_them(run):
    async def scenario(stores):
        source = await upload(stores)
        await read_whole(stores, source, 2)
        await stores.chunks.write(source, 1, pieces(1))
        visible = await seen(stores, source)
        now = await stores.sources.find(source.id)
        removed = [await stores.chunks.remove_dead(now, 2) for _ in range(3)]
        return visible, removed, await seen(stores, source)

    visible, removed, after = run(scenario)

    assert visible == after == [(n, 2) for n in range(3)]
    assert removed == [2, 1, 0]


def test_cleanup_spares_a_run_that_is_at_work_and_one_that_begins_later(run):
    async def scenario(stores):
        source = await upload(stores)
        await read_whole(stores, source, 1)
        at_work = await stores.source_runs.begin(source.id, 5)
        await stores.chunks.write(at_work, 5, pieces(5))
        await stores.chunks.write(at_work, 6, pieces(6))
        removed = await stores.chunks.remove_dead(at_work, 100)
        return removed, await stores.mongo.collection("chunks").count({})

    assert run(scenario) == (0, 9)


def test_cleanup_takes_the_chunks_of_a_failed_run(run):
    async def scenario(stores):
        source = await upload(stores)
        await read_whole(stores, source, 1)
        await stores.chunks.write(await stores.source_runs.begin(source.id, 5), 5, pieces(5))
        await stores.source_runs.fail(source.id, 5, SourceFailure("x", ""))
        removed = await stores.chunks.remove_dead(await stores.sources.find(source.id), 100)
        return removed, await seen(stores, source)

    removed, visible = run(scenario)

    assert removed == 3
    assert visible == [(n, 1) for n in range(3)]


def test_chunks_are_paged_in_order(run):
    async def scenario(stores):
        source = await upload(stores)
        await read_whole(stores, source, 1, end=7)
        found, position = [], 0
        while position is not None:
            page = await stores.chunks.list("t1", source.id, limit=3, from_position=position)
            found.append([chunk.position for chunk in page.items])
            position = page.next_position
        return found

    assert run(scenario) == [[0, 1, 2], [3, 4, 5], [6]]


def test_chunks_belong_to_the_tenant_of_their_source(run):
    async def scenario(stores):
        source = await upload(stores)
        await read_whole(stores, source, 1)
        own = await stores.chunks.list("t1", source.id)
        return own, await stores.chunks.list("t2", source.id)

    own, other = run(scenario)

    assert {(chunk.tenant, chunk.chatbot_id) for chunk in own.items} == {("t1", "bot")}
    assert other is None


def test_a_source_without_chunks_has_an_empty_page(run):
    async def scenario(stores):
        source = await upload(stores)
        return await stores.chunks.list("t1", source.id)

    page = run(scenario)

    assert (page.items, page.next_position) == ((), None)


def test_chunks_read_for_an_index_are_of_one_run_or_outdated(run):
    async def scenario(stores):
        source = await upload(stores)
        await read_whole(stores, source, 1, end=5)
        (active,) = await stores.sources.active("t1")
        fresh = await stores.chunks.read(active)
        await read_whole(stores, source, 2)
        return active, fresh, await stores.chunks.read(active)

    active, fresh, outdated = run(scenario)

    assert active == ActiveSource(active.id, 1)
    assert [chunk.position for chunk in fresh] == [0, 1, 2, 3, 4]
    assert outdated is None
