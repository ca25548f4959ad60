# Copyright (c) the socketserver authors
# Distributed under the Boost Software License, Version 1.0.
# (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)
"""What a datagram carries."""
import socket
import time

from rig import BLOCKS, ITS_OWN, ask_by_datagram, client, new_path, scenario, started, zombies


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


@scenario("udp")
def c74_udp_verify_false():
    with started("--type", "dgram", "--deny", "--trace") as s:
        reply = ask_by_datagram(s.address, b"echo x\n", 0.3)
        s.settle()
        return {"r": reply, "trace": s.trace[1:]}


@scenario("udp", **ITS_OWN)
def c75_udp_fork():
    with started("--type", "dgram", "--strategy", "fork", "--poll", "0.05", "--trace") as s:
        reply = ask_by_datagram(s.address, b"pid\n")
        s.settle()
        steps = sorted(s.trace[1:])
        return {"r": reply, "set": steps, "zombies": zombies(s.process.pid)}


@scenario("udp")
def c78_empty_datagram():
    with started("--type", "dgram") as s:
        return {"r": ask_by_datagram(s.address, b""), "next": ask_by_datagram(s.address, b"len\n")}


@scenario("udp", prefork={"r": "same\n"}, coroutine={"r": "same\n"})
def c90_udp_thread():
    with started("--type", "dgram", "--strategy", "thread") as s:
        seen = {"r": ask_by_datagram(s.address, b"tid\n")}
        clients = [client(s.address, socket.SOCK_DGRAM, 2) for _ in range(20)]
        for i, c in enumerate(clients):
            c.sendto(b"echo %d\n" % i, s.address)
        seen["own_reply"] = sum(c.recv(100) == b"%d\n" % i for i, c in enumerate(clients))
        return seen
