#!/usr/bin/env python3
# Copyright (c) the socketserver authors
# Distributed under the Boost Software License, Version 1.0.
# (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)
"""Puts a probe through scenarios and compares what was seen with what is expected.

A probe is a server program that keeps to the contract in README.md beside this file.  A scenario
starts one or more, talks to them as a client and by the commands of the contract, and returns what
it saw; it judges nothing.  The last line of the output is MATCH and how many scenarios saw what the
file of --expect says; the exit status is 0 if all did, and there was one.
"""
import argparse
import concurrent.futures
import itertools
import json
import os
import queue
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
STRATEGIES = ("pool", "prefork", "coroutine")  # what --also can ask for
command = []  # what starts a probe
folder = None  # where Unix sockets are made
scenarios = []
numbers = itertools.count()  # of paths
playing = threading.local()  # .strategy: in place of the scenario's own


def scenario(transport="tcp", **others):
    """Add a function to the scenarios, with the transport that a probe needs to have for it.

    others says what is different when the scenario is played with another strategy: a dict or a
    list of what is then seen instead, or a text that says why it is not played.  A dict replaces
    its keys only.
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
        """Wait until nothing more is reported."""
        began = time.monotonic()
        while time.monotonic() - max(began, self.heard) < 0.15:
            time.sleep(0.02)

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


def ask_by_datagram(address, text, patience=2.0, named=True):
    """Send a datagram and return the reply; None if none came."""
    name = None
    with client(address, socket.SOCK_DGRAM, patience) as s:
        if isinstance(address, str) and named:
            name = new_path()
            s.bind(name)
        try:
            s.sendto(text, address)
            return s.recv(65536).decode("latin-1")
        except socket.timeout:
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


# ---------------------------------------------------------------- the pipeline


@scenario()
def c01_construct_and_one_request_order():
    """Every step, in order."""
    with started("--trace") as s:
        reply = ask(s.address, b"echo hi\n")
        s.settle()
        return {"reply": reply, "trace": list(s.trace)}


@scenario(prefork={"reply": ["same\n", "eof"]}, coroutine={"reply": ["same\n", "eof"]})
def c02_thread_order_reply():
    """The same steps, whatever their order; the handler runs in another thread."""
    with started("--strategy", "thread", "--trace") as s:
        reply = ask(s.address, b"tid\n")
        s.settle()
        steps = s.trace[2:]
        return {
            "reply": reply,
            "set": sorted(steps),
            "n_shutdown": steps.count("shutdown_request"),
            "n_close": steps.count("close_request"),
        }


@scenario(**ITS_OWN)
def c03_fork_order():
    """The parent closes the request too, but does not shut it down."""
    with started("--strategy", "fork", "--trace") as s:
        reply = ask(s.address, b"pid\n")
        s.settle()
        steps = s.trace[2:]
        return {
            "reply": reply,
            "n_shutdown": steps.count("shutdown_request"),
            "n_close": steps.count("close_request"),
            "finish": steps.count("finish"),
            "process_request_return": steps.count("process_request_return"),
        }


@scenario(
    pool=[["other\n", "eof"], ["same\n", "eof"]],
    prefork=[["same\n", "eof"], ["other\n", "eof"]],
)
def c04_same_thread_sync():
    """A synchronous server handles a request in the loop's thread and process."""
    with started() as s:
        return [ask(s.address, b"tid\n"), ask(s.address, b"pid\n")]


# ---------------------------------------------------------------- what fails, and what then


@scenario()
def c05_verify_false():
    """A client that is not let in sees the end at once."""
    with started("--deny", "--trace") as s:
        seen = read_all(connect(s.address))
        s.settle()
        return {"client": seen, "trace": s.trace[2:]}


def connect_with_failing(point):
    with started("--inject", point, "--trace") as s:
        seen = read_all(connect(s.address, 2))
        s.settle()
        return {
            "client": seen,
            "trace": s.trace[2:],
            "loop": s.tell("join 0.5"),
            "ret": list(s.other),
        }


@scenario()
def c07_verify_raises():
    return connect_with_failing("verify")


@scenario()
def c08_process_raises():
    return connect_with_failing("process")


@scenario()
def c10_get_request_raises():
    return connect_with_failing("get_request")


@scenario()
def c11_setup_raises():
    """Without a setup() there is no finish()."""
    return connect_with_failing("setup")


