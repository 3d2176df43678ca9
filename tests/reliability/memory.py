"""What a server uses, as Linux says."""

from __future__ import annotations

from pathlib import Path

from tests.server import Server

PROC = Path("/proc")


def processes(server: Server) -> list[int]:
    """Return the process ids of a server: the master first, then its workers."""
    found = [server.process.pid]
    for pid in found:
        for task in (PROC / str(pid) / "task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def resident_mb(server: Server) -> float:
    """Return the resident memory of a server and its workers, in MB."""
    kilobytes = 0
    for pid in processes(server):
        for line in (PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1024


def descriptors(server: Server) -> int:
    """Return how many files and sockets a server and its workers have open."""
    return sum(len(list((PROC / str(pid) / "fd").iterdir())) for pid in processes(server))
