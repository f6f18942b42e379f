"""A database of its own for each test, in the shared embedded MongoDB."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from app.stores.mongo import Mongo
from app.stores.stores import Stores

T = TypeVar("T")
Scenario = Callable[[Stores], Awaitable[T]]


@pytest.fixture
def run(mongo_url: str, database_name: str) -> Iterator[Callable[[Scenario[T]], T]]:
    """Runs one scenario on a loop, with its stores ready; the database is dropped after the test."""

    def run_scenario(scenario: Scenario[T]) -> T:
        async def main() -> T:
            stores = Stores(Mongo(mongo_url, database_name, max_pool_size=8, min_pool_size=0))
            await stores.prepare()
            try:
                return await scenario(stores)
            finally:
                await stores.close()

        return asyncio.run(main())

    yield run_scenario
    asyncio.run(_drop(mongo_url, database_name))


async def _drop(mongo_url: str, database_name: str) -> None:
    mongo = Mongo(mongo_url, database_name, max_pool_size=1, min_pool_size=0)
    await mongo.drop()
    await mongo.close()
