#!/usr/bin/env python3
# Copyright (c) the socketserver authors
# Distributed under the Boost Software License, Version 1.0.
# (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)
"""The probe of the contract in README.md beside this file, with Python's own socketserver.

parity_probe.cpp is the same program with this library.
"""
import argparse
import os
import resource
import signal
import socket
import socketserver
import sys
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("--family", choices=["inet", "inet6", "unix"], default="inet")
parser.add_argument("--type", choices=["stream", "dgram"], default="stream")
parser.add_argument("--strategy", choices=["sync", "thread", "fork"], default="sync")
parser.add_argument("--host", default=None)
parser.add_argument("--port", default="0")
parser.add_argument("--path", default=None)
parser.add_argument("--poll", type=float, default=0.5)
parser.add_argument("--timeout", type=float, default=None)
parser.add_argument("--queue", type=int, default=None)
parser.add_argument("--reuse-addr", type=int, default=None)
parser.add_argument("--max-children", type=int, default=None)
parser.add_argument("--max-packet", type=int, default=None)
parser.add_argument("--block-on-close", type=int, default=None)
parser.add_argument("--daemon-threads", type=int, default=None)
parser.add_argument("--handler-timeout", type=float, default=None)
parser.add_argument("--rbuf", type=int, default=None)
parser.add_argument("--wbuf", type=int, default=None)
parser.add_argument("--nodelay", action="store_true")
parser.add_argument("--no-activate", action="store_true")
parser.add_argument("--trace", action="store_true")
parser.add_argument("--deny", action="store_true")
parser.add_argument(
    "--inject",
    action="append",
    default=[],
    help="raise in: get_request_os get_request verify process setup finish handle_error service",
)
parser.add_argument("--mode", default="verbs", choices=["verbs", "noread"])
parser.add_argument("--nofile", type=int, default=None)
options = parser.parse_args()

report_lock = threading.Lock()


def report(*words):
    with report_lock:
        os.write(1, (" ".join(str(word) for word in words) + "\n").encode())


def trace(event, *detail):
    if options.trace:
        report("T", event, *detail)


serving_thread = None
injected = set(options.inject)
loops = 0


class Traced:
    def get_request(self):
        taken = super().get_request()
        trace("get_request")
        if "get_request_os" in injected:
            raise OSError("injected")
        if "get_request" in injected:
            raise ValueError("injected")
        return taken

    def verify_request(self, request, client_address):
        trace("verify_request")
        if "verify" in injected:
            raise ValueError("injected")
        return not options.deny

    def process_request(self, request, client_address):
        trace("process_request")
        if "process" in injected:
            raise ValueError("injected")
        super().process_request(request, client_address)
        trace("process_request_return")

    def finish_request(self, request, client_address):
        trace("finish_request")
        super().finish_request(request, client_address)

    def shutdown_request(self, request):
        trace("shutdown_request")
        super().shutdown_request(request)

    def close_request(self, request):
        trace("close_request")
        super().close_request(request)

    def handle_error(self, request, client_address):
        trace("handle_error", sys.exc_info()[0].__name__)
        if "handle_error" in injected:
            raise RuntimeError("from handle_error")

    def handle_timeout(self):
        trace("handle_timeout")
        super().handle_timeout()

    def service_actions(self):
        global loops
        loops += 1
        if "service" in injected:
            raise ValueError("injected")
        super().service_actions()

    def server_bind(self):
        trace("server_bind")
        super().server_bind()

    def server_activate(self):
        trace("server_activate")
        super().server_activate()

    def server_close(self):
        trace("server_close")
        super().server_close()


stream = options.type == "stream"
base = {
    ("inet", True): socketserver.TCPServer,
    ("inet6", True): socketserver.TCPServer,
    ("unix", True): socketserver.UnixStreamServer,
    ("inet", False): socketserver.UDPServer,
    ("inet6", False): socketserver.UDPServer,
    ("unix", False): socketserver.UnixDatagramServer,
}[(options.family, stream)]
mixins = {
    "sync": (),
    "thread": (socketserver.ThreadingMixIn,),
    "fork": (socketserver.ForkingMixIn,),
}[options.strategy]
attributes = {}
if options.family == "inet6":
    attributes["address_family"] = socket.AF_INET6
for opt, name in (
    ("timeout", "timeout"),
    ("queue", "request_queue_size"),
    ("max_children", "max_children"),
    ("max_packet", "max_packet_size"),
):
    if getattr(options, opt) is not None:
        attributes[name] = getattr(options, opt)
for opt, name in (
    ("reuse_addr", "allow_reuse_address"),
    ("block_on_close", "block_on_close"),
    ("daemon_threads", "daemon_threads"),
):
    if getattr(options, opt) is not None:
        attributes[name] = bool(getattr(options, opt))
Server = type("Server", (Traced, *mixins, base), attributes)

HandlerBase = socketserver.StreamRequestHandler if stream else socketserver.DatagramRequestHandler


