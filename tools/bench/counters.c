// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// Counts what a program asks the system and the heap for: a library to be preloaded (ld.so(8)),
// which needs no privilege and works in every container.  The counters lie in the file that
// SOCKETSERVER_COUNTERS names, where a test reads them, and where forked children count as well.
//
// What the C library calls on its own account goes by unseen, but for waiting: a wait for a
// condition and waking from it count as one call each, which is the most that they take.

#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

// As the test knows them.
struct counters
{
    atomic_ullong calls;
    atomic_ullong allocations;
};

static struct counters nowhere;
static struct counters* counters = &nowhere;

__attribute__((constructor)) static void find_counters(void)
{
    char const* const path = getenv("SOCKETSERVER_COUNTERS");
    int const fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void* const at = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED)
        counters = at;
    close(fd);
}

static void count(atomic_ullong* counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

// The function of that name that the program would have called without this library.
static void find_next(void* function, char const* name)
{
    void* const found = dlsym(RTLD_NEXT, name);
    memcpy(function, &found, sizeof found);
}

// One function of the C library that is one system call.
#define CALL(result, name, parameters, arguments)                                                  \
    PUBLIC result name parameters                                                                  \
    {                                                                                              \
        static result(*next) parameters;                                                           \
        if (!next)                                                                                 \
            find_next(&next, #name);                                                               \
        count(&counters->calls);                                                                   \
        return next arguments;                                                                     \
    }

CALL(int, accept4, (int fd, __SOCKADDR_ARG a, socklen_t* size, int f), (fd, a, size, f))
CALL(int, socket, (int family, int type, int protocol), (family, type, protocol))
CALL(int, connect, (int fd, __CONST_SOCKADDR_ARG a, socklen_t size), (fd, a, size))
CALL(int, shutdown, (int fd, int how), (fd, how))
CALL(int, close, (int fd), (fd))
CALL(ssize_t, recv, (int fd, void* to, size_t size, int f), (fd, to, size, f))
CALL(ssize_t, recvmsg, (int fd, struct msghdr* m, int f), (fd, m, f))
CALL(ssize_t, send, (int fd, void const* from, size_t size, int f), (fd, from, size, f))
CALL(ssize_t, sendmsg, (int fd, struct msghdr const* m, int f), (fd, m, f))
CALL(ssize_t, sendfile, (int to, int from, off_t* at, size_t size), (to, from, at, size))
CALL(ssize_t, read, (int fd, void* to, size_t size), (fd, to, size))
CALL(ssize_t, write, (int fd, void const* from, size_t size), (fd, from, size))
CALL(int, getsockname, (int fd, __SOCKADDR_ARG a, socklen_t* size), (fd, a, size))
CALL(int, getpeername, (int fd, __SOCKADDR_ARG a, socklen_t* size), (fd, a, size))
CALL(int, getsockopt, (int fd, int l, int o, void* v, socklen_t* size), (fd, l, o, v, size))
CALL(int, setsockopt, (int fd, int l, int o, void const* v, socklen_t size), (fd, l, o, v, size))
CALL(int, poll, (struct pollfd * fds, nfds_t n, int time), (fds, n, time))
CALL(int, ppoll, (struct pollfd * fds, nfds_t n, struct timespec const* t, sigset_t const* s),
    (fds, n, t, s))
CALL(int, epoll_ctl, (int set, int what, int fd, struct epoll_event* e), (set, what, fd, e))
CALL(int, epoll_wait, (int set, struct epoll_event* e, int n, int time), (set, e, n, time))
CALL(int, epoll_pwait2,
    (int set, struct epoll_event* e, int n, struct timespec const* t, sigset_t const* s),
    (set, e, n, t, s))
CALL(void*, mmap, (void* at, size_t size, int p, int f, int fd, off_t o), (at, size, p, f, fd, o))
CALL(int, munmap, (void* at, size_t size), (at, size))
CALL(int, mprotect, (void* at, size_t size, int p), (at, size, p))
CALL(int, madvise, (void* at, size_t size, int a), (at, size, a))
CALL(int, pthread_sigmask, (int how, sigset_t const* set, sigset_t* old), (how, set, old))
CALL(int, kill, (pid_t pid, int number), (pid, number))
CALL(pid_t, fork, (void), ())
CALL(int, waitid, (idtype_t type, id_t id, siginfo_t* info, int o), (type, id, info, o))
CALL(pid_t, waitpid, (pid_t pid, int* status, int o), (pid, status, o))
CALL(int, sched_yield, (void), ())
CALL(int, pthread_cond_signal, (pthread_cond_t * c), (c))
CALL(int, pthread_cond_broadcast, (pthread_cond_t * c), (c))
CALL(int, pthread_cond_wait, (pthread_cond_t * c, pthread_mutex_t* m), (c, m))
CALL(int, pthread_cond_clockwait,
    (pthread_cond_t * c, pthread_mutex_t* m, clockid_t clock, struct timespec const* t),
    (c, m, clock, t))
CALL(int, pthread_create,
    (pthread_t * thread, pthread_attr_t const* how, void* (*run)(void*), void* with),
    (thread, how, run, with))

// Those that take what they are told to.

PUBLIC int ioctl(int fd, unsigned long what, ...)
{
    static int (*next)(int, unsigned long, ...);
    if (!next)
        find_next(&next, "ioctl");
    va_list more;
    va_start(more, what);
    void* const with = va_arg(more, void*);
    va_end(more);
    count(&counters->calls);
    return next(fd, what, with);
}

PUBLIC int fcntl(int fd, int what, ...)
{
    static int (*next)(int, int, ...);
    if (!next)
        find_next(&next, "fcntl");
    va_list more;
    va_start(more, what);
    void* const with = va_arg(more, void*);
    va_end(more);
    count(&counters->calls);
    return next(fd, what, with);
}

PUBLIC long syscall(long number, ...)
{
    static long (*next)(long, ...);
    if (!next)
        find_next(&next, "syscall");
    va_list more;
    va_start(more, number);
    long with[6];
    for (int i = 0; i < 6; ++i)
        with[i] = va_arg(more, long);
    va_end(more);
    count(&counters->calls);
    return next(number, with[0], with[1], with[2], with[3], with[4], with[5]);
}

// The heap, by the names that glibc has for it besides: dlsym() itself allocates.  operator new
// calls malloc and aligned_alloc.

extern void* __libc_malloc(size_t size);
extern void* __libc_calloc(size_t n, size_t size);
extern void* __libc_realloc(void* at, size_t size);
extern void* __libc_memalign(size_t alignment, size_t size);

PUBLIC void* malloc(size_t size)
{
    count(&counters->allocations);
    return __libc_malloc(size);
}

PUBLIC void* calloc(size_t n, size_t size)
{
    count(&counters->allocations);
    return __libc_calloc(n, size);
}

PUBLIC void* realloc(void* at, size_t size)
{
    count(&counters->allocations);
    return __libc_realloc(at, size);
}

PUBLIC void* aligned_alloc(size_t alignment, size_t size)
{
    count(&counters->allocations);
    return __libc_memalign(alignment, size);
}