@scenario()
def c12_handle_raises():
    """finish() is called, what was written arrives, and the next client is served."""
    with started("--trace") as s:
        seen = ask(s.address, b"raise-after got\n")
        s.settle()
        steps = s.trace[2:]
        return {"client": seen, "trace": steps, "next": ask(s.address, b"echo next\n")}


@scenario()
def c14_handle_error_raises_sync():
    with started("--inject", "handle_error", "--trace") as s:
        seen = ask(s.address, b"raise x\n", 1)
        s.settle()
        return {
            "client": seen,
            "trace": s.trace[2:],
            "loop": s.tell("join 0.5"),
            "ret": list(s.other),
        }


@scenario()
def c19_service_actions_raises():
    with started("--inject", "service", "--poll", "0.05") as s:
        return {"loop": s.tell("join 1"), "ret": list(s.other)}


# ---------------------------------------------------------------- starting and stopping


@scenario()
def c20_shutdown_idle_latency():
    """How long shutdown() of an idle server takes, by its poll interval."""
    seen = []
    for poll in ("0.5", "0.05"):
        with started("--poll", poll) as s:
            seen.append([poll, s.took("shutdown"), s.tell("join 1"), list(s.other)])
    return seen


@scenario()
def c21_shutdown_before_serve():
    with started(serve=False) as s:
        s.do("ashutdown")
        time.sleep(0.3)
        before = "ASHUTDOWN returned" in s.other
        s.do("serve")
        loop = s.tell("join 0.3")
        s.settle()
        return {
            "returned_before_serve": before,
            "serve_returned_at_once": loop == "dead",
            "returned_after": "ASHUTDOWN returned" in s.other,
        }


@scenario()
def c22_shutdown_after_loop_ended_is_sticky():
    """A shutdown() too many ends the next loop at once, and only that one."""
    with started("--poll", "0.05") as s:
        s.do("shutdown")
        second = s.took("shutdown")
        s.do("serve")
        then = s.tell("join 0.5")
        s.do("serve")
        return {"second": second, "next_serve": then, "third_serve": s.tell("join 0.3")}


@scenario()
def c25_connect_after_close():
    with started("--poll", "0.05") as s:
        s.do("shutdown")
        s.do("close")
        try:
            connect(s.address, 1)
            seen = "connected"
        except OSError as e:
            seen = type(e).__name__
        return {"connect": seen, "fileno": s.tell("fileno")}


@scenario()
def c26_close_while_serving():
    """server_close() without shutdown(): whether the loop ends, or turns without end."""
    with started("--poll", "0.2") as s:
        s.do("close")
        time.sleep(0.3)
        used, turns = int(s.tell("cpu")), int(s.tell("loops"))
        time.sleep(0.5)
        used, turns = int(s.tell("cpu")) - used, int(s.tell("loops")) - turns
        return {
            "loop": s.tell("join 0.05"),
            "busy_loop": used > 100,
            "iterations_in_0.5s": ">1000" if turns > 1000 else turns,
            "shutdown": s.took("shutdown"),
        }


@scenario()
def c27_shutdown_from_handler_sync():
    """shutdown() from the thread that it would wait for."""
    with started("--poll", "0.05") as s:
        return {"client": ask(s.address, b"shutdown-here\n", 1), "loop": s.tell("join 0.5")}


@scenario(prefork=REFUSED)
def c29_handle_request_timeout():
    with started("--timeout", "0.2", "--trace", serve=False) as s:
        took = s.took("handle")
        s.settle()
        return {"t": took, "trace": s.trace[2:]}


@scenario(prefork=REFUSED)
def c30_handle_request_one():
    """handle_request() serves one client and leaves the next; service_actions() has no part."""
    with started(serve=False) as s:
        one, two = send(s.address, b"echo 1\n"), send(s.address, b"echo 2\n")
        two.settimeout(0.5)
        s.do("handle")
        return {"1": read_all(one), "2": read_all(two), "service_calls": s.tell("loops")}


@scenario(prefork="the workers call service_actions() after a request")
def c32_service_actions_rate():
    """service_actions() is called after every wait, one that brought nothing too."""
    with started("--poll", "0.1") as s:
        began = int(s.tell("loops"))
        time.sleep(1)
        idle = int(s.tell("loops")) - began
        began += idle
        for _ in range(5):
            ask(s.address, b"echo x\n")
            time.sleep(0.02)
        time.sleep(0.15)
        busy = int(s.tell("loops")) - began
        return {
            "idle_1s_at_0.1": "8..11" if 8 <= idle <= 11 else idle,
            "after_5_requests_at_least": ">=5" if busy >= 5 else busy,
        }


