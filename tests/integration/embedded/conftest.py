"""A real PyMongo client to the embedded server."""

from collections.abc import Iterator
from typing import Any

import pymongo
import pytest

Client = pymongo.MongoClient[dict[str, Any]]


@pytest.fixture(scope="session")
def mongo(mongo_url: str) -> Iterator[Client]:
    """A client that the tests of one process share."""
    with pymongo.MongoClient(mongo_url, serverSelectionTimeoutMS=60_000, tz_aware=True) as client:
        yield client


@pytest.fixture
def database(mongo: Client, database_name: str) -> Iterator[Any]:
    """A database of the test's own, removed at its end."""
    yield mongo[database_name]
    mongo.drop_database(database_name)


@pytest.fixture
def things(database: Any) -> Any:
    """An empty collection."""
    return database["things"]
