"""Event streams, with an eye on the server's side of them."""

import asyncio
import contextlib
import dataclasses

import httpx
import uvicorn

from tests.integration.api.service import eventually, run

NOTIFY = {"user_id": "u", "title": "t", "message": "m"}


@contextlib.asynccontextmanager
async def listening(service):
    """A client whose streams are real connections to the service in this process."""
    server = uvicorn.Server(uvicorn.Config(service.app, port=0, lifespan="off", log_level="warning"))
    serving = asyncio.create_task(server.serve())

    async def is_started():
        return server.started

    await eventually(is_started, bool)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=service.client.headers) as client:
        yield client
    server.should_exit = True
    await serving


async def submit(client):
    answer = await client.post("/api/v1/notifications", json=NOTIFY, headers={"Idempotency-Key": "k"})
    return answer.json()["links"]["events"]


def test_a_stream_ends_on_the_server_when_its_client_goes(place):
    async def scenario(service):
        async def count():
            return len(service.app.state.open_streams)

        async with listening(service) as client:
            events = await submit(client)
            async with client.stream("GET", events) as response:
                await anext(response.aiter_lines())
                open_before = await count()
            return open_before, await eventually(count, lambda number: number == 0)

    assert run(place, scenario) == (1, 0)


def test_a_silent_stream_says_that_it_lives(place):
    async def scenario(service):
        service.app.state.context = dataclasses.replace(service.context, poll_s=0.01, heartbeat_s=0.02)
        async with listening(service) as client, client.stream("GET", await submit(client)) as response:
            async with asyncio.timeout(60):
                async for line in response.aiter_lines():
                    if line == ": alive":
                        return True
        return False

    assert run(place, scenario)


def test_no_more_streams_are_opened_than_the_process_can_bear(place):
    async def scenario(service):
        events = await submit(service.client)
        service.app.state.open_streams.update(range(500))
        return await service.client.get(events)

    answer = run(place, scenario)

    assert (answer.status_code, answer.json()["code"]) == (503, "too-many-streams")
