"""The supervisor: a small process beside a worker, which starts its jobs and ends them when the worker cannot.

Run as `python -I -S supervisor.py FD PREFIX MARK`. It imports nothing of jobq, so it is small and soon up. It is the
jobs' parent: a job that kills its parent kills no worker. It kills a job's process group at the deadline that the
worker gave last (nobody has renewed the lease), and everything when the worker is gone; that includes processes that
left their group, which come to this process as their new parent. It has a session of its own, so that what kills the
worker's process group leaves it.

Messages come through the socket FD: four bytes of length, then JSON. A process gets this one's environment with what a
`start` says of it, and its output goes to the file descriptor that comes along. {"ready": true} is said first; then
starts are answered in their order. Times are seconds of CLOCK_BOOTTIME. When a process has ended, {"ended": 7, "code":
-9} is told without being asked, the code below 0 where it was a signal. It is reaped no sooner than it is forgotten:
until then nobody else has its number.

    {"do": "start", "command": [...], "env": {...}, "unset": [...], "cwd": "...", "until": 12.5}
                                        (a second file descriptor that comes along is its standard input)
                                        -> {"pid": 7, "until": 12.5, "mark": "..."}, or {"errno": 2, "error": "..."}
    {"do": "keep", "pid": 7, "until": 42.5}   the deadline is later
    {"do": "forget", "pid": 7}          it is killed, with all that it has started, and reaped
    {"do": "adopt", "groups": [[7, 42.5, "..."]]}   what a supervisor before this one started, by pid, deadline and mark
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MARK = "JOBQ_SUPERVISED"
"""The variable by which processes that left their group are known: it begins with PREFIX in all jobs of a worker."""
SET_CHILD_SUBREAPER = 36
KILLED_FIRST = "500"
"""For the kernel when memory is short: jobs go before the worker, and of the jobs the largest."""
SWEEP_SECONDS = 0.05
UNTIDY_SECONDS = 1.0
"""After something was killed: for so long what it leaves behind is looked for."""
MOST_IN_VAIN = 3
"""Sweeps; then what is found is taken to start others faster than it is killed."""
MOST_PASSES = 50
LAST_SECONDS = 5.0
"""After the worker: for processes that start others faster than they are killed."""


@dataclass
class Group:
    """A job's process group, led by its first process."""

    until: float
    mark: str = ""
    is_ours: bool = False
    """And not started by another supervisor, that is no more."""
    is_over: bool = False
    """Its deadline has passed."""
    pidfd: int = -1


