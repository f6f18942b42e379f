"""Bytes on the socket: pipelines, malformed messages, many connections, real PyMongo clients."""

import asyncio
import random
import socket
import struct
from typing import Any
from urllib.parse import urlsplit

import bson
import pymongo
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def connection(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def message(document: dict[str, Any], number: int = 1, flags: int = 0) -> bytes:
    body = struct.pack("<I", flags) + b"\x00" + bson.encode(document)
    return struct.pack("<iiii", 16 + len(body), number, 0, 2013) + body


def receive(stream: socket.socket) -> tuple[int, dict[str, Any]]:
    head = _exactly(stream, 16)
    total, _, answers, operation = struct.unpack("<iiii", head)
    body = _exactly(stream, total - 16)
    return answers, bson.decode(body[5:] if operation == 2013 else body[20:])


def _exactly(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data


def is_closed(stream: socket.socket) -> bool:
    try:
        return stream.recv(1) == b""
    except ConnectionResetError:
        return True


def is_alive(url: str) -> bool:
    with connection(url) as stream:
        stream.sendall(message({"ping": 1, "$db": "admin"}))
        return receive(stream)[1] == {"ok": 1.0}


def test_the_old_handshake_is_answered(mongo_url):
    body = (
        struct.pack("<i", 0)
        + b"admin.$cmd\x00"
        + struct.pack("<ii", 0, -1)
        + bson.encode({"isMaster": 1, "helloOk": True})
    )
    with connection(mongo_url) as stream:
        stream.sendall(struct.pack("<iiii", 16 + len(body), 9, 0, 2004) + body)
        answers, reply = receive(stream)

    assert answers == 9
    assert reply["ismaster"] is True
    assert reply["maxWireVersion"] == 17


def test_requests_sent_at_once_are_answered_in_their_order(mongo_url):
    with connection(mongo_url) as stream:
        stream.sendall(b"".join(message({"ping": 1, "$db": "admin"}, number) for number in range(50)))
        answers = [receive(stream)[0] for _ in range(50)]

    assert answers == list(range(50))


def test_a_message_in_small_pieces_is_understood(mongo_url):
    with connection(mongo_url) as stream:
        for byte in message({"ping": 1, "$db": "admin"}):
            stream.sendall(bytes([byte]))

        assert receive(stream)[1] == {"ok": 1.0}


PING = message({"ping": 1, "$db": "admin"})


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        struct.pack("<iiii", 0, 1, 0, 2013),
        struct.pack("<iiii", -5, 1, 0, 2013),
        struct.pack("<iiii", 48_000_001, 1, 0, 2013),
        struct.pack("<iiii", 2**31 - 1, 1, 0, 2013),
        struct.pack("<iiii", 26, 1, 0, 2012) + b"\x00" * 10,
        struct.pack("<iiii", 26, 1, 0, 2002) + b"\x00" * 10,
        struct.pack("<iiii", 18, 1, 0, 2013) + b"\x00" * 2,
        struct.pack("<iiii", 20, 1, 0, 2013) + b"\x00" * 4,
        PING[:16] + b"\xff\xff\x00\x00" + PING[20:],
        PING[:16] + b"\x01\x00\x00\x00" + PING[20:],
        PING[:20] + b"\x07" + PING[21:],
        PING[:21] + b"\xff\xff\xff\x7f" + PING[25:],
        PING[:21] + b"\x01\x00\x00\x00" + PING[25:],
        PING[:-4] + b"\xff" * 4,
        struct.pack("<iiii", 26, 1, 0, 2004) + b"\x00" * 10,
    ],
    ids=range(16),
)
def test_a_malformed_message_ends_its_connection_alone(mongo_url, data):
    with connection(mongo_url) as other, connection(mongo_url) as stream:
        stream.sendall(data)

        assert is_closed(stream)
        other.sendall(PING)
        assert receive(other)[1] == {"ok": 1.0}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_random_damage_to_a_message_does_not_hurt_the_server(mongo_url, seed):
    dice = random.Random(seed)
    document = {"insert": "fuzz", "documents": [{"_id": 1, "a": [1, {"b": "c"}]}], "ordered": True, "$db": "fuzz"}
    data = bytearray(message(document))
    for _ in range(dice.randint(1, 8)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    with connection(mongo_url) as stream:
        stream.sendall(data[: dice.randint(1, len(data))])
        stream.shutdown(socket.SHUT_WR)
        while True:
            try:
                if not stream.recv(4096):
                    break
            except ConnectionResetError:
                break

    assert is_alive(mongo_url)


@pytest.mark.parametrize("depth", [60, 150, 5000])
def test_deep_nesting_is_an_answer_and_no_crash(mongo_url, depth):
    inner = b"\x05\x00\x00\x00\x00"
    for _ in range(depth):
        inner = struct.pack("<i", len(inner) + 8) + b"\x03a\x00" + inner + b"\x00"
    find = b"\x02find\x00\x02\x00\x00\x00x\x00\x03filter\x00" + inner + b"\x02$db\x00\x02\x00\x00\x00t\x00\x00"
    body = b"\x00\x00\x00\x00\x00" + struct.pack("<i", len(find) + 4) + find
    with connection(mongo_url) as stream:
        stream.sendall(struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body)
        try:
            reply = receive(stream)[1]
        except ConnectionResetError:
            reply = None

    assert reply is None or "ok" in reply
    assert is_alive(mongo_url)


def test_a_client_that_leaves_in_the_middle_of_a_command_harms_nobody(mongo_url, database_name):
    documents = [{"_id": number, "t": "x" * 1000} for number in range(2000)]
    with connection(mongo_url) as stream:
        stream.sendall(message({"insert": "x", "documents": documents, "$db": database_name}))

    assert is_alive(mongo_url)


def test_a_hundred_operations_at_once_through_a_pool_of_a_hundred(mongo_url, database_name):
    async def work() -> tuple[int, int, int]:
        client = pymongo.AsyncMongoClient[dict[str, Any]](mongo_url, maxPoolSize=100, minPoolSize=10)
        try:
            things = client[database_name]["x"]
            await things.create_index("n")
            await asyncio.gather(*(things.insert_one({"_id": number, "n": 0}) for number in range(300)))
            await asyncio.gather(*(things.update_one({"_id": 0}, {"$inc": {"n": 1}}) for _ in range(300)))
            first = await things.find_one({"_id": 0})
            found = await things.find({"n": 0}).sort("_id", -1).to_list(None)
            async with asyncio.timeout(20):
                total = sum([1 async for _ in things.find(batch_size=50)])
            return first["n"] if first else -1, len(found), total
        finally:
            await client.drop_database(database_name)
            await client.close()

    assert asyncio.run(work()) == (300, 299, 300)


def test_an_asynchronous_pymongo_client_works_too(mongo_url, database_name):
    async def work() -> dict[str, Any] | None:
        async with pymongo.AsyncMongoClient[dict[str, Any]](mongo_url) as client:
            things = client[database_name]["x"]
            await things.insert_one({"_id": 1})
            answer = await things.find_one_and_update({"_id": 1}, {"$set": {"a": 1}}, return_document=True)
            await client.drop_database(database_name)
            return answer

    assert asyncio.run(work()) == {"_id": 1, "a": 1}
