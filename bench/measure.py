"""What Linux says about processes and the machine: CPU time, memory, noise, facts.

Reads /proc and changes nothing but peaks.

A tree is a process and all its descendants: a server with its workers.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import sysconfig
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PROC = Path("/proc")


def _read(path: Path) -> str:
    """Return a file's text, or nothing when its process has ended meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""


def tree(root: int) -> list[int]:
    """Return the process ids of `root` and its descendants that live now."""
    found = [root]
    for pid in found:
        for task in sorted((PROC / str(pid) / "task").glob("*/children")):
            found += [int(child) for child in _read(task).split()]
    return found


def cpu_ns(roots: Iterable[int]) -> int:
    """Return the CPU time in ns that the trees have used so far, of the threads that still live."""
    total = 0
    for root in roots:
        for pid in tree(root):
            for task in (PROC / str(pid) / "task").glob("*/schedstat"):
                total += int((_read(task).split() or ["0"])[0])
    return total


def _kilobytes(root: int, name: str, field: str) -> int:
    pattern = re.compile(rf"^{field}:\s+(\d+) kB", re.MULTILINE)
    matches = (pattern.search(_read(PROC / str(pid) / name)) for pid in tree(root))
    return sum(int(match[1]) for match in matches if match)


def pss_kb(root: int) -> int:
    """Return the proportional memory of the tree in kB: shared pages are divided among their users."""
    return _kilobytes(root, "smaps_rollup", "Pss")


def rss_kb(root: int) -> int:
    """Return the resident memory of the tree in kB."""
    return _kilobytes(root, "status", "VmRSS")


def peak_kb(root: int) -> int:
    """Return the highest resident memory of each process of the tree since `clear_peaks`, in kB, summed."""
    return _kilobytes(root, "status", "VmHWM")


def clear_peaks(root: int) -> None:
    """Make the peaks of the tree start again from what is resident now."""
    for pid in tree(root):
        (PROC / str(pid) / "clear_refs").write_text("5")


@dataclass(frozen=True)
class Busy:
    """CPU seconds up to a moment: of the whole machine, of this run, taken away by the hypervisor; and the moment."""

    wall: float
    machine: float
    own: float
    stolen: float


def busy(roots: Iterable[int]) -> Busy:
    """Read how busy the machine is; `roots` are the trees that belong to this run."""
    fields = [int(field) for field in _read(PROC / "stat").split("\n", 1)[0].split()[1:]]
    tick = os.sysconf("SC_CLK_TCK")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own = sum(use.ru_utime + use.ru_stime for use in used) + cpu_ns(roots) / 1e9
    return Busy(time.monotonic(), sum(fields[:3]) / tick, own, fields[7] / tick if len(fields) > 7 else 0.0)


def others(before: Busy, after: Busy) -> float:
    """Return what others used between two readings, as a share of one CPU; around 0 on a quiet machine."""
    wall = after.wall - before.wall
    return ((after.machine - before.machine) - (after.own - before.own)) / wall if wall > 0 else 0.0


def stolen(before: Busy, after: Busy) -> float:
    """Return what the hypervisor gave to other machines between two readings, as a share of one CPU."""
    wall = after.wall - before.wall
    return (after.stolen - before.stolen) / wall if wall > 0 else 0.0


def machine_facts() -> dict[str, object]:
    """Return what a reader needs to know about the machine; no names and no paths of it."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", _read(PROC / "cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+)", _read(PROC / "meminfo"), re.MULTILINE)
    flags = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_mb": int(memory[1]) // 1024 if memory else None,
        "kernel": ".".join(platform.release().split(".")[:2]),
        "load_average": _read(PROC / "loadavg").split()[:3],
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "python_build": {
            "optimized": "--enable-optimizations" in flags,
            "lto": "--with-lto" in flags,
            "shared_library": "--enable-shared" in flags,
        },
    }


def versions_here(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the named packages that this interpreter would import."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def versions_of(python: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the named packages in another interpreter's environment."""
    code = (
        "import sys\nfrom importlib import metadata\n"
        "for name in sys.argv[1:]:\n try: print(name, metadata.version(name))\n"
        " except metadata.PackageNotFoundError: pass\n"
    )
    command = [str(python), "-c", code, *names]
    out = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return dict(line.split(" ", 1) for line in out.stdout.splitlines())
