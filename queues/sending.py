"""The steps of submissions, which are written once, and carried out blocking or awaited."""

import asyncio
from collections.abc import Generator
from contextlib import aclosing, closing
from dataclasses import dataclass

from queues.backend import Backend
from queues.handle import Handle
from queues.idempotency.pipeline import AsyncPipeline, Pipeline
from queues.idempotency.state import Answer, Operation
from queues.message import Message


@dataclass(frozen=True, slots=True)
class Send:
    """Send these operations to the store."""

    requests: list[tuple[str, Operation]]


@dataclass(frozen=True, slots=True)
class Receive:
    """Take the answers to the oldest operations that were sent."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish these messages, each after its delay in ms."""

    messages: list[tuple[Message, int]]


Step = Send | Receive | Publish
Steps = Generator[Step, list[Answer], list[Handle]]


def carried_out(steps: Steps, opened: Pipeline, backend: Backend) -> list[Handle]:
    """The handles in which the steps end; an error of one is thrown into them, and raised."""
    answers: list[Answer] | None = None
    with closing(opened) as pipeline:
        while True:
            try:
                step = next(steps) if answers is None else steps.send(answers)
            except StopIteration as stop:
                return list(stop.value)
            try:
                answers = _done(step, pipeline, backend)
            except BaseException as exc:
                steps.throw(exc)
                raise


async def carried_out_async(steps: Steps, opened: AsyncPipeline, backend: Backend) -> list[Handle]:
    """As `carried_out`, without blocking the event loop."""
    answers: list[Answer] | None = None
    async with aclosing(opened) as pipeline:
        while True:
            try:
                step = next(steps) if answers is None else steps.send(answers)
            except StopIteration as stop:
                return list(stop.value)
            try:
                answers = await _done_async(step, pipeline, backend)
            except BaseException as exc:
                steps.throw(exc)
                raise


def _done(step: Step, pipeline: Pipeline, backend: Backend) -> list[Answer]:
    match step:
        case Send(requests):
            pipeline.send(requests)
        case Receive():
            return pipeline.receive()
        case Publish(messages):
            backend.publish_many(messages)
    return []


async def _done_async(step: Step, pipeline: AsyncPipeline, backend: Backend) -> list[Answer]:
    match step:
        case Send(requests):
            await pipeline.send(requests)
        case Receive():
            return await pipeline.receive()
        case Publish(messages):
            await asyncio.to_thread(backend.publish_many, messages)
    return []
