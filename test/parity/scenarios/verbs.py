# Copyright (c) the socketserver authors
# Distributed under the Boost Software License, Version 1.0.
# (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)
"""Every verb, over every transport and with every strategy."""
import itertools
import socket

from rig import ITS_OWN, ask_by_datagram, connect, new_path, read_all, scenario, started


REQUESTS = (
    *(b"echo hi\n", b"echo\n", b"echo  two  spaces \n", b"echo caf\xe9\n", b"echo a\rb\r\n"),
    *(b"echo \0z\n", b"echo abc", b" echo x\n", b"ECHO x\n", b"nonsense\n", b"nonsense x\n"),
    *(b"", b"\n", b"\n\n", b"pid\n", b"tid\n", b"raise x\n", b"raise-after got\n", b"silent\n"),
    *(b"sleep 0.01 A b\n", b"sleep 0.01\n", b"sleep x y\n", b"big 10\n", b"big 0\n", b"big x\n"),
    *(b"lines\na\nb\nc", b"lines\n\n\nx\n", b"lines\n", b"slurp\nabc\n\0\xff", b"slurp\n"),
    *(b"len\n", b"len abc", b"print hello\n", b"partial\n"),
    *(b"peek2\nsecond\nthird\n", b"peek2\nsec", b"peek2\n"),
)


def answer_to(s, request, number):
    """Return the answer over any transport, in one text."""
    if not s.is_stream:
        # shutdown_request is the last of every request.
        def is_over():
            return s.trace.count("shutdown_request") > number

        return ask_by_datagram(s.address, request, 5, is_over=is_over) or ""
    with connect(s.address) as c:
        c.sendall(request)
        c.shutdown(socket.SHUT_WR)
        return read_all(c)[0]


def answers(*arguments):
    """Ask everything; return the answers, and how often there was something to complain of."""
    with started(*arguments, "--poll", "0.05", "--trace") as s:
        s.is_stream = "dgram" not in arguments
        seen = {}
        for number, request in enumerate(REQUESTS):
            seen[request.decode("latin-1")] = answer_to(s, request, number)
        s.settle()
        return {
            "answers": seen,
            "err": s.events("handle_error"),
            "loop": s.tell("join 0.05"),
            "ret": list(s.other),
        }


TRANSPORTS = {
    "tcp": lambda: (),
    "tcp6": lambda: ("--family", "inet6"),
    "unix-stream": lambda: ("--family", "unix", "--path", new_path()),
    "udp": lambda: ("--type", "dgram"),
    "udp6": lambda: ("--family", "inet6", "--type", "dgram"),
    "unix-datagram": lambda: ("--family", "unix", "--type", "dgram", "--path", new_path()),
}


def add(number, transport, strategy):
    def f():
        return answers(*TRANSPORTS[transport](), "--strategy", strategy)

    f.__name__ = f"v{number:02}_verbs_{transport}_{strategy}".replace("-", "_")
    # The others are compared with what a synchronous server answers.
    others = OF_SYNC if strategy == "sync" else ITS_OWN
    scenario(transport, **others)(f)


OF_SYNC = {
    "pool": {"answers": {"tid\n": "other\n"}},
    "prefork": {"answers": {"pid\n": "other\n"}},
}
for number, cell in enumerate(itertools.product(TRANSPORTS, ("sync", "thread", "fork"))):
    add(number, *cell)
