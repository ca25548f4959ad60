"""What is measured, what it is compared with, and what is promised of it."""

import collections

# How each server is started, by the name that the tables give it.
OURS = "synchronous threading thread-pool:16 forking preforking:2 coroutine".split()
SERVERS = {name: ["socketserver", "echo", "--bind", "127.0.0.1:0", "--log", "warning",
                  "--strategy", name] for name in OURS} | {
    "raw loop": ["raw_loop"],
    "raw fork": ["raw_fork"],
    "raw pre-fork": ["raw_prefork"],
    "raw epoll": ["raw_epoll"],
    "std::thread, Asio": ["asio_threads"],
    "asio::spawn": ["asio_spawn"],
    "asio::spawn, pooled": ["asio_spawn", "pooled"],
    "Poco": ["poco_threads"],
    "Python's threads": ["python_threads.py"],
}

# What the load does, and with which words it is told to.
CONNECTIONS = "short connections"
MESSAGES = "messages"
LOADS = {
    CONNECTIONS: ["--clients", "16"],
    MESSAGES: ["--clients", "64", "--messages"],
}

Promise = collections.namedtuple("Promise", "ours peer load at_least aim")

# How much cheaper than the other: 2 is half the processor time for each operation.
PROMISES = [
    Promise("synchronous", "raw loop", CONNECTIONS, 0.85, 0.95),
    Promise("threading", "std::thread, Asio", CONNECTIONS, 1.7, 2.0),
    Promise("threading", "Poco", CONNECTIONS, 1.3, 1.5),
    Promise("threading", "Python's threads", CONNECTIONS, 3.3, 4.0),
    Promise("forking", "raw fork", CONNECTIONS, 0.85, 0.95),
    Promise("preforking:2", "raw pre-fork", CONNECTIONS, 0.85, 0.95),
    Promise("coroutine", "raw epoll", CONNECTIONS, 0.85, 0.95),
    Promise("coroutine", "Poco", CONNECTIONS, 1.5, 1.9),
    Promise("coroutine", "raw epoll", MESSAGES, 0.85, 0.95),
    Promise("coroutine", "asio::spawn", MESSAGES, 1.0, 1.1),
    Promise("coroutine", "Poco", MESSAGES, 1.25, 1.5),
]

# One repetition, in this order or, every other time, in the opposite one: programs that are
# compared run soon after each other.
ROUND = {
    CONNECTIONS: ["raw loop", "synchronous", "raw fork", "forking", "raw pre-fork", "preforking:2",
                  "raw epoll", "coroutine", "Poco", "threading", "std::thread, Asio",
                  "Python's threads", "thread-pool:16", "asio::spawn", "asio::spawn, pooled"],
    MESSAGES: ["Poco", "coroutine", "raw epoll", "asio::spawn", "asio::spawn, pooled", "threading"],
}
