// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_SRC_BOUND_SOCKET_HPP
#define SOCKETSERVER_SRC_BOUND_SOCKET_HPP

#include "idle_context.hpp"
#include "socket_file.hpp"

#include <socketserver/endpoint.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace socketserver {

// The longest queue that is counted by emptying it.
constexpr std::size_t longest_queue = 65536;

// How a socket is bound.
struct binding
{
    bool reuse_address = false;
    bool reuse_port = false;
    std::optional<mode_t> mode;
};

// What a server listens with or receives by: an Asio acceptor or datagram socket, bound, and the
// file that it may have.
template <class Socket>
class bound_socket
{
public:
    using protocol_type = typename Socket::protocol_type;
    using endpoint_type = typename protocol_type::endpoint;

    // Whether it is of IPv4 and IPv6; else it is a Unix socket.
    static constexpr bool is_ip = requires { protocol_type::v4(); };

    // Throws std::invalid_argument.
    static void check(endpoint const& address)
    {
        auto const family = address.family();
        if (is_ip && family != address_family::ipv4 && family != address_family::ipv6)
            throw std::invalid_argument(
                address.str() + ": this server listens at an IPv4 or IPv6 address");
        if (!is_ip && family != address_family::unix_domain)
            throw std::invalid_argument(
                address.str() +
                ": this server listens at a Unix socket, such as unix:/run/app.sock or unix:@name");
    }

    bound_socket() = default;

    bound_socket(bound_socket const&) = delete;
    bound_socket& operator=(bound_socket const&) = delete;

    ~bound_socket()
    {
        close();
        if (adopted_ >= 0)
            ::close(adopted_);
        // Its io_context is the parent's: closing through it would reach into its set.
        if (inherited_)
            static_cast<void>(asio_.release());
    }

    Socket& asio() noexcept { return *asio_; }
    int descriptor() const noexcept { return descriptor_; }

    // Takes over a descriptor that is bound already; gives its address.
    endpoint adopt(int descriptor)
    {
        adopted_ = descriptor;
        was_adopted_ = true;
        // Asio's own are not.
        ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
        return local_endpoint(descriptor);
    }

    // Gives the address that it is bound to.
    endpoint bind(endpoint const& to, binding const& how)
    {
        error_code ec;
        step_ = why_ = "";
        if (adopted_ >= 0)
        {
            if (asio_->assign(protocol_of(to), adopted_, ec); !failed(ec, "assign"))
                adopted_ = -1;
        }
        else
            bind_anew(to, how, ec);
        // Another process may take what poll has announced.
        if (!ec)
            asio_->non_blocking(true, ec);
        if (ec)
        {
            discard();
            give_up(ec, step_, to, why_);
        }
        descriptor_ = asio_->native_handle();
        return is_ip ? to.with_port(local_endpoint(descriptor_).port()) : to;
    }

    // Clients can come: the file may be looked at.
    void serves() noexcept { file_.end(); }

    void close() noexcept
    {
        if (!inherited_)
        {
            file_.remove();
            discard();
        }
        else if (descriptor_ >= 0)
            ::close(descriptor_);
        descriptor_ = -1;
    }

    // Removes the file now, where the socket itself is still needed.
    void remove_file() noexcept
    {
        if (!inherited_)
            file_.remove();
    }

    // Nobody else can take what is in its queue.
    bool is_own() const noexcept { return descriptor_ >= 0 && !inherited_ && !was_adopted_; }

    // This process did not bind it.
    void inherit() noexcept { inherited_ = true; }

    [[noreturn]] static void give_up(boost::system::error_code const& ec, char const* step,
        endpoint const& address, char const* why = "")
    {
        throw boost::system::system_error(boost::system::error_code(ec.value(), ec.category()),
            std::string(step) + ' ' + address.str() + why);
    }

private:
    using error_code = boost::system::error_code;

    static int socket_type() noexcept
    {
        if constexpr (is_ip)
            return protocol_type::v4().type();
        else
            return protocol_type().type();
    }

    static protocol_type protocol_of(endpoint const& address) noexcept
    {
        if constexpr (is_ip)
            return address.family() == address_family::ipv6 ? protocol_type::v6()
                                                            : protocol_type::v4();
        else
            return protocol_type();
    }

