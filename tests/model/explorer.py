"""Breadth first through every state, and back from the good ones: what breaks, and the shortest way there."""

import gc
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.model.model import Model
from tests.model.surroundings import steps
from tests.model.world import (
    ACCEPTED,
    ANSWERED,
    LIVENESS,
    LOST_WORK,
    PROPERTIES,
    SETTLED,
    STUCK,
    UNANSWERED,
    World,
)


@dataclass(slots=True)
class Graph:
    """The states that were found, in the order of their distance from the first.

    Args:
        parents: the state from which each was first reached; -1 for the first.
        sources: for each state, from where a free step leads to it.
        is_resting: whether the system does nothing more by itself in that state.
        broken: for each property that a step breaks, the first such step: from which state, and into which world.
    """

    worlds: list[World] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    sources: list[list[int]] = field(default_factory=list)
    is_resting: list[bool] = field(default_factory=list)
    broken: dict[str, tuple[int, str]] = field(default_factory=dict)
    steps: int = 0


class TooManyStatesError(Exception):
    """More states than were expected: the verdicts would not be about all of them."""


class Trace(NamedTuple):
    """A way to break a property.

    Args:
        steps: from the start to where it is broken, or where nothing can keep it any more.
        then: in the latter case, what the system does by itself from there until it rests.
    """

    steps: list[str]
    then: list[str]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What holds, and for what does not the shortest story of how it breaks.

    Args:
        traces: by property, the shortest counterexample.
    """

    states: int
    steps: int
    traces: dict[str, Trace]


def verdicts(model: Model, judged: Sequence[str] = PROPERTIES, max_states: int = 1_000_000) -> Verdicts:
    """Explore everything, and judge each of the properties.

    Raises:
        TooManyStatesError: there are more than `max_states`.
    """
    gc.disable()  # millions of small tuples, and no cycle among them: looking for one doubles the time
    try:
        graph = explore(model, max_states)
    finally:
        gc.enable()
    traces: dict[str, Trace] = {}
    for name in judged:
        if name in LIVENESS:
            at = _doomed(graph, _goal(model, name))
            if at is not None:
                traces[name] = Trace(way_to(model, graph, at), way_on(model, graph.worlds[at]))
        elif name in graph.broken:
            at, label = graph.broken[name]
            traces[name] = Trace([*way_to(model, graph, at), label], [])
    return Verdicts(len(graph.worlds), graph.steps, traces)


def explore(model: Model, max_states: int) -> Graph:
    """Every state that can be reached."""
    graph = Graph()
    numbers: dict[World, int] = {}
    queue: deque[int] = deque()

    def number_of(world: World, parent: int) -> int:
        # The workers are alike: which is which does not matter, but a trace calls them by their place.
        key = world if world.workers[0] <= world.workers[1] else world._replace(workers=world.workers[::-1])
        number = numbers.get(key)
        if number is None:
            number = numbers[key] = len(graph.worlds)
            graph.worlds.append(world)
            graph.parents.append(parent)
            graph.sources.append([])
            queue.append(number)
        return number

    number_of(model.first(), -1)
    while queue:
        at = queue.popleft()
        is_resting = True
        for step in steps(model, graph.worlds[at]):
            graph.steps += 1
            for broken in step.broken:
                graph.broken.setdefault(broken, (at, step.label))
            to = number_of(step.world, at)
            if step.kind == "free" and to != at:
                is_resting = False
                graph.sources[to].append(at)
        graph.is_resting.append(is_resting)
        if len(graph.worlds) > max_states:
            raise TooManyStatesError(len(graph.worlds))
    return graph


def way_to(model: Model, graph: Graph, at: int) -> list[str]:
    """The shortest way to a state, in words."""
    labels: list[str] = []
    while graph.parents[at] >= 0:
        parent = graph.parents[at]
        labels.append(next(s.label for s in steps(model, graph.worlds[parent]) if s.world == graph.worlds[at]))
        at = parent
    return labels[::-1]


def way_on(model: Model, world: World) -> list[str]:
    """The shortest way in which the system comes to rest by itself, in words; empty if it never does."""
    ways: dict[World, list[str]] = {world: []}
    queue = deque([world])
    while queue:
        at = queue.popleft()
        free = [step for step in steps(model, at) if step.kind == "free" and step.world != at]
        if not free:
            return ways[at]
        for step in free:
            if step.world not in ways:
                ways[step.world] = [*ways[at], step.label]
                queue.append(step.world)
    return []


def _doomed(graph: Graph, is_good: Callable[[World, bool], bool]) -> int | None:
    """The first state from which free steps reach no good one."""
    good = [at for at, world in enumerate(graph.worlds) if is_good(world, graph.is_resting[at])]
    is_saved = [False] * len(graph.worlds)
    for at in good:
        is_saved[at] = True
    while good:
        for source in graph.sources[good.pop()]:
            if not is_saved[source]:
                is_saved[source] = True
                good.append(source)
    return next((at for at, saved in enumerate(is_saved) if not saved), None)


def _goal(model: Model, name: str) -> Callable[[World, bool], bool]:
    linked = [message for message, sent in enumerate(model.setup.messages) if sent.is_linked]

    def every_promise_is_kept(world: World, is_resting: bool) -> bool:
        return all(not flag & ACCEPTED or flag & SETTLED for flag in world.flags)

    def every_linked_is_answered(world: World, is_resting: bool) -> bool:
        return all(not world.flags[at] & ACCEPTED or world.flags[at] & ANSWERED for at in linked)

    def is_at_rest(world: World, is_resting: bool) -> bool:
        return is_resting

    return {LOST_WORK: every_promise_is_kept, UNANSWERED: every_linked_is_answered, STUCK: is_at_rest}[name]