@scenario(**ITS_OWN)
def c84_shutdown_waits_for_sync_request():
    with started("--poll", "0.05") as s:
        busy = send(s.address, b"sleep 0.65 A\n")
        time.sleep(0.1)
        return {"shutdown": s.took("shutdown"), "A": read_all(busy)}


@scenario(prefork={"handler_threads_left": "0"}, coroutine=BLOCKS)
def c85_shutdown_does_not_wait_for_threads():
    with started("--strategy", "thread", "--poll", "0.05") as s:
        busy = send(s.address, b"sleep 0.5 A\n")
        time.sleep(0.1)
        took = s.took("shutdown")
        left = s.tell("threads")
        return {"shutdown": took, "handler_threads_left": left, "A": read_all(busy)}


@scenario(**ITS_OWN)
def c89_fork_shutdown_when_children_are_full():
    with started("--strategy", "fork", "--max-children", "1", "--poll", "0.05") as s:
        busy = send(s.address, b"sleep 0.65 A\n")
        time.sleep(0.1)
        return {"shutdown": s.took("shutdown"), "A": read_all(busy)}


# ---------------------------------------------------------------- several requests at once


@scenario(**ITS_OWN)
def c34_sync_serializes():
    with started() as s:
        send(s.address, b"sleep 0.6 A\n")
        time.sleep(0.05)
        watch = stopwatch()
        reply = ask(s.address, b"echo B\n")
        return {"B_waited": watch.took(), "r": reply}


@scenario(coroutine=BLOCKS)
def c35_thread_parallel():
    with started("--strategy", "thread") as s:
        busy = send(s.address, b"sleep 0.4 A\n")
        time.sleep(0.05)
        watch = stopwatch()
        reply = ask(s.address, b"echo B\n")
        return {"B_waited": watch.took(), "r": reply, "A": read_all(busy)}


@scenario(coroutine=BLOCKS)
def c37_close_waits_for_threads():
    with started("--strategy", "thread", "--poll", "0.05") as s:
        busy = send(s.address, b"sleep 0.65 A\n")
        time.sleep(0.1)
        s.do("shutdown")
        return {"close": s.took("close"), "A": read_all(busy)}


# Only threads of the threading strategy can be daemons.
NO_DAEMONS = [
    ["--block-on-close", "<100ms", ["A\n", "eof"]],
    ["--daemon-threads", "350-700ms", ["A\n", "eof"]],
]


@scenario(pool=NO_DAEMONS, prefork=NO_DAEMONS, coroutine=BLOCKS)
def c38_close_nowait():
    """Either attribute alone makes server_close() return; the request goes on."""
    seen = []
    for option in (("--block-on-close", "0"), ("--daemon-threads", "1")):
        with started("--strategy", "thread", "--poll", "0.05", *option) as s:
            busy = send(s.address, b"sleep 0.5 A\n")
            time.sleep(0.1)
            s.do("shutdown")
            seen.append([option[0], s.took("close"), read_all(busy)])
    return seen


@scenario()
def c39_close_blocks_on_idle_client():
    with started("--strategy", "thread", "--poll", "0.05") as s:
        idle = connect(s.address)
        time.sleep(0.1)
        s.do("shutdown")
        s.send("close")
        early = s.answer(1)
        idle.close()
        return {"within_1s": early, "after_client_left": s.answer(2).split()[:2]}


@scenario(**ITS_OWN)
def c41_fork_max_children_blocks_loop():
    """With two children at most, the third client waits for one of them."""
    with started("--strategy", "fork", "--max-children", "2", "--poll", "0.05") as s:
        send(s.address, b"sleep 0.7 A\n")
        send(s.address, b"sleep 0.7 B\n")
        time.sleep(0.15)
        watch = stopwatch()
        reply = ask(s.address, b"echo C\n")
        return {"C_waited": watch.took(), "r": reply}