@dataclass
class Supervisor:
    worker: socket.socket
    prefix: str
    mark: str
    """Begins the marks of what this one starts; itself it begins with the prefix."""
    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    """What jobs inherit."""
    nothing: int = field(default_factory=lambda: os.open(os.devnull, os.O_RDONLY))
    groups: dict[int, Group] = field(default_factory=dict)
    count: int = 0
    strays: dict[int, set[str]] = field(default_factory=dict)
    """Processes that nobody knows by their environment: with the marks of the jobs that ran when they were found."""
    poll: select.poll = field(default_factory=select.poll)
    pids: dict[int, int] = field(default_factory=dict)
    """By their pidfds: of the processes that have not ended."""
    untidy_until: float = 0.0
    sweep_at: float = float("inf")
    in_vain: int = 0
    """Sweeps in a row that found something to kill."""

    def run(self) -> None:
        self.poll.register(self.worker, select.POLLIN)
        self.say(ready=True)
        while True:
            timeout = min((group.until for group in self.groups.values()), default=float("inf"))
            timeout = min(timeout, self.sweep_at) - now()
            is_told = False
            for file, _ in self.poll.poll(max(0.0, 1000 * timeout) if timeout < float("inf") else None):
                if file == self.worker.fileno():
                    is_told = True
                    if not self.answer():
                        return
                elif file in self.pids:  # or it was just forgotten
                    self.on_end(file)
            if is_told:  # maybe more has come, and a deadline with it, while this process stood still
                continue
            for pid, group in self.groups.items():
                if group.until <= now():
                    group.until, group.is_over = float("inf"), True
                    self.kill(pid, group)
            if now() >= self.sweep_at:
                self.end_strays()

    def answer(self) -> bool:
        """One message; False when the worker is gone."""
        try:
            header, files, _, _ = socket.recv_fds(self.worker, 4, 2, socket.MSG_CMSG_CLOEXEC)
            asked = json.loads(read(self.worker, int.from_bytes(header + read(self.worker, 4 - len(header)), "big")))
        except (EOFError, OSError, ValueError):
            return False
        try:
            getattr(self, "do_" + asked.pop("do"))(*files, **asked)
        finally:
            for file in files:
                os.close(file)
        return True

    def say(self, **answer: object) -> None:
        data = json.dumps(answer).encode()
        with suppress(OSError):  # it is gone: the next message says so
            self.worker.sendall(len(data).to_bytes(4, "big") + data)

    def do_start(
        self,
        output: int,
        *source: int,
        command: list[str],
        env: dict[str, str],
        unset: list[str],
        cwd: str,
        until: float,
    ) -> None:
        self.count += 1
        mark = f"{self.mark}-{self.count}"
        files = [
            (os.POSIX_SPAWN_DUP2, source[0] if source else self.nothing, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, output, 2),
        ]
        whole = {name: value for name, value in self.env.items() if name not in unset} | env | {MARK: mark}
        try:
            os.chdir(cwd)
            pid = os.posix_spawnp(
                command[0], command, whole, file_actions=files, setsid=True, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ]
            )
        except (OSError, ValueError) as error:
            self.say(errno=getattr(error, "errno", None), error=str(error))
            return
        finally:
            os.chdir("/")
        self.say(pid=pid, until=until, mark=mark)
        self.watch(pid, Group(until, mark, is_ours=True))

    def do_keep(self, pid: int, until: float) -> None:
        if pid in self.groups:
            self.groups[pid].until = until

    def do_adopt(self, groups: list[tuple[int, float, str]]) -> None:
        """All else that others have started for this worker is ended."""
        for pid, until, mark in groups:
            self.watch(pid, Group(until, mark))
        kill_marked(self.prefix, but={group.mark for group in self.groups.values()})

    def do_forget(self, pid: int) -> None:
        group = self.groups.pop(pid, None)
        if group is not None:
            self.kill(pid, group)
            if group.pidfd in self.pids:  # it is one more child to be swept up
                self.unwatch(group.pidfd)
            elif group.is_ours:
                os.waitpid(pid, 0)

    def watch(self, pid: int, group: Group) -> None:
        self.groups[pid] = group
        try:
            group.pidfd = os.pidfd_open(pid)
        except OSError:
            self.say(ended=pid, code=None)
            return
        self.pids[group.pidfd] = pid
        self.poll.register(group.pidfd, select.POLLIN)

    def unwatch(self, pidfd: int) -> int:
        self.poll.unregister(pidfd)
        os.close(pidfd)
        return self.pids.pop(pidfd)

    def on_end(self, pidfd: int) -> None:
        pid = self.unwatch(pidfd)
        group = self.groups[pid]
        group.pidfd = -1
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) if group.is_ours else None
        if ended is None:  # its new parent knows
            self.say(ended=pid, code=None)
        else:
            self.say(ended=pid, code=ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status)

    def kill(self, pid: int, group: Group) -> None:
        """What it has started comes here when it is dead, which takes a moment."""
        kill_group(pid)
        self.untidy_until = now() + UNTIDY_SECONDS
        self.sweep_at = min(self.sweep_at, now() + SWEEP_SECONDS)
        if not group.is_ours:
            kill_marked(group.mark)

    def end_strays(self) -> None:
        """Kill what the jobs that have ended left behind: all children that are no jobs and belong to none."""
        live = {group.mark for group in self.groups.values() if not group.is_over}
        found = False
        for pid in children():
            if pid in self.groups:
                continue
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    self.strays.pop(pid, None)
                    continue
            mark = mark_of(pid)
            owners = {mark} if mark.startswith(self.prefix) else self.strays.setdefault(pid, set(live))
            if not owners & live:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                found = True
        self.in_vain = self.in_vain + 1 if found else 0
        if self.in_vain > MOST_IN_VAIN:
            kill_marked(self.prefix, but=live)
        if found:
            self.untidy_until = now() + UNTIDY_SECONDS
        self.sweep_at = now() + SWEEP_SECONDS if now() < self.untidy_until else float("inf")

    def end(self) -> None:
        """Nothing of any job goes on."""
        for pid in self.groups:
            kill_group(pid)
        self.groups.clear()
        deadline = now() + LAST_SECONDS
        while kill_marked(self.prefix) + len(children()) and now() < deadline:
            time.sleep(SWEEP_SECONDS)
            self.end_strays()


def now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read(source: socket.socket, size: int) -> bytes:
    """Raises EOFError."""
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def children() -> list[int]:
    """Of this process; none where the kernel does not tell."""
    with suppress(OSError):
        return [int(pid) for pid in Path("/proc/thread-self/children").read_text().split()]
    return []


def kill_marked(prefix: str, but: Collection[str] = ()) -> int:
    """How many processes of the machine had a mark like that, and were killed.

    All are stopped first, until no pass finds another one: what is stopped starts none, and holds its place where there
    may be only so many.
    """
    stopped: set[int] = set()
    for _ in range(MOST_PASSES):
        found = marked(prefix, but) - stopped
        if not found:
            break
        stopped |= {pid for pid in found if sent(pid, signal.SIGSTOP)}
    return sum(sent(pid, signal.SIGKILL) for pid in stopped)


def marked(prefix: str, but: Collection[str]) -> set[int]:
    marks = {int(name): mark_of(int(name)) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208  # names
    return {pid for pid, mark in marks.items() if mark.startswith(prefix) and mark not in but}


def sent(pid: int, number: signal.Signals) -> bool:
    with suppress(OSError):
        os.kill(pid, number)
        return True
    return False


def mark_of(pid: int) -> str:
    """What the process's environment says, or "" where it cannot be read, or says nothing."""
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if entry.startswith(MARK.encode() + b"="):
                return entry.partition(b"=")[2].decode(errors="replace")
    return ""


def main() -> None:
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(KILLED_FIRST)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # to ignore them would pass on to the jobs
    file, prefix, mark = int(sys.argv[1]), *sys.argv[2:]
    os.set_inheritable(file, False)
    supervisor = Supervisor(socket.socket(fileno=file), prefix, mark)
    try:
        supervisor.run()
    finally:
        supervisor.end()


if __name__ == "__main__":
    main()
