# Copyright (c) the socketserver authors
# Distributed under the Boost Software License, Version 1.0.
# (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)
"""Several requests at once."""
import socket
import time

from rig import (
    ABOUT_ITS_OWN,
    BLOCKS,
    ITS_OWN,
    REFUSED,
    ask,
    client,
    connect,
    read_all,
    scenario,
    send,
    started,
    stopwatch,
    zombies,
)


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


@scenario(**ITS_OWN)
def c36_idle_client_blocks_sync():
    with started() as s:
        idle = connect(s.address)
        time.sleep(0.05)
        waiting = send(s.address, b"echo B\n")
        waiting.settimeout(0.3)
        before = read_all(waiting)
        idle.close()
        waiting.settimeout(2)
        return {"before": before, "after": read_all(waiting)}


@scenario(prefork={"while_busy": "0"}, coroutine=BLOCKS)
def c40_tracked_threads():
    """Threads that have ended are forgotten."""
    with started("--strategy", "thread", "--poll", "0.05") as s:
        none = s.tell("tracked")
        for _ in range(10):
            ask(s.address, b"echo x\n")
        tracked = s.tell("tracked")
        busy = send(s.address, b"sleep 0.3 A\n")
        time.sleep(0.1)
        while_busy = s.tell("threads")
        read_all(busy)
        time.sleep(0.05)
        return {
            "none": none,
            "bounded": tracked == "none" or int(tracked) <= 16,
            "while_busy": while_busy,
            "afterwards": s.tell("threads"),
        }


@scenario(pool=ABOUT_ITS_OWN, coroutine=ABOUT_ITS_OWN)
def c44_close_waits_for_children():
    seen = []
    for block in ("1", "0"):
        with started("--strategy", "fork", "--poll", "0.05", "--block-on-close", block) as s:
            busy = send(s.address, b"sleep 0.65 A\n")
            time.sleep(0.1)
            s.do("shutdown")
            seen.append([block, s.took("close"), read_all(busy)])
    return seen


@scenario(pool=ABOUT_ITS_OWN, prefork=ABOUT_ITS_OWN, coroutine=ABOUT_ITS_OWN)
def c45_child_has_not_the_listener():
    with started("--strategy", "fork", "--poll", "0.05", "--block-on-close", "0") as s:
        busy = send(s.address, b"sleep 0.6 A\n")
        time.sleep(0.1)
        children = s.tell("children")
        s.do("shutdown")
        s.do("close")
        try:
            connect(s.address, 0.3)
            late = "connected"
        except OSError as e:
            late = type(e).__name__
        return {"children": children, "late": late, "A": read_all(busy)}
