"""Async iterators that hold something which must be given back."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def closed_after(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """The same items; what they hold (a parser, a connection) is given back when the block ends, however it ends.

    A loop that is left early leaves its generator to the garbage collector, which may come much later.
    """
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
