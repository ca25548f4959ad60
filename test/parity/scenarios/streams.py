# Copyright (c) the socketserver authors
# Distributed under the Boost Software License, Version 1.0.
# (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)
"""What a connection carries."""
import os
import signal
import socket
import struct
import time

from rig import ask, client, connect, read_all, scenario, send, started, stopwatch


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


@scenario()
def c51_reply_without_reading():
    """A client that has more to say than anybody reads gets its reply."""
    with started("--mode", "noread", "--trace") as s:
        text, _ = ask(s.address, b"x" * 1000000)
        s.settle()
        return {"reply": text, "err": s.events("handle_error")}


@scenario()
def c53_peer_is_gone_before_buffered_output():
    """What is still in a buffer when the peer has reset the connection."""
    with started("--strategy", "thread", "--wbuf", "-1", "--trace") as s:
        c = connect(s.address)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.sendall(b"sleep 0.3 A\n")
        time.sleep(0.1)
        c.close()
        time.sleep(0.3)
        s.settle()
        return {"err": s.events("handle_error"), "next": ask(s.address, b"echo n\n")}


@scenario()
def c55_handler_closes_wfile():
    with started("--trace") as s:
        seen = ask(s.address, b"wfileclosed\n")
        s.settle()
        return {"client": seen, "trace": s.trace[2:]}


@scenario()
def c56_input_that_nobody_reads():
    """What came along with the request is lost with it; what the handler asks for is not."""
    with started() as s:
        return [
            ask(s.address, b"echo 1\necho 2\n")[0],
            ask(s.address, b"peek2\necho 2\n"),
        ]


@scenario()
def c66_buffer_sizes():
    """Buffers of any size carry the same."""
    seen = []
    for size in ("-1", "0", "1", "7", "100000"):
        with started("--strategy", "thread", "--rbuf", size, "--wbuf", size) as s:
            c = send(s.address, b"lines\n" + b"a line of text\n" * 2000 + b"and the rest")
            c.shutdown(socket.SHUT_WR)
            text, end = read_all(c)
            seen.append([size, len(text), text[-12:], end, ask(s.address, b"big 300000\n")[1]])
    return seen


@scenario()
def c68_nodelay():
    with started("--nodelay") as s:
        return ask(s.address, b"echo x\n")


@scenario()
def c86_reply_to_a_client_that_pushes():
    """Twenty megabytes that nobody reads are in the way of no reply."""
    with started("--strategy", "thread") as s:
        c = connect(s.address)
        try:
            c.sendall(b"echo reply\n" + b"x" * 20000000)
        except OSError:
            pass
        return read_all(c)[0]


@scenario()
def c93_bytes_pass_unchanged():
    with started() as s:
        every = bytes(b for b in range(256) if b != 10) + b"\n"
        c = send(s.address, b"lines\n" + every + b"\r\n\x00\n")
        c.shutdown(socket.SHUT_WR)
        text, end = read_all(c)
        return [text == (every + b"\r\n\x00\n").decode("latin-1"), end]


@scenario()
def c95_signals_during_a_big_write():
    """Signals interrupt what waits in the kernel; nothing of a reply is lost."""
    with started("--strategy", "thread") as s:
        c = send(s.address, b"big 8000000\n")
        for _ in range(20):
            os.kill(s.process.pid, signal.SIGUSR1)
            time.sleep(0.01)
        text, end = read_all(c)
        return [len(text), end, s.tell("join 0.05")]
