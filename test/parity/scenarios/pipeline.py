# Copyright (c) the socketserver authors
# Distributed under the Boost Software License, Version 1.0.
# (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)
"""The steps of a request, and their order."""
from rig import ITS_OWN, ask, ask_by_datagram, client, scenario, started


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


@scenario()
def c06_verify_false_with_unread_input():
    """A client that is not let in sees the end, whatever it has said."""
    with started("--deny") as s:
        return [ask(s.address, b"echo x\n"), s.tell("join 0.05")]


@scenario()
def c98_udp_thread_order():
    """The same steps for a datagram, in another thread."""
    with started("--type", "dgram", "--strategy", "thread", "--trace") as s:
        reply = ask_by_datagram(s.address, b"echo hi\n")
        s.settle()
        return {"r": reply, "set": sorted(s.trace[2:])}
