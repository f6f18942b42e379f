"""A small real SMTP server that keeps what it is given, and refuses what a test tells it to."""

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field
from typing import Self


@dataclass
class SmtpSink:
    """One server on a loopback port, in a thread of its own. Use as a context manager."""

    recipient_code: int = 250
    data_code: int = 250
    quit_code: int = 221
    host: str = "127.0.0.1"
    mails: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)))
        self._thread.start()
        assert started.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    @property
    def url(self) -> str:
        return f"smtp://{self.host}:{self.port}"

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._talk, self.host, 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._stop.wait()
        server.close()
        await asyncio.sleep(0)  # a connection that was just accepted has its handler from here on
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for handler in others:
            handler.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        while line := (await reader.readline()).decode():
            command = line[:4].upper().strip()
            self.commands.append(command)
            if command == "DATA":
                writer.write(b"354 go on\r\n")
                mail = (await reader.readuntil(b"\r\n.\r\n")).decode()
                if self.data_code == 250:
                    self.mails.append(mail)
                writer.write(f"{self.data_code} data\r\n".encode())
                continue
            codes = {"RCPT": self.recipient_code, "QUIT": self.quit_code}
            writer.write(f"{codes.get(command, 250)} {command}\r\n".encode())
            if command == "QUIT":
                await writer.drain()
                writer.close()
                break