def in_words(address):
    return "%s %s" % address[:2] if isinstance(address, tuple) else repr(address)


class Handler(HandlerBase):
    if stream:
        timeout = options.handler_timeout
        if options.rbuf is not None:
            rbufsize = options.rbuf
        if options.wbuf is not None:
            wbufsize = options.wbuf
        disable_nagle_algorithm = options.nodelay

    def setup(self):
        trace("setup")
        if "setup" in injected:
            raise ValueError("injected")
        super().setup()

    def finish(self):
        trace("finish")
        super().finish()
        if "finish" in injected:
            raise ValueError("injected")

    def say(self, text):
        self.wfile.write(text if isinstance(text, bytes) else text.encode() + b"\n")

    def handle(self):
        trace("handle")
        if options.mode == "noread":
            self.say("bye")
            return
        line = self.rfile.readline()
        verb, _, arg = line.decode("latin-1").rstrip("\n").partition(" ")
        if verb == "echo":
            self.say(arg)
        elif verb == "addr":
            self.say(in_words(self.client_address))
        elif verb == "saddr":
            self.say(in_words(self.server.server_address))
        elif verb == "pid":
            self.say("same" if os.getpid() == main_process else "other")
        elif verb == "tid":
            self.say("same" if threading.get_ident() == serving_thread else "other")
        elif verb == "raise":
            raise ValueError(arg)
        elif verb == "raise-after":
            self.say(arg)
            raise ValueError(arg)
        elif verb == "exit":
            raise SystemExit(3)
        elif verb == "killself":
            os.kill(os.getpid(), signal.SIGKILL)
        elif verb == "sleep":
            seconds, text = arg.split(" ", 1)
            time.sleep(float(seconds))
            self.say(text)
        elif verb == "big":
            self.say(b"x" * int(arg))
        elif verb == "lines":
            for more in self.rfile:
                self.say(more)
        elif verb == "slurp":
            self.say(str(len(self.rfile.read())))
        elif verb == "len":
            self.say(str(len(line)))
        elif verb == "packlen":
            self.say(str(len(self.packet)))
        elif verb == "silent":
            pass
        elif verb == "print":
            print(arg, flush=False)
            self.say("ok")
        elif verb == "shutdown-here":
            self.say("begin")
            self.server.shutdown()
            self.say("end")
        elif verb == "partial":
            self.say(b"part")
        elif verb == "wfileclosed":
            self.say("x")
            self.wfile.close()
        elif verb == "peek2":
            self.say(self.rfile.readline())
        elif verb == "":
            self.say("eof")
        else:
            self.say("? " + verb)


main_process = os.getpid()
if options.family == "unix":
    address = options.path
else:
    address = (
        options.host
        if options.host is not None
        else ("127.0.0.1" if options.family == "inet" else "::1"),
        int(options.port),
    )
if options.nofile:
    resource.setrlimit(resource.RLIMIT_NOFILE, (options.nofile, options.nofile))
try:
    server = Server(address, Handler, bind_and_activate=not options.no_activate)
except BaseException as e:
    report("FAIL", type(e).__name__, getattr(e, "errno", None))
    sys.exit(9)
bound = server.server_address
report("READY", bound if isinstance(bound, str) else in_words(bound))

signal.signal(signal.SIGUSR1, lambda *x: None)
loop = None


def serve():
    global serving_thread
    serving_thread = threading.get_ident()
    try:
        server.serve_forever(options.poll)
        report("SERVE_RETURN ok")
    except BaseException as e:
        report("SERVE_RETURN", type(e).__name__)


def shutdown():
    server.shutdown()
    report("ASHUTDOWN returned")


def carry_out(verb, *arguments):
    global loop, serving_thread
    if verb == "serve":
        loop = threading.Thread(target=serve, daemon=True)
        loop.start()
    elif verb == "shutdown":
        server.shutdown()
    elif verb == "ashutdown":
        threading.Thread(target=shutdown, daemon=True).start()
    elif verb == "close":
        server.server_close()
    elif verb == "handle":
        serving_thread = threading.get_ident()
        server.handle_request()
    elif verb == "join":
        loop.join(float(arguments[0]))
        return "alive" if loop.is_alive() else "dead"
    elif verb == "children":
        return len(getattr(server, "active_children", None) or ())
    elif verb == "threads":
        return sum("process_request_thread" in t.name for t in threading.enumerate())
    elif verb == "tracked":
        threads = getattr(server, "_threads", None)
        return len(threads) if isinstance(threads, list) else "none"
    elif verb == "loops":
        return loops
    elif verb == "fileno":
        return server.fileno()
    elif verb == "cpu":
        return int(1000 * time.process_time())
    return ""


for line in sys.stdin:
    words = line.split()
    if not words:
        continue
    if words[0] == "quit":
        break
    began = time.monotonic()
    try:
        detail = carry_out(*words)
    except BaseException as e:
        detail = type(e).__name__
    report("DONE", words[0], int(1000 * (time.monotonic() - began)), detail)
os._exit(0)
