# Copyright (c) the socketserver authors
# Distributed under the Boost Software License, Version 1.0.
# (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)
"""What fails, and what happens then."""
import time

from rig import ABOUT_ITS_OWN, ITS_OWN, ask, client, connect, read_all, scenario, started, zombies


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


@scenario()
def c09_get_request_raises_os_error():
    """An error of the system ends that request alone, without a word."""
    return connect_with_failing("get_request_os")


@scenario()
def c13_finish_raises():
    """What was written arrives all the same."""
    with started("--inject", "finish", "--trace") as s:
        seen = ask(s.address, b"echo got\n")
        s.settle()
        return {"client": seen, "trace": s.trace[2:], "loop": s.tell("join 0.05")}


@scenario()
def c15_handle_error_raises_in_thread():
    with started("--strategy", "thread", "--inject", "handle_error", "--trace") as s:
        seen = ask(s.address, b"raise x\n", 1)
        s.settle()
        return {
            "client": seen,
            "set": sorted(set(s.trace[2:]) - {"process_request_return"}),
            "loop": s.tell("join 0.05"),
            "next": ask(s.address, b"echo n\n"),
        }


def exit_with(strategy):
    with started("--strategy", strategy, "--trace") as s:
        seen = ask(s.address, b"exit\n", 1)
        s.settle()
        return {
            "client": seen,
            "err": s.events("handle_error"),
            "end": [s.trace.count(step) for step in ("finish", "shutdown_request")],
            "loop": s.tell("join 0.3"),
            "ret": list(s.other),
        }


@scenario()
def c16_exit_sync():
    """What is no ordinary error."""
    return exit_with("sync")


@scenario()
def c17_exit_in_thread():
    return exit_with("thread")


@scenario(**ITS_OWN)
def c18_exit_in_child():
    return exit_with("fork")


@scenario(pool=ABOUT_ITS_OWN, prefork={"children": "8"}, coroutine=ABOUT_ITS_OWN)
def c88_child_is_killed():
    """A child that dies of a signal takes its client along, and nobody else."""
    with started("--strategy", "fork", "--poll", "0.05") as s:
        client, end = ask(s.address, b"killself\n")
        after = ask(s.address, b"echo n\n")
        time.sleep(0.4)
        return {
            "client": [client, end != "open"],
            "next": after,
            "children": s.tell("children"),
            "zombies": zombies(s.process.pid),
        }
