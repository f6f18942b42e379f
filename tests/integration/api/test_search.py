"""Search over what was uploaded: new at once, gone at once, cited."""

import asyncio

import pytest

from app.search import words
from tests.integration.api.service import run

RETURNS = "# Returns\n\nGoods may be returned within thirty days.\n"
SHIPPING = "# Shipping\n\nParcels arrive in two days. Ça coûte cinq euros.\n"
CHINESE = "产品可以在三十天内退货。\n"


async def put(service, text, name, chatbot_id="bot_1"):
    answer = await service.upload(text.encode(), name, chatbot_id)
    await service.work()
    return answer.json()["links"]["source"]


async def ask(service, query, **params):
    answer = await service.client.get("/api/v1/search", params={"q": query, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(found):
    return [hit["citation"]["name"] for hit in found["hits"]]


def test_the_best_hit_comes_first_with_its_citation(place):
    async def scenario(service):
        await put(service, RETURNS, "returns.md")
        await put(service, SHIPPING, "shipping.md")
        return await ask(service, "When may goods be returned, in days?")

    found = run(place, scenario)

    assert names(found) == ["returns.md", "shipping.md"]
    assert found["hits"][0]["score"] > found["hits"][1]["score"] > 0
    assert "thirty days" in found["hits"][0]["text"]
    assert found["hits"][0]["citation"]["place"]
    assert found["chunks_searched"] == 2


@pytest.mark.parametrize(
    ("query", "name"), [("RETURNED", "returns.md"), ("ca coute", "shipping.md"), ("退货", "zh.txt")]
)
def test_case_accents_and_scripts_without_spaces_do_not_matter(place, query, name):
    async def scenario(service):
        for text, file in ((RETURNS, "returns.md"), (SHIPPING, "shipping.md"), (CHINESE, "zh.txt")):
            await put(service, text, file)
        return await ask(service, query)

    assert names(run(place, scenario)) == [name]


def test_what_is_uploaded_or_removed_later_is_seen_at_once(place):
    async def scenario(service):
        first = await put(service, RETURNS, "returns.md")
        before = await ask(service, "days")
        await put(service, SHIPPING, "shipping.md")
        both = await ask(service, "days")
        await service.client.delete(first)
        return before, both, await ask(service, "days")

    before, both, after = run(place, scenario)

    assert (names(before), sorted(names(both)), names(after)) == (
        ["returns.md"],
        ["returns.md", "shipping.md"],
        ["shipping.md"],
    )


def test_a_search_stays_within_its_chatbot(place):
    async def scenario(service):
        await put(service, RETURNS, "one.md", "bot_1")
        await put(service, RETURNS, "two.md", "bot_2")
        return [names(await ask(service, "goods", **params)) for params in ({"chatbot_id": "bot_2"}, {})]

    one, all_of_them = run(place, scenario)

    assert (one, sorted(all_of_them)) == (["two.md"], ["one.md", "two.md"])


@pytest.mark.parametrize("query", ["unknownword", "!?", "   ", "the"])
def test_a_query_without_hits_is_no_error(place, query):
    async def scenario(service):
        empty = await ask(service, query)
        await put(service, "... !!! ---\n\nword", "a.txt")
        return empty, await ask(service, query)

    empty, found = run(place, scenario)

    assert (empty["hits"], empty["chunks_searched"], found["hits"]) == ([], 0, [])


def test_only_as_many_hits_as_asked_for(place):
    async def scenario(service):
        for number in range(5):
            await put(service, f"goods {number}", f"{number}.txt")
        return names(await ask(service, "goods", limit=2))

    assert len(run(place, scenario)) == 2


@pytest.mark.parametrize("params", [{}, {"q": ""}, {"q": "x" * 1001}, {"q": "x", "limit": 0}, {"q": "x", "limit": 51}])
def test_a_search_that_makes_no_sense_is_refused(place, params):
    answer = run(place, lambda service: service.client.get("/api/v1/search", params=params))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("query/")


def test_many_searches_at_once_build_one_index(place):
    async def scenario(service):
        await put(service, RETURNS, "returns.md")
        found = await asyncio.gather(*(ask(service, "goods") for _ in range(10)))
        return [names(each) for each in found]

    assert run(place, scenario) == [["returns.md"]] * 10


def test_the_indexes_in_memory_stay_within_their_bound(place):
    async def scenario(service):
        search = service.context.search
        search._max_kept_chunks = 2
        for bot in ("bot_1", "bot_2", "bot_3"):
            await put(service, RETURNS, "a.md", bot)
            await ask(service, "goods", chatbot_id=bot)
        return len(search._indexes), names(await ask(service, "goods", chatbot_id="bot_1"))

    assert run(place, scenario) == (2, ["a.md"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("naïve ﬁle №5", ["naive", "file", "no5"]),
        ("日本語 text", ["日本", "本語", "text"]),
        ("", []),
    ],
)
def test_words_are_folded(text, found):
    assert words(text) == found
