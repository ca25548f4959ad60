# Copyright (c) the socketserver authors
# Distributed under the Boost Software License, Version 1.0.
# (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)
"""How a server is served, stopped and closed."""
import time

from rig import BLOCKS, ITS_OWN, REFUSED, ask, client, connect, read_all, scenario, send, started


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


@scenario()
def c23_serve_again():
    with started("--poll", "0.05") as s:
        first = ask(s.address, b"echo 1\n")
        s.do("shutdown")
        ended = s.tell("join 1")
        s.do("serve")
        return [first, ended, ask(s.address, b"echo 2\n"), list(s.other)]


@scenario()
def c24_connect_between_loops():
    """A client that comes between two loops waits for the second."""
    with started("--poll", "0.05") as s:
        s.do("shutdown")
        waiting = send(s.address, b"echo late\n")
        waiting.settimeout(0.3)
        meanwhile = read_all(waiting)
        waiting.settimeout(2)
        s.do("serve")
        return {"meanwhile": meanwhile, "then": read_all(waiting)}


@scenario()
def c28_shutdown_from_handler_in_thread():
    with started("--strategy", "thread", "--poll", "0.05") as s:
        return {"client": ask(s.address, b"shutdown-here\n", 2), "loop": s.tell("join 0.5")}


@scenario()
def c31_timeout_is_not_for_the_loop():
    with started("--timeout", "0.1", "--poll", "0.05", "--trace") as s:
        time.sleep(0.3)
        return {"trace": s.trace[2:], "loop": s.tell("join 0.05")}


@scenario(prefork="the workers call service_actions() after a request")
def c33_poll_0():
    """An interval of nothing: the loop never rests, and is stopped all the same."""
    with started("--poll", "0") as s:
        reply = ask(s.address, b"echo x\n")
        time.sleep(0.2)
        turns = int(s.tell("loops"))
        return {
            "r": reply,
            "turns": ">100" if turns > 100 else turns,
            "shutdown": s.took("shutdown"),
            "loop": s.tell("join 1"),
            "ret": list(s.other),
        }


@scenario(prefork=REFUSED)
def c81_serve_what_is_closed():
    """A server that was closed serves no more."""
    with started("--poll", "0.05", serve=False) as s:
        s.do("close")
        s.do("close")
        one = s.tell("handle")
        s.do("serve")
        return {"handle": one, "loop": s.tell("join 1"), "ret": list(s.other)}


@scenario()
def c83_close_with_a_client_in_the_backlog():
    """Nobody accepts a client that came after shutdown(); server_close() resets it."""
    with started("--poll", "0.05") as s:
        s.do("shutdown")
        waiting = send(s.address, b"echo x\n")
        s.do("close")
        return read_all(waiting)


@scenario(coroutine=BLOCKS)
def c97_handler_timeout_lets_close_finish():
    """With a time limit for handlers an idle client does not keep server_close() waiting."""
    with started("--strategy", "thread", "--handler-timeout", "0.3", "--poll", "0.05") as s:
        with connect(s.address):
            time.sleep(0.1)
            s.do("shutdown")
            return s.took("close")