@scenario(pool=ABOUT_ITS_OWN, prefork={"active": "8"}, coroutine=ABOUT_ITS_OWN)
def c42_fork_reap():
    """The loop collects the children that have ended."""
    with started("--strategy", "fork", "--poll", "0.05") as s:
        for _ in range(5):
            ask(s.address, b"echo x\n")
        time.sleep(0.25)
        return {"active": s.tell("children"), "zombies": zombies(s.process.pid)}


@scenario(pool=ABOUT_ITS_OWN, prefork=REFUSED, coroutine=ABOUT_ITS_OWN)
def c43_fork_handle_request_zombies():
    """Who collects the children where nobody calls service_actions()."""
    with started("--strategy", "fork", serve=False) as s:
        for _ in range(3):
            with send(s.address, b"echo x\n") as c:
                s.do("handle")
                read_all(c)
            time.sleep(0.05)
        time.sleep(0.1)
        seen = {
            "zombies_before_close": zombies(s.process.pid),
            "active_before": s.tell("children"),
        }
        s.do("close")
        seen["zombies_after_close"] = zombies(s.process.pid)
        seen["active_after"] = s.tell("children")
        return seen


@scenario(pool=ABOUT_ITS_OWN, coroutine=ABOUT_ITS_OWN)
def c46_fork_child_stdio_lost():
    """A child leaves without flushing the standard output that it shares with its parent."""
    with started("--strategy", "fork") as s:
        seen = ask(s.address, b"print hello-from-child\n")
        s.settle()
        return {"client": seen, "seen": "hello-from-child" in s.other}


@scenario()
def c82_burst_50_thread():
    """Fifty clients that connect at the same moment."""
    with started("--strategy", "thread") as s:
        clients = []
        for _ in range(50):
            c = socket.socket()
            c.setblocking(False)
            c.connect_ex(s.address)
            clients.append(c)
        answered = 0
        for c in clients:
            c.settimeout(6)
            try:
                c.sendall(b"echo b\n")
                answered += read_all(c) == ["b\n", "eof"]
            except OSError:
                pass
        return {"answered": answered}


@scenario()
def c87_interleaved_conversations():
    with started("--strategy", "thread") as s:
        clients = [send(s.address, b"lines\n") for _ in range(5)]
        good = 0
        for turn in range(20):
            for i, c in enumerate(clients):
                line = b"%d-%d\n" % (i, turn)
                c.sendall(line)
                echo = b""
                while not echo.endswith(b"\n"):
                    echo += c.recv(100)
                good += echo == line
        for c in clients:
            c.shutdown(socket.SHUT_WR)
        return {
            "round_trips_ok": good,
            "eofs": sum(read_all(c) == ["", "eof"] for c in clients),
        }


# ---------------------------------------------------------------- streams


@scenario()
def c47_big_write():
    """Eight megabytes to a client that is late in reading them."""
    with started("--strategy", "thread") as s:
        c = send(s.address, b"big 8000000\n")
        time.sleep(0.2)
        text, end = read_all(c)
        return [len(text), end]


@scenario()
def c48_unbuffered_write_immediate_vs_buffered():
    """When a reply arrives, by the size of the buffer that it is written to."""
    seen = {}
    for size in ("0", "-1"):
        with started("--strategy", "thread", "--wbuf", size) as s:
            c = send(s.address, b"lines\none\n")
            c.settimeout(0.4)
            try:
                early = c.recv(100).decode()
            except socket.timeout:
                early = "nothing"
            c.shutdown(socket.SHUT_WR)
            c.settimeout(2)
            seen["wbuf=" + size] = [early, read_all(c)]
    return seen


@scenario()
def c50_handler_timeout():
    """A handler with a time limit, and a client that says nothing."""
    with started("--handler-timeout", "0.2", "--trace") as s:
        watch = stopwatch()
        seen = read_all(connect(s.address, 2))
        took = watch.took()
        s.settle()
        return {
            "client": seen,
            "after": took,
            "trace": s.events("handle", "finish", "shutdown", "close"),
        }


@scenario()
def c52_client_resets_during_write():
    with started("--strategy", "thread", "--trace") as s:
        c = connect(s.address)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.sendall(b"big 8000000\n")
        time.sleep(0.2)
        c.close()
        s.settle()
        return {
            "err": s.events("handle_error"),
            "finish": s.trace.count("finish"),
            "next": ask(s.address, b"echo n\n"),
        }


@scenario()
def c54_eof_before_data():
    with started() as s:
        c = connect(s.address)
        c.shutdown(socket.SHUT_WR)
        return read_all(c)