    static endpoint local_endpoint(int descriptor)
    {
        sockaddr_storage storage;
        socklen_t size = sizeof storage;
        if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&storage), &size) < 0)
            return endpoint();
        return endpoint::from_native(&storage, size);
    }

    bool failed(error_code const& ec, char const* step) noexcept
    {
        step_ = step;
        return static_cast<bool>(ec);
    }

    bool system_failed(int result, error_code& ec, char const* step) noexcept
    {
        if (result < 0)
            ec.assign(errno, boost::system::system_category());
        return failed(ec, step);
    }

    void discard() noexcept
    {
        error_code ignored;
        if (asio_)
            asio_->close(ignored);
        file_.end();
    }

    void bind_anew(endpoint const& to, binding const& how, error_code& ec)
    {
        if constexpr (!is_ip)
            bind_unix(to, how, ec);
        else
        {
            bind_ip(to.to<endpoint_type>(), to.is_dual_stack(), how, ec);
            if (to.is_dual_stack() && (ec == boost::asio::error::address_family_not_supported ||
                                          ec == boost::system::errc::address_not_available))
            {
                // No IPv6 here: every interface is every IPv4 interface.
                discard();
                ec = {};
                bind_ip(endpoint_type(protocol_type::v4(), to.port()), false, how, ec);
            }
        }
    }

    bool open(protocol_type const& protocol, error_code& ec)
    {
        // By hand, because Asio's sockets are not close-on-exec.
        int const fd =
            ::socket(protocol.family(), protocol.type() | SOCK_CLOEXEC, protocol.protocol());
        if (system_failed(fd, ec, "socket"))
            return false;
        if (asio_->assign(protocol, fd, ec); ec)
            ::close(fd);
        return !failed(ec, "socket");
    }

    void bind_ip(endpoint_type const& to, bool dual_stack, binding const& how, error_code& ec)
    {
        if (!open(to.protocol(), ec))
            return;
        if (to.protocol() == protocol_type::v6())
        {
            asio_->set_option(boost::asio::ip::v6_only(!dual_stack), ec);
            if (failed(ec, "IPV6_V6ONLY"))
                return;
        }
        asio_->set_option(boost::asio::socket_base::reuse_address(how.reuse_address), ec);
        if (failed(ec, "SO_REUSEADDR"))
            return;
        if (int const on = 1;
            how.reuse_port && system_failed(::setsockopt(asio_->native_handle(), SOL_SOCKET,
                                                SO_REUSEPORT, &on, sizeof on),
                                  ec, "SO_REUSEPORT"))
            return;
        asio_->bind(to, ec);
        failed(ec, "bind");
    }

    void bind_unix(endpoint const& to, binding const& how, error_code& ec)
    {
        file_.begin(to);
        if (!open(protocol_type(), ec))
            return;
        // The file gets the permissions of the socket, less the umask: never more than asked for,
        // not even for a moment.
        if (how.mode && system_failed(::fchmod(asio_->native_handle(), *how.mode), ec, "fchmod"))
            return;
        // Not by Asio, which takes a NUL from the end of an abstract name.
        auto const bind = [&] {
            ec = {};
            return !system_failed(
                ::bind(asio_->native_handle(), static_cast<sockaddr const*>(to.data()),
                    static_cast<socklen_t>(to.size())),
                ec, "bind");
        };
        if (!bind() && (ec != boost::asio::error::address_in_use ||
                           !file_.remove_dead(to, socket_type()) || !bind()))
        {
            if (ec == boost::asio::error::address_in_use)
                why_ = file_.in_the_way(to, socket_type());
            return;
        }
        file_.bound();
        if (how.mode && !file_.allow(*how.mode))
            system_failed(-1, ec, "chmod");
    }

    // Bound when it is first used, so that a server can be made before a fork.
    std::unique_ptr<Socket> asio_ = std::make_unique<Socket>(idle_context());
    socket_file file_;
    int adopted_ = -1;
    // Asio's, as long as this process has it.
    int descriptor_ = -1;
    bool inherited_ = false;
    bool was_adopted_ = false;
    char const* step_ = "";
    char const* why_ = "";
};

} // namespace socketserver

#endif
