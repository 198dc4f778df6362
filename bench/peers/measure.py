"""What a command costs, counted over every process it starts (Linux)."""

import ctypes
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
STRAGGLERS_S = 20.0


@dataclass
class Cost:
    """Cost of a command and everything it started."""

    wall_s: float
    cpu_s: float
    peak_pss_mib: float
    processes: int


def machine() -> str:
    """One line about this machine."""
    info = Path("/proc/cpuinfo").read_text()
    field = lambda name: next(
        line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith(name)
    )
    flags = field("flags").split()
    widest = next((f for f in ("avx512f", "avx2", "sse2") if f in flags), "no vector unit")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{date.today()}, {field('model name')} (family {field('cpu family')}, model "
        f"{field('model')}, {widest}), {os.cpu_count()} CPUs, {memory:.0f} GiB, "
        f"{platform.system()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.2f}"
    )


def measured(command: list[str], env: dict[str, str] | None = None) -> tuple[Cost, str]:
    """Runs `command` to its end and that of its daemons; returns what they cost and its output."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become the reaper of daemons")
    before = children_cpu_s()
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(command, stdout=output, env={**os.environ, **(env or {})})
        peak, seen, status, ended, next_look = 0.0, set(), None, 0.0, began
        while True:
            if (now := time.perf_counter()) >= next_look:
                tree = descendants(os.getpid())
                seen.update(tree)
                peak = max(peak, sum(map(pss_mib, tree)))
                # Looking must not cost more than a twentieth of a processor.
                next_look = now + 20 * (time.perf_counter() - now)
            if status is None:
                status, ended = reap(child.pid), time.perf_counter()
            else:
                reap(None)
                if not descendants(os.getpid()):
                    break
                if time.perf_counter() - ended > STRAGGLERS_S:
                    raise TimeoutError(f"{command[0]} left processes behind: {sorted(tree)}")
            time.sleep(0.005)
        child.returncode = status
        output.seek(0)
        text = output.read()
    if status != 0:
        raise subprocess.CalledProcessError(status, command, text)
    return Cost(ended - began, children_cpu_s() - before, peak, len(seen)), text


def children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def reap(wanted: int | None) -> int | None:
    """Buries what has ended; returns the exit status of `wanted` if it was among it."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == wanted:
            found = os.waitstatus_to_exitcode(status)


def descendants(pid: int) -> set[int]:
    found, open_ = set(), [pid]
    while open_:
        for task in Path(f"/proc/{open_.pop()}/task").glob("*/children"):
            try:
                children = {int(word) for word in task.read_text().split()}
            except OSError:
                continue
            open_.extend(children - found)
            found |= children
    return found


def pss_mib(pid: int) -> float:
    """Memory of a process, shared pages divided among those who share them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def spread(values: list[float], form: str = ".3g") -> str:
    """Median and range."""
    middle = statistics.median(values)
    if len(values) == 1:
        return format(middle, form)
    return f"{middle:{form}} [{min(values):{form}}, {max(values):{form}}]"


def note(*words: object) -> None:
    """A line for whoever watches."""
    print(*words, file=sys.stderr, flush=True)