@scenario()
def c91_partial_line_then_eof():
    with started() as s:
        c = send(s.address, b"echo abc")
        c.shutdown(socket.SHUT_WR)
        return read_all(c)


@scenario()
def c92_long_line():
    with started("--strategy", "thread") as s:
        return ask(s.address, b"len " + b"a" * 1000000 + b"\n")


# ---------------------------------------------------------------- limits of the system


@scenario(**ALL_THE_SAME)
def c57_backlog():
    """How many clients can connect while nobody accepts."""
    with started(serve=False) as s:
        completed = 0
        clients = [client(s.address, socket.SOCK_STREAM, 0.3) for _ in range(10)]
        for c in clients:
            try:
                c.connect(s.address)
                completed += 1
            except OSError:
                pass
        return {"completed_of_10": completed}


@scenario("unix-stream", **ALL_THE_SAME)
def c58_backlog_unix():
    path = new_path()
    with started("--family", "unix", "--path", path, serve=False):
        completed = 0
        errors = set()
        clients = [client(path, socket.SOCK_STREAM, 0) for _ in range(10)]
        for c in clients:
            try:
                c.connect(path)
                completed += 1
            except OSError as e:
                errors.add(type(e).__name__)
        return {"completed_of_10": completed, "errs": sorted(errors)}


@scenario(prefork="ten descriptors are too few for eight workers")
def c59_emfile():
    """No descriptor is left for the next client, until the others have gone."""
    with started("--strategy", "thread", "--nofile", "10", "--poll", "0.2") as s:
        clients = [client(s.address, socket.SOCK_STREAM, 0.3) for _ in range(8)]
        for c in clients:
            try:
                c.connect(s.address)
            except OSError:
                pass
        time.sleep(0.2)
        turns = int(s.tell("loops"))
        time.sleep(0.3)
        turns = int(s.tell("loops")) - turns
        loop = s.tell("join 0.05")
        for c in clients:
            c.close()
        time.sleep(0.3)
        return {
            "spins": turns > 500,
            "loop": loop,
            "recovers": ask(s.address, b"echo back\n"),
            "stderr_bytes": len(s.log),
        }


@scenario()
def c96_stop_cont():
    """A server that was suspended for a while."""
    with started() as s:
        os.kill(s.process.pid, signal.SIGSTOP)
        time.sleep(0.1)
        os.kill(s.process.pid, signal.SIGCONT)
        return {"r": ask(s.address, b"echo x\n"), "loop": s.tell("join 0.05")}


# ---------------------------------------------------------------- addresses


@scenario()
def c60_port0_and_addr():
    with started() as s:
        host, port = ask(s.address, b"saddr\n")[0].split()
        return {"port_matches": int(port) == s.address[1], "host": host}


@scenario()
def c62_rebind_time_wait():
    """Binding again the port of connections that this side has closed."""
    seen = []
    for reuse in ("0", "1"):
        with started("--poll", "0.05", "--reuse-addr", reuse) as s:
            with send(s.address, b"echo x\n") as c:
                read_all(c)
            time.sleep(0.05)
            s.do("shutdown")
            s.do("close")
            port = str(s.address[1])
            with started("--port", port, "--reuse-addr", reuse, serve=False) as again:
                words = again.first.split()
                failed = words[0] == "FAIL"
                seen.append([reuse, words[:2], words[-1]] if failed else [reuse, "READY", ""])
    return seen


@scenario(**ALL_THE_SAME)
def c63_bad_port():
    seen = []
    for port in ("-1", "70000"):
        with started("--port", port) as s:
            seen.append(s.first)
    return seen


@scenario(**ALL_THE_SAME)
def c79_no_activate():
    with started("--no-activate", "--trace", serve=False) as s:
        s.settle()
        return {"first": s.first.split()[0], "trace": list(s.trace)}


@scenario("unix-stream")
def c67_unix_stream():
    """What addresses look like, and what becomes of the socket's file."""
    path = new_path()
    with started("--family", "unix", "--path", path, "--poll", "0.05") as s:
        theirs = ask(path, b"addr\n")
        ours = ask(path, b"saddr\n")[0].strip()
        s.do("shutdown")
        s.do("close")
        left = os.path.exists(path)
        with started("--family", "unix", "--path", path, serve=False) as again:
            return {
                "client_address": theirs,
                "server_address_is_path": ours == repr(path),
                "path_left_after_close": left,
                "rebind": again.first,
            }


