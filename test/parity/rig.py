# Copyright (c) the socketserver authors
# Distributed under the Boost Software License, Version 1.0.
# (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)
"""What scenarios are made of: probes that run, and clients that talk to them."""
import itertools
import os
import queue
import socket
import subprocess
import threading
import time

STRATEGIES = ("pool", "prefork", "coroutine")  # those that Python has not
command = []  # what starts a probe
folder = None  # where Unix sockets are made
scenarios = []
numbers = itertools.count()  # of paths
playing = threading.local()  # .strategy: in place of the scenario's own


def scenario(transport="tcp", **others):
    """Add a function to the scenarios, with the transport that a probe needs to have for it.

    others says what is different when the scenario is played with another strategy: a dict or a
    list of what is then seen instead, or a text that says why it is not played.  A dict replaces
    its keys only, and so do the dicts in it.
    """

    def add(f):
        f.transport = transport
        f.others = others
        scenarios.append(f)
        return f

    assert set(others) <= set(STRATEGIES)
    return add


# Why a scenario is not played with another strategy.
ABOUT_ITS_OWN = "it is about its own strategy"
REFUSED = "handle_request() is not for a server whose workers take the requests"
BLOCKS = "a handler that sleeps blocks the one thread, and with it what is measured"
ITS_OWN = dict.fromkeys(STRATEGIES, ABOUT_ITS_OWN)
ALL_THE_SAME = dict.fromkeys(STRATEGIES, "the strategy has no part in it")


class Probe:
    """A running probe."""

    def __init__(self, *arguments):
        arguments = list(arguments)
        if getattr(playing, "strategy", None):
            if "--strategy" in arguments:
                i = arguments.index("--strategy")
                del arguments[i : i + 2]
            arguments += ["--strategy", playing.strategy]
        # Python's own buffering of standard output is a part of what is compared.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
        self.process = subprocess.Popen(
            command + arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        self.answers = queue.Queue()  # READY, FAIL and DONE lines
        self.trace = []  # T lines, without the T
        self.other = []  # all other lines
        self.log = b""
        self.heard = time.monotonic()
        threading.Thread(target=self._read_output, daemon=True).start()
        threading.Thread(target=self._read_log, daemon=True).start()
        self.first = self.answer()
        self.address = None
        if self.first.startswith("READY"):
            words = self.first.split(" ")[1:]
            self.address = (words[0], int(words[1])) if len(words) == 2 else words[0]

    def _read_output(self):
        for line in self.process.stdout:
            line = line.decode("latin-1").rstrip("\n")
            self.heard = time.monotonic()
            if line.startswith("T "):
                self.trace.append(line[2:])
            elif line.split(" ")[0] in ("READY", "FAIL", "DONE"):
                self.answers.put(line)
            else:
                self.other.append(line)
        self.answers.put("EOF")

    def _read_log(self):
        for line in self.process.stderr:
            self.log += line

    def answer(self, patience=10):
        try:
            return self.answers.get(timeout=patience)
        except queue.Empty:
            return "TIMEOUT"

    def send(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def do(self, line):
        """Have a command carried out; return how many milliseconds it took, and its detail."""
        self.send(line)
        answer = self.answer()
        if not answer.startswith("DONE"):
            raise RuntimeError(f"{line}: {answer}")
        words = answer.split(" ", 3)
        return int(words[2]), (words[3] if len(words) > 3 else "")

    def took(self, line):
        return how_long(self.do(line)[0])

    def tell(self, line):
        return self.do(line)[1]

    def settle(self):
        """Wait until nothing more is reported; for longer where a request is not over."""
        began = time.monotonic()
        patience = 0.15
        while time.monotonic() - max(began, self.heard) < patience:
            time.sleep(0.02)
            is_open = self.trace.count("get_request") > self.trace.count("shutdown_request")
            patience = 2 if is_open else 0.15

    def events(self, *prefixes):
        return [event for event in self.trace if event.startswith(prefixes)]

    def end(self):
        """End the probe; it is an error if it was not in good order."""
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            status = self.process.wait(1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return
        if status not in (0, 9 if self.address is None else 0):
            raise RuntimeError(f"the probe ended with status {status}: {self.log.decode()}")
        if b"Sanitizer" in self.log or b"runtime error:" in self.log:
            raise RuntimeError("a sanitizer complained: " + self.log.decode())


class started:
    """A probe for the time of a with block, serving unless told otherwise."""

    def __init__(self, *arguments, serve=True):
        self.arguments = arguments
        self.serve = serve

    def __enter__(self):
        self.probe = Probe(*self.arguments)
        if self.serve and self.probe.address:
            self.probe.do("serve")
            time.sleep(0.05)
        return self.probe

    def __exit__(self, *_):
        self.probe.end()


def client(address, kind, patience):
    if isinstance(address, str):
        family = socket.AF_UNIX
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    s = socket.socket(family, kind)
    s.settimeout(patience)
    return s


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def connect(address, patience=5.0):
    s = client(address, socket.SOCK_STREAM, patience)
    s.connect(address)
    return s


def send(address, text):
    """Connect and send; return the connection."""
    s = connect(address)
    s.sendall(text)
    return s


def read_all(s):
    """Read to the end; return the text, and how it ended."""
    text = b""
    while True:
        try:
            piece = s.recv(65536)
        except socket.timeout:
            return [text.decode("latin-1"), "open"]
        except OSError as e:
            return [text.decode("latin-1"), type(e).__name__]
        if not piece:
            return [text.decode("latin-1"), "eof"]
        text += piece


def ask(address, text, patience=5.0):
    """Connect, send, and read to the end."""
    with connect(address, patience) as s:
        try:
            s.sendall(text)
        except OSError:
            pass  # closed already: what can still be read counts
        return read_all(s)


def ask_by_datagram(address, text, patience=2.0, named=True, is_over=lambda: False):
    """Send a datagram and return the reply; None if none came, or none will: it is over."""
    name = None
    with client(address, socket.SOCK_DGRAM, 0.02) as s:
        if isinstance(address, str) and named:
            name = new_path()
            s.bind(name)
        try:
            s.sendto(text, address)
            end = time.monotonic() + patience
            last = False
            while not last:
                # What was sent before it was over is here by now.
                last = is_over() or time.monotonic() > end
                try:
                    return s.recv(65536).decode("latin-1")
                except socket.timeout:
                    pass
            return None
        finally:
            if name:
                os.unlink(name)


def new_path():
    return os.path.join(folder, f"s{next(numbers)}")


def how_long(ms):
    for limit, name in ((100, "<100ms"), (350, "100-350ms"), (700, "350-700ms")):
        if ms < limit:
            return name
    return ">700ms"


class stopwatch:
    def __init__(self):
        self.began = time.monotonic()

    def took(self):
        return how_long(1000 * (time.monotonic() - self.began))


def zombies(parent):
    """How many children of a process have ended and were not waited for."""
    n = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as f:
                state, its_parent = f.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        n += state == "Z" and its_parent == str(parent)
    return n
