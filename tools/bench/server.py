"""Running a server under a load, on one core, and telling what that took."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

from programs import LOADS, SERVERS

STAGE = pathlib.Path(".build/stage")
PEERS = pathlib.Path("tools/bench/peers")
TICKS = os.sysconf("SC_CLK_TCK")
CORE = max(os.sched_getaffinity(0))


def on_core():
    os.sched_setaffinity(0, {CORE})


def processes_below(pid):
    """The process and all that descend from it and are not gone."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in pathlib.Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def processor_time(pid):
    """What a server has used, in seconds: with its children, alive and reaped, and ended threads."""
    total = 0
    for process in processes_below(pid):
        with contextlib.suppress(OSError):
            # The clock of a process, exact to the nanosecond: clock_getcpuclockid(3).
            total += time.clock_gettime(~process << 3 | 2)
            fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[13]) + int(fields[14])) / TICKS
    return total


def busy_time():
    """How long the core has been busy, with whatever, in seconds."""
    for line in open("/proc/stat"):
        name, *fields = line.split()
        if name == f"cpu{CORE}":
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[:8])
            return (user + nice + system + irq + softirq + steal) / TICKS
    raise RuntimeError("/proc/stat does not know the core")


class Server:
    """A server on the core, in a process group of its own."""

    def __init__(self, name):
        program, *arguments = SERVERS[name]
        path = (PEERS if program.endswith(".py") else STAGE) / program
        self.process = subprocess.Popen([path, *arguments], stdout=subprocess.PIPE, text=True,
                                        preexec_fn=on_core, start_new_session=True)
        self.address = self.process.stdout.readline().removeprefix("listening on ").strip()
        if not self.address:
            self.__exit__()
            raise RuntimeError(f"{name} does not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def load(self, kind, count, prefix=()):
        """Puts a load on it; returns the processor time that the load took itself, in seconds."""
        done = subprocess.run([*prefix, STAGE / "load", "--connect", self.address, "--count",
                               str(count), *LOADS[kind]], preexec_fn=on_core, check=True,
                              stdout=subprocess.PIPE, text=True, timeout=120)
        return int(done.stdout.split()[-5]) / 1e6

    def warm_up(self, kind, seconds):
        """Makes threads, stacks and ports that are used again; returns how much to do in a time."""
        self.load(kind, 200)
        begin = time.monotonic()
        self.load(kind, 500)
        return max(500, int(500 / (time.monotonic() - begin) * seconds))


def measure(name, kind, seconds):
    """Microseconds of processor time an operation, and the share of the core that others took."""
    with Server(name) as server:
        count = server.warm_up(kind, seconds)
        wall, busy = time.monotonic(), busy_time()
        before = processor_time(server.process.pid)
        load = server.load(kind, count)
        used = processor_time(server.process.pid) - before
        wall, busy = time.monotonic() - wall, busy_time() - busy
        return used / count * 1e6, max(0.0, (busy - used - load) / wall)


def system_calls(name, kind):
    """System calls an operation, as the kernel counts them; None where perf is refused."""
    count = 4000
    with Server(name) as server:
        server.warm_up(kind, 0)
        # A child that ends meanwhile makes perf give up.
        for _ in range(5):
            pids = ",".join(map(str, processes_below(server.process.pid)))
            counted = subprocess.run(
                ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", pids, "--",
                 STAGE / "load", "--connect", server.address, "--count", str(count), *LOADS[kind]],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=120)
            number = counted.stderr.split(",")[0]
            if counted.returncode == 0 and number.isdigit():
                return int(number) / count
    return None
