// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// A bounded load of an echo server, from plain sockets: short connections, or messages on open
// ones.  It stops by itself.

#include <socketserver/endpoint.hpp>

#include <boost/program_options.hpp>

#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace options = boost::program_options;

namespace {

constexpr std::size_t message_size = 32;

[[noreturn]] void fail(char const* what)
{
    throw std::system_error(errno, std::system_category(), what);
}

// Clients of one server, as many as are at work at once, in one thread.
class load
{
public:
    load(socketserver::endpoint server, std::size_t clients, std::chrono::seconds patience)
        : server_(std::move(server))
        , patience_(patience)
        , set_(::epoll_create1(EPOLL_CLOEXEC))
    {
        if (set_ < 0)
            fail("epoll_create1");
        clients_.resize(clients);
    }

    load(load const&) = delete;
    load& operator=(load const&) = delete;

    ~load()
    {
        for (auto const& c : clients_)
            if (c.fd >= 0)
                ::close(c.fd);
        ::close(set_);
    }

    // Connections that last for one message each.
    void connect(std::size_t count) { run(count, true); }

    // Messages on connections that are open from the first to the last.
    void exchange(std::size_t count)
    {
        for (std::size_t i = 0; i < clients_.size(); ++i)
            open(i);
        run(count, false);
    }

private:
    struct client
    {
        int fd = -1;
        std::size_t received = 0;
    };

    void open(std::size_t index)
    {
        auto const* const address = static_cast<sockaddr const*>(server_.data());
        int const fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            fail("socket");
        clients_[index] = {fd};
        if (address->sa_family == AF_INET)
            come_from_somewhere(fd, index);
        if (::connect(fd, address, static_cast<socklen_t>(server_.size())) < 0)
            fail("connect");
        epoll_event wanted{};
        wanted.events = EPOLLIN;
        wanted.data.u64 = index;
        if (::epoll_ctl(set_, EPOLL_CTL_ADD, fd, &wanted) < 0)
            fail("epoll_ctl");
    }

    // A connection that has ended keeps its ports for a while: there are enough for 16 addresses.
    static void come_from_somewhere(int fd, std::size_t index)
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(static_cast<std::uint32_t>(0x7f000002 + index % 16));
        int const on = 1;
        if (::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0 ||
            ::bind(fd, reinterpret_cast<sockaddr const*>(&address), sizeof address) < 0)
            fail("bind");
    }

    void run(std::size_t count, bool one_each)
    {
        std::size_t left = count;
        std::size_t waiting = 0;
        auto const begin = [&](std::size_t index) {
            if (left == 0)
                return;
            --left;
            ++waiting;
            if (one_each)
                open(index);
            send(clients_[index]);
        };
        for (std::size_t i = 0; i < clients_.size(); ++i)
            begin(i);
        auto const patience = std::chrono::milliseconds(patience_).count();
        while (waiting != 0)
        {
            epoll_event events[256];
            int const n = ::epoll_wait(set_, events, 256, static_cast<int>(patience));
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                throw std::runtime_error("the server does not answer");
            for (int i = 0; i < n; ++i)
            {
                auto& c = clients_[events[i].data.u64];
                if (!receive(c))
                    continue;
                --waiting;
                if (one_each)
                {
                    ::close(c.fd);
                    c.fd = -1;
                }
                begin(events[i].data.u64);
            }
        }
    }

    static void send(client& c)
    {
        char const message[message_size] = {};
        c.received = 0;
        if (::send(c.fd, message, sizeof message, MSG_NOSIGNAL) != sizeof message)
            fail("send");
    }

    // Gives whether the message is complete.
    static bool receive(client& c)
    {
        char message[message_size];
        auto const n = ::recv(c.fd, message, sizeof message - c.received, 0);
        if (n < 0)
            fail("receive");
        if (n == 0)
            throw std::runtime_error("the server has closed a connection");
        c.received += static_cast<std::size_t>(n);
        return c.received == sizeof message;
    }

    socketserver::endpoint server_;
    std::chrono::seconds patience_;
    int set_;
    std::vector<client> clients_;
};

void raise_limit_of_descriptors()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0)
    {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

// What this process has used of the processor, in microseconds.
long long processor_time()
{
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000LL + used.ru_utime.tv_usec +
           used.ru_stime.tv_usec;
}

} // namespace

int main(int argc, char** argv)
{
    options::options_description known("load: options");
    std::string address;
    std::size_t clients = 0;
    std::size_t count = 0;
    int patience = 0;
    // clang-format off
    known.add_options()
        ("help", "this text")
        ("connect", options::value(&address)->required(), "the echo server")
        ("clients", options::value(&clients)->default_value(16), "how many at once")
        ("count", options::value(&count)->default_value(20000), "operations in all")
        ("messages", "an operation is a message on an open connection, not a connection")
        ("hold", "when all is done, say so and keep the connections open until the input ends")
        ("patience", options::value(&patience)->default_value(20), "seconds to wait for an answer");
    // clang-format on
    try
    {
        options::variables_map given;
        options::store(options::parse_command_line(argc, argv, known), given);
        if (given.count("help"))
        {
            std::cout << known;
            return EXIT_SUCCESS;
        }
        options::notify(given);

        raise_limit_of_descriptors();
        load load(address, clients, std::chrono::seconds(patience));
        if (given.count("messages"))
            load.exchange(count);
        else
            load.connect(count);
        std::cout << "done, in " << processor_time() << " us of processor time" << std::endl;
        if (given.count("hold"))
            std::cin.ignore(1);
        return EXIT_SUCCESS;
    }
    catch (std::exception const& e)
    {
        std::cerr << "load: " << e.what() << '\n';
        return 2;
    }
}
