"""How long things take with 100,000 documents: printed (`pytest -s`), not asserted."""

import time
from collections.abc import Callable
from typing import Any

import pytest

DOCUMENTS, BATCH = 100_000, 500


@pytest.mark.slow
def test_a_hundred_thousand_chunks(things):
    things.create_index("source")
    things.create_index([("tenant", 1), ("place", -1)])
    times: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        answer = work()
        times[name] = (time.perf_counter() - start) * 1000
        return answer

    for batch in range(DOCUMENTS // BATCH):
        chunks = [
            {
                "source": f"s{batch}",
                "tenant": "t",
                "place": batch * BATCH + number,
                "text": "x" * 100,
            }
            for number in range(BATCH)
        ]
        timed("insert 500", lambda chunks=chunks: things.insert_many(chunks))
    found = timed("find 500 by an index", lambda: list(things.find({"source": "s7"})))
    newest = timed("sort and limit by an index", lambda: list(things.find({"tenant": "t"}).sort("place", -1).limit(10)))
    some = {"source": {"$in": [f"s{number}" for number in range(20)]}}
    sorted_10k = timed("sort 10,000, limit 10", lambda: list(things.find(some).sort("text", 1).limit(10)))
    number = timed("count by an index", lambda: things.count_documents({"tenant": "t"}))
    none = timed("count by looking at all", lambda: things.count_documents({"text": "y"}))
    everything = timed("read all", lambda: sum(1 for _ in things.find()))
    timed("update one", lambda: things.update_one({"source": "s7"}, {"$set": {"text": "new"}}))
    removed = timed("delete 500 by an index", lambda: things.delete_many({"source": "s8"}).deleted_count)
    print("", *(f"{name}: {ms:.1f} ms" for name, ms in times.items()), sep="\n  ")

    assert (len(found), newest[0]["place"], len(sorted_10k)) == (500, DOCUMENTS - 1, 10)
    assert (number, none, everything, removed) == (DOCUMENTS, 0, DOCUMENTS, 500)
