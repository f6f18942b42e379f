"""Messages that cannot be run, met while the Redis of the records is away: not one leaves its queue unkept."""

import uuid
from pathlib import Path

import pytest

from tests.contract.backends.test_native_messages import put, put_truncated
from tests.integration.workers.conftest import Begin, StageOf
from tests.servers import ValkeyServer
from tests.stage import Stage, eventually

WITHIN_S = 60.0


def contents(stage: Stage) -> list[bytes]:
    return [letter.content for letter in stage.queue.dead_letters.list(limit=100)]


@pytest.mark.slow
@pytest.mark.rabbitmq
@pytest.mark.parametrize("kind", ["celery", "dramatiq"])
def test_what_cannot_be_run_is_kept_when_redis_is_back(
    stage_of: StageOf, begin: Begin, tmp_path: Path, name: str, kind: str
):
    with ValkeyServer(tmp_path / "valkey", fsync="always") as server:
        stage = stage_of(kind, "rabbitmq", redis_url=server.url)
        worker = begin(stage, kind)

        server.kill()
        put(stage, str(uuid.uuid4()), f"program.nothing_{name}", (name,))
        put_truncated(stage, name)
        again = "is kept in" if kind == "celery" else "asking again"
        eventually(lambda: worker.log.count(again) >= 2, within_s=WITHIN_S)
        server.start()

        eventually(lambda: len(contents(stage)) == 2, within_s=WITHIN_S)
        assert all(name.encode() in content for content in contents(stage))
        assert stage.program.echo.send(f"{name}-after", 1).result(timeout=WITHIN_S) == 1