@scenario("unix-stream")
def c80_nodelay_unix():
    """An option that only TCP has, asked for on a Unix socket."""
    path = new_path()
    with started("--family", "unix", "--path", path, "--nodelay", "--trace") as s:
        text, end = ask(path, b"echo x\n", 1)
        s.settle()
        return {"no_data": text == "" and end != "open", "trace": s.trace[2:]}


# ---------------------------------------------------------------- datagrams


@scenario("udp")
def c70_udp_echo():
    """Every step, in order."""
    with started("--type", "dgram", "--trace") as s:
        reply = ask_by_datagram(s.address, b"echo hi\n")
        s.settle()
        return {"r": reply, "trace": list(s.trace)}


@scenario("udp")
def c71_udp_silent():
    """A handler that writes nothing."""
    with started("--type", "dgram") as s:
        return {"reply": ask_by_datagram(s.address, b"silent\n")}


@scenario("udp")
def c72_udp_raise_still_replies():
    with started("--type", "dgram", "--trace") as s:
        reply = ask_by_datagram(s.address, b"raise-after got\n")
        s.settle()
        steps = s.trace[1 : s.trace.index("handle_error ValueError") + 1]
        return {"r": reply, "trace": steps, "next": ask_by_datagram(s.address, b"echo next\n")}


@scenario("udp")
def c73_udp_truncation():
    with started("--type", "dgram") as s:
        large = ask_by_datagram(s.address, b"packlen\n" + b"x" * 9000)
        small = ask_by_datagram(s.address, b"packlen\n" + b"x" * 100)
    with started("--type", "dgram", "--max-packet", "16") as s:
        limited = ask_by_datagram(s.address, b"packlen\n" + b"y" * 100)
    return {"9008 bytes": large, "108 bytes": small, "max_packet=16": limited}


@scenario("udp", coroutine=BLOCKS)
def c76_udp_thread_close_inflight():
    """server_close() while a reply is on its way."""
    with started("--type", "dgram", "--strategy", "thread", "--poll", "0.05", "--trace") as s:
        c = client(s.address, socket.SOCK_DGRAM, 1)
        c.sendto(b"sleep 0.4 late\n", s.address)
        time.sleep(0.1)
        s.do("shutdown")
        took = s.took("close")
        try:
            reply = c.recv(100).decode()
        except socket.timeout:
            reply = "TimeoutError"
        return {"reply": reply, "close": took, "err": s.events("handle_error")}


@scenario("unix-datagram")
def c77_unixgram():
    """A client without a name cannot be answered."""
    path = new_path()
    with started("--family", "unix", "--type", "dgram", "--path", path, "--trace") as s:
        named = ask_by_datagram(path, b"echo hi\n")
        unnamed = ask_by_datagram(path, b"echo hi\n", 0.4, named=False)
        s.settle()
        return {
            "bound_client": named,
            "unbound_client": unnamed,
            "err": s.events("handle_error"),
            "next": ask_by_datagram(path, b"echo n\n"),
        }


@scenario("udp")
def c94_udp_max():
    """The largest datagram, and one that is too large."""
    seen = {}
    with started("--type", "dgram", "--max-packet", "65536") as s:
        seen["in_65507"] = ask_by_datagram(s.address, b"packlen\n" + b"x" * (65507 - 8))
    with started("--type", "dgram", "--trace") as s:
        seen["out_60000"] = len(ask_by_datagram(s.address, b"big 60000\n") or "")
        seen["out_70000"] = ask_by_datagram(s.address, b"big 70000\n", 0.5)
        s.settle()
        seen["err"] = s.events("handle_error")
        seen["next"] = ask_by_datagram(s.address, b"echo n\n")
    return seen


# ---------------------------------------------------------------- the comparison


def matches(want, got):
    """Compare; want may contain {"$le": n}, {"$ge": n}, {"$prefix": text} and {"$any": true}."""
    if isinstance(want, dict) and len(want) == 1 and next(iter(want)).startswith("$"):
        operator, value = next(iter(want.items()))
        if operator == "$any":
            return True
        if operator == "$prefix":
            return isinstance(got, str) and got.startswith(value)
        if not isinstance(got, (int, float)):
            return False
        return got <= value if operator == "$le" else got >= value
    if isinstance(want, dict):
        return (
            isinstance(got, dict)
            and want.keys() == got.keys()
            and all(matches(want[k], got[k]) for k in want)
        )
    if isinstance(want, list):
        return isinstance(got, list) and len(want) == len(got) and all(map(matches, want, got))
    return want == got


