# Copyright (c) the socketserver authors
# Distributed under the Boost Software License, Version 1.0.
# (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)
"""The limits of the system."""
import os
import signal
import socket
import time

from rig import ALL_THE_SAME, ask, client, connect, new_path, scenario, started


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


@scenario(**ALL_THE_SAME)
def c99_backlog_of_one():
    """How many clients can connect while nobody accepts, where one may wait."""
    with started("--queue", "1", serve=False) as s:
        completed = 0
        clients = [client(s.address, socket.SOCK_STREAM, 0.2) for _ in range(4)]
        for c in clients:
            try:
                c.connect(s.address)
                completed += 1
            except OSError:
                pass
        return {"completed_of_4": completed}
