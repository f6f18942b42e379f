"""The seam to what renews leases while this process cannot."""

from typing import Protocol

NOT_WATCHED = -1


class Standby(Protocol):
    """Renews the leases of this process while a task holds Python's interpreter lock.

    A task in C code that does not release the lock, as a long regular expression or a large sort, stops every thread
    of its process, the heartbeat too: without a standby its lease would end, and another worker would begin the
    same work beside it. No method raises: a process without a standby renews its leases as long as its threads run.
    """

    def prepare(self) -> None:
        """Have a standby ready before the first run."""
        ...

    def watch(self, digest: str, token: int, lease_ms: int, ttl_ms: int, renewed_ms: int) -> int:
        """Renew a lease whenever the process has not done so for half of it; the number by which it is forgotten.

        Args:
            ttl_ms: how long the record outlives the lease.
            renewed_ms: when the lease was last asked for, by the machine's monotonic clock.
        """
        ...

    def renewed(self, number: int, renewed_ms: int) -> None:
        """The process has renewed the lease itself; never waits."""
        ...

    def forget(self, number: int) -> None:
        """The run has ended."""
        ...


class NoStandby:
    """For a store that no other process can reach, or a machine that does not tell whether a process is stopped."""

    def prepare(self) -> None:
        """Nothing."""

    def watch(self, digest: str, token: int, lease_ms: int, ttl_ms: int, renewed_ms: int) -> int:
        """No number: nothing is watched."""
        return NOT_WATCHED

    def renewed(self, number: int, renewed_ms: int) -> None:
        """Nothing."""

    def forget(self, number: int) -> None:
        """Nothing."""
