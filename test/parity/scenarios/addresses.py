# Copyright (c) the socketserver authors
# Distributed under the Boost Software License, Version 1.0.
# (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)
"""Where a server listens, and who asks."""
import os
import socket
import time

from rig import ALL_THE_SAME, ask, connect, new_path, read_all, scenario, send, started


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


@scenario()
def c61_port_is_taken():
    """A port that somebody listens at is not shared, whatever is allowed."""
    with started() as s:
        seen = []
        for reuse in ("0", "1"):
            port = str(s.address[1])
            with started("--port", port, "--reuse-addr", reuse, serve=False) as other:
                seen.append(other.first)
        return seen


def same_address(s, who):
    """Return the host that a handler names, and whether the port is the one that is meant."""
    with connect(s.address) as c:
        port = {"addr": c.getsockname(), "saddr": s.address}[who][1]
        c.sendall(who.encode() + b"\n")
        words = read_all(c)[0].split()
        return [words[0], int(words[1]) == port]


@scenario("tcp6")
def c64_ipv6():
    with started("--family", "inet6") as s:
        return [s.address[0], same_address(s, "addr"), same_address(s, "saddr")]


@scenario("tcp6", **ALL_THE_SAME)
def c65_hosts():
    """Names, all interfaces, and what is none of the family."""
    seen = []
    for host in ("localhost", "127.0.0.2", "", "0.0.0.0", "::1", "256.0.0.1"):
        with started("--host", host) as s:
            words = s.first.split()
            seen.append([host, *words[:2]] if words[0] == "READY" else [host, words[0]])
    for host in ("localhost", "::1", "", "::", "127.0.0.1"):
        with started("--family", "inet6", "--host", host) as s:
            words = s.first.split()
            seen.append([host, *words[:2]] if words[0] == "READY" else [host, words[0]])
    return seen


@scenario("unix-stream", **ALL_THE_SAME)
def c69_bad_paths():
    """A path without a folder, one that is too long, and one where something else is."""
    taken = new_path()
    with open(taken, "w") as f:
        f.write("precious")
    seen = []
    for path in ("/nowhere/at/all", "/tmp/" + "x" * 200, taken):
        with started("--family", "unix", "--path", path) as s:
            seen.append(s.first)
    with open(taken) as f:
        return [seen, f.read()]
