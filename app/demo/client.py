"""A client of the service: submits a document several times, and looks at what came of it."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

AT_ONCE = 3
ENDED = frozenset({"completed", "failed", "dead", "unknown"})
OUTCOME_WITHIN_S = 120.0
CHATBOT = "demo"


@dataclass(slots=True)
class Entry:
    """What came of one document.

    Attributes:
        ids: of the tasks that the submissions were answered with; one, when all is well.
        decisions: of the submissions, in the order of their answers.
        chunks: how many the run says it made; None when there was no good outcome.
        stored: how many the service shows.
        tokens: of the runs whose chunks are shown.
        positions_ok: whether the chunks are numbered from 0 without a gap or a repetition.
        error: why it could not be read, or was refused.
        runs: how often the task's function was entered; counted when the service has ended.
        first_ms: from the submission to the outcome. `again_ms`: from the repeated submission to the outcome.
    """

    name: str
    ids: set[str] = field(default_factory=set)
    decisions: list[str] = field(default_factory=list)
    chunks: int | None = None
    stored: int = 0
    tokens: set[str] = field(default_factory=set)
    positions_ok: bool = True
    error: str = ""
    runs: int = 0
    first_ms: float = 0.0
    again_ms: float | None = None

    @property
    def is_refused(self) -> bool:
        """Whether nothing was accepted: it is no document for the service."""
        return not self.ids

    @property
    def expected_runs(self) -> int:
        """One; of a document that fails, one for each submission that came after a failure.

        A failure is not kept as an answer: who submits the document again has it read again.
        """
        return self.decisions.count("executed") if self.error else 1

    @property
    def is_lost(self) -> bool:
        """Whether accepted work has no outcome, or not all of its chunks are there."""
        if self.is_refused:
            return False
        has_outcome = self.chunks is not None or bool(self.error)
        is_short = self.runs < self.expected_runs or (self.chunks or 0) > self.stored or not self.positions_ok
        return is_short or not has_outcome

    @property
    def repeated(self) -> int:
        """Runs above those that there should be."""
        more = self.runs - self.expected_runs
        return max(0, more) if self.error else max(0, more, len(self.ids) - 1, len(self.tokens) - 1)


class Client:
    """Works with the API at `url` under an API key."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def submit_document(self, path: Path) -> Entry:
        """A file, three times at once, and once more when it is done."""
        content = await asyncio.to_thread(path.read_bytes)

        async def send() -> httpx.Response:
            files = {"file": (path.name, content)}
            return await self._http.post("/documents", files=files, data={"chatbot_id": CHATBOT})

        return await self._submit(path.name, send)

    async def submit_page(self, url: str) -> Entry:
        """A web page, three times at once, and once more when it is done."""

        async def send() -> httpx.Response:
            return await self._http.post("/websites", json={"url": url, "chatbot_id": CHATBOT})

        return await self._submit(url, send)

    async def _submit(self, name: str, send: Any) -> Entry:
        entry = Entry(name)
        start = time.perf_counter()
        answers = await asyncio.gather(*(send() for _ in range(AT_ONCE)))
        accepted = [answer.json() for answer in answers if answer.status_code == httpx.codes.ACCEPTED]
        if not accepted:
            entry.error = str(answers[0].json().get("code", answers[0].status_code))
            return entry
        for body in accepted:
            self._note(entry, body)
        task = await self._outcome(accepted[0]["id"])
        entry.first_ms = (time.perf_counter() - start) * 1000
        if task["state"] in ENDED - {"completed"}:
            entry.error = str((task.get("error") or {}).get("code") or task["state"])
        if task["state"] != "completed":
            return entry
        entry.chunks = int(task["result"].get("chunks_created", 0))
        start = time.perf_counter()
        again = (await send()).raise_for_status().json()
        self._note(entry, again)
        await self._outcome(again["id"])
        entry.again_ms = (time.perf_counter() - start) * 1000
        await self._look(entry, accepted[0]["source_id"])
        return entry

    def _note(self, entry: Entry, body: dict[str, Any]) -> None:
        entry.ids.add(body["id"])
        entry.decisions.append(body["decision"])

    async def _outcome(self, task_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + OUTCOME_WITHIN_S
        while True:
            answer = await self._http.get(f"/tasks/{task_id}")
            task: dict[str, Any] = answer.raise_for_status().json()
            if task["state"] in ENDED or time.monotonic() > deadline:
                return task
            await asyncio.sleep(0.02)

    async def _look(self, entry: Entry, source_id: str) -> None:
        """Read the chunks that the service shows. A chunk's id is `<source>:<token of the run>:<position>`."""
        positions: list[int] = []
        cursor: str | None = None
        while True:
            query = {"limit": "200"} | ({"cursor": cursor} if cursor else {})
            answer = await self._http.get(f"/sources/{source_id}/chunks", params=query)
            page = answer.raise_for_status().json()
            for chunk in page["items"]:
                positions.append(int(chunk["position"]))
                entry.tokens.add(chunk["id"].split(":")[-2])
            cursor = page["next_cursor"]
            if cursor is None:
                break
        entry.stored = len(positions)
        entry.positions_ok = positions == list(range(len(positions)))
