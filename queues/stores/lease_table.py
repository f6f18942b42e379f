"""The leases of one process, in memory that its standby reads too: no system call a run."""

import mmap
import os
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from queues.idempotency.standby import NOT_WATCHED

ROW = struct.Struct("<QQQQ40s")
"""Token, lease_ms, ttl_ms, renewed_ms, digest; a token of 0 marks a free row."""
RENEWED_AT = struct.Struct("<Q")
RENEWED_OFFSET = 24
SHORTEST_LEASE = struct.Struct("<Q")
ROWS = 512
"""More runs at once in one process are not watched."""
SIZE_BYTES = SHORTEST_LEASE.size + ROWS * ROW.size


@dataclass(frozen=True, slots=True)
class Lease:
    """A row: the lease of a run.

    Args:
        renewed_ms: when its process last asked for it, by the machine's monotonic clock.
    """

    digest: str
    token: int
    lease_ms: int
    ttl_ms: int
    renewed_ms: int


class LeaseTable:
    """Written by the process that runs, read by its standby, without a lock between the two.

    A row that is read while it is written may join one run's digest to another's token. The store refuses that pair.
    """

    def __init__(self) -> None:
        self.fd = os.memfd_create("onceq-leases")
        os.ftruncate(self.fd, SIZE_BYTES)
        self._memory = mmap.mmap(self.fd, SIZE_BYTES)
        self._free = list(range(ROWS))
        self._lock = threading.Lock()
        self._shortest_ms = 0

    def add(self, lease: Lease) -> int:
        """The number of the row that the lease has from now on; NOT_WATCHED when the table is full."""
        with self._lock:
            if not self._free:
                return NOT_WATCHED
            number = self._free.pop()
            if not self._shortest_ms or lease.lease_ms < self._shortest_ms:
                self._shortest_ms = lease.lease_ms
                SHORTEST_LEASE.pack_into(self._memory, 0, lease.lease_ms)
        row = (lease.token, lease.lease_ms, lease.ttl_ms, lease.renewed_ms, lease.digest.encode())
        ROW.pack_into(self._memory, _offset(number), *row)
        return number

    def renew(self, number: int, renewed_ms: int) -> None:
        """Note when the process asked for the lease."""
        RENEWED_AT.pack_into(self._memory, _offset(number) + RENEWED_OFFSET, renewed_ms)

    def remove(self, number: int) -> None:
        """Free the row."""
        ROW.pack_into(self._memory, _offset(number), 0, 0, 0, 0, b"")
        with self._lock:
            self._free.append(number)


class LeaseReader:
    """The table of another process."""

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, SIZE_BYTES, prot=mmap.PROT_READ)

    @property
    def shortest_lease_ms(self) -> int:
        """Of all leases that were ever in it; 0 before the first."""
        return int(SHORTEST_LEASE.unpack_from(self._memory)[0])

    def __iter__(self) -> Iterator[Lease]:
        for token, lease_ms, ttl_ms, renewed_ms, digest in ROW.iter_unpack(self._memory[SHORTEST_LEASE.size :]):
            if token:
                yield Lease(digest.rstrip(b"\0").decode("ascii", "replace"), token, lease_ms, ttl_ms, renewed_ms)

    def close(self) -> None:
        """Unmap it."""
        self._memory.close()


def _offset(number: int) -> int:
    return SHORTEST_LEASE.size + number * ROW.size