def with_strategy(strategy, f, wanted):
    """Return what a scenario is to see with another strategy."""
    instead = f.others.get(strategy)
    return {**wanted, **instead} if isinstance(instead, dict) else instead or wanted


def without_return(seen):
    """Leave out when process_request returned: at any time, where others run the request."""
    if isinstance(seen, dict):
        return {k: without_return(v) for k, v in seen.items()}
    if isinstance(seen, list):
        return [without_return(v) for v in seen if v != "process_request_return"]
    return seen


def play(f, strategy=None):
    """Return what a scenario saw, in the form in which it is compared."""
    playing.strategy = strategy
    try:
        return json.loads(json.dumps(f()))
    except Exception as e:
        return {"exception": f"{type(e).__name__}: {e}"}


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", help="the probe's command line; by default Python's own")
    parser.add_argument("--expect", help="what is to be seen: target.json or python.json")
    parser.add_argument("--json", help="where to write what was seen")
    parser.add_argument("--only", nargs="+", help="the scenarios whose names begin so")
    parser.add_argument("--skip", nargs="+", default=[], help="not those whose names begin so")
    parser.add_argument(
        "--transports",
        nargs="+",
        choices=sorted({f.transport for f in scenarios}),
        help="the scenarios of these transports; by default all",
    )
    parser.add_argument(
        "--also",
        nargs="+",
        choices=STRATEGIES,
        default=[],
        help="once more with these strategies, where that means something",
    )
    parser.add_argument("--jobs", type=int, default=1, help="scenarios to play at once")
    return parser.parse_args()


def is_chosen(f, options):
    return (
        not options.only or f.__name__.startswith(tuple(options.only))
    ) and not f.__name__.startswith(tuple(options.skip))


def main():
    global command, folder
    options = arguments()
    reference = shlex.join([sys.executable, os.path.join(HERE, "reference_probe.py")])
    command = shlex.split(options.server or reference)

    # What is played, by name: a scenario with its own strategies, or with another.
    plays = {}
    left_out = []
    for strategy in (None, *options.also):
        for f in scenarios:
            name = f.__name__ + (f" ({strategy})" if strategy else "")
            if not is_chosen(f, options):
                continue
            if options.transports and f.transport not in options.transports:
                left_out.append(f"{name}: {f.transport}")
            elif isinstance(f.others.get(strategy), str):
                left_out.append(f"{name}: {f.others[strategy]}")
            else:
                plays[name] = f, strategy
    folder = tempfile.mkdtemp(prefix="parity-")
    seen = {}
    try:
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            playing_now = {name: pool.submit(play, *what) for name, what in plays.items()}
            for name, result in playing_now.items():
                seen[name] = result.result()
                print(name, json.dumps(seen[name]), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        with open(options.json, "w") as out:
            json.dump(seen, out, indent=1, sort_keys=True)
            out.write("\n")
    for name in left_out:
        print("LEFT OUT", name)
    if not options.expect:
        return 0

    with open(options.expect) as expectations:
        expected = json.load(expectations)
    # An expectation that no scenario meets is one that somebody forgot.
    names = {f.__name__ for f in scenarios}
    unmet = [name for name in expected if name not in names]
    for name in unmet:
        print("DIFF", name, "\n  expected, but there is no such scenario")
    matched = 0
    for name, got in seen.items():
        f, strategy = plays[name]
        wanted = expected.get(f.__name__, "nothing: it is not in the file")
        if strategy:
            wanted = with_strategy(strategy, f, wanted)
        if strategy in ("pool", "coroutine"):
            wanted, got = without_return(wanted), without_return(got)
        if f.__name__ in expected and matches(wanted, got):
            matched += 1
            continue
        print("DIFF", name)
        print("  expected", json.dumps(wanted))
        print("  seen    ", json.dumps(got))
    print(f"MATCH {matched}/{len(plays) + len(unmet)}")
    return 0 if plays and matched == len(plays) + len(unmet) else 1


if __name__ == "__main__":
    sys.exit(main())
