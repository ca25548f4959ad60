// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include <socketserver/endpoint.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <ostream>
#include <stdexcept>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace socketserver {
namespace {

constexpr std::string_view unix_prefix = "unix:";
constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);
constexpr std::size_t path_capacity = sizeof(sockaddr_un::sun_path);

[[noreturn]] void refuse(std::string_view text, std::string_view reason)
{
    // A control character would tear the line in which the message is shown, a NUL would end it.
    constexpr char digits[] = "0123456789abcdef";
    std::string message = "'";
    for (char const c : text)
    {
        auto const code = static_cast<unsigned char>(c);
        if (code < 0x20 || code == 0x7f)
            message += {'\\', 'x', digits[code >> 4], digits[code & 15]};
        else
            message += c;
    }
    message += "' is not an endpoint: ";
    message += reason;
    message += "; possible are 127.0.0.1:8009, [::1]:8009, :8009 (every interface), "
               "localhost:8009, unix:/path and unix:@name";
    throw std::invalid_argument(message);
}

// inet_pton and if_nametoindex take C strings: what holds a NUL is not what they would see.
bool is_c_string(std::string_view text)
{
    return text.find('\0') == text.npos;
}

std::uint16_t parse_port(std::string_view port, std::string_view text)
{
    if (port.empty())
        refuse(text, "the port is missing");

    std::uint16_t number = 0;
    auto const [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    bool const is_canonical = port == "0" || port.front() != '0';
    if (error != std::errc() || end != port.data() + port.size() || !is_canonical)
        refuse(text, "a port is a number from 0 to 65535");
    return number;
}

// The kernel ignores the scope of any other address.
bool needs_scope(in6_addr const& address)
{
    return IN6_IS_ADDR_LINKLOCAL(&address) || IN6_IS_ADDR_MC_LINKLOCAL(&address) ||
           IN6_IS_ADDR_MC_NODELOCAL(&address);
}

std::uint32_t parse_scope(std::string_view scope, std::string_view text)
{
    if (is_c_string(scope))
        if (unsigned const index = ::if_nametoindex(std::string(scope).c_str()))
            return index;

    std::uint32_t index = 0;
    auto const [end, error] = std::from_chars(scope.data(), scope.data() + scope.size(), index);
    if (error != std::errc() || end != scope.data() + scope.size() || index == 0)
        refuse(text, "its scope is neither the name nor the number of an interface");
    return index;
}

endpoint parse_ipv4(std::string_view host, std::string_view port, std::string_view text)
{
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    if (host == "localhost")
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else if (host.find(':') != host.npos)
        refuse(text, "an IPv6 address stands in brackets");
    else if (!is_c_string(host) ||
             ::inet_pton(AF_INET, std::string(host).c_str(), &address.sin_addr) != 1)
        refuse(text, "its host is not an address; names are not looked up");
    address.sin_port = htons(parse_port(port, text));
    return endpoint::from_native(&address, sizeof address);
}

endpoint parse_ipv6(std::string_view host, std::string_view port, std::string_view text)
{
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    auto const percent = host.find('%');
    std::string const number(host.substr(0, percent));
    if (!is_c_string(number) || ::inet_pton(AF_INET6, number.c_str(), &address.sin6_addr) != 1)
        refuse(text, "what stands in brackets is not an IPv6 address");
    if (percent != host.npos)
    {
        if (!needs_scope(address.sin6_addr))
            refuse(text, "only a link-local address has a scope");
        address.sin6_scope_id = parse_scope(host.substr(percent + 1), text);
    }
    address.sin6_port = htons(parse_port(port, text));
    return endpoint::from_native(&address, sizeof address);
}

endpoint parse_ip(std::string_view text)
{
    if (text.starts_with('['))
    {
        auto const close = text.rfind(']');
        if (close == text.npos)
            refuse(text, "a bracket is open");
        auto const rest = text.substr(close + 1);
        if (!rest.starts_with(':'))
            refuse(text, "a colon and the port must follow the bracket");
        return parse_ipv6(text.substr(1, close - 1), rest.substr(1), text);
    }

    auto const colon = text.rfind(':');
    if (colon == text.npos)
        refuse(text, "the port is missing");
    auto const host = text.substr(0, colon);
    auto const port = text.substr(colon + 1);
    return host.empty() ? parse_ipv6("::", port, text) : parse_ipv4(host, port, text);
}

endpoint parse_unix(std::string_view text)
{
    auto const name = text.substr(unix_prefix.size());
    bool const is_abstract = name.starts_with('@');
    if (name.size() == (is_abstract ? 1 : 0))
        refuse(text, "the path is empty");
    if (name.size() > path_capacity)
        refuse(text, "the path is longer than the " + std::to_string(path_capacity) +
                         " bytes that the system takes");
    if (!is_abstract && !is_c_string(name))
        refuse(text, "a path cannot hold a NUL");

    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::copy(name.begin(), name.end(), address.sun_path);
    if (is_abstract)
        address.sun_path[0] = '\0';
    return endpoint::from_native(&address, path_offset + name.size());
}

template <class Address>
Address load(void const* bytes, std::size_t size = sizeof(Address))
{
    Address address = {};
    std::memcpy(&address, bytes, std::min(size, sizeof address));
    return address;
}

} // namespace

endpoint::endpoint(std::string_view text)
    : endpoint(text.starts_with(unix_prefix) ? parse_unix(text) : parse_ip(text))
{
    dual_stack_ = text.starts_with(':');
}

endpoint endpoint::from_native(void const* address, std::size_t size)
{
    static_assert(sizeof(sockaddr_un) <= sizeof bytes_);
    static_assert(sizeof(sockaddr_un) <= std::numeric_limits<decltype(size_)>::max());

    endpoint result;
    auto const store = [&result](auto const& native, std::size_t length) {
        std::memcpy(result.bytes_.data(), &native, length);
        result.size_ = static_cast<decltype(size_)>(length);
    };
    auto const store_ipv4 = [&store](in_addr host, in_port_t port) {
        sockaddr_in clean = {};
        clean.sin_family = AF_INET;
        clean.sin_addr = host;
        clean.sin_port = port;
        store(clean, sizeof clean);
    };

    if (size == 0)
        return result;
    if (size < sizeof(sa_family_t))
        throw std::invalid_argument("a socket address is too short to have a family");

    auto const family = load<sa_family_t>(address);
    auto const expect = [size](std::size_t least) {
        if (size < least)
            throw std::invalid_argument("a socket address is too short for its family");
    };
    switch (family)
    {
    case AF_UNSPEC:
        break;
    case AF_INET: {
        expect(sizeof(sockaddr_in));
        auto const native = load<sockaddr_in>(address);
        store_ipv4(native.sin_addr, native.sin_port);
        break;
    }
    case AF_INET6: {
        expect(sizeof(sockaddr_in6));
        auto const native = load<sockaddr_in6>(address);
        if (IN6_IS_ADDR_V4MAPPED(&native.sin6_addr))
        {
            store_ipv4(load<in_addr>(native.sin6_addr.s6_addr + 12), native.sin6_port);
            break;
        }
        sockaddr_in6 clean = {};
        clean.sin6_family = AF_INET6;
        clean.sin6_addr = native.sin6_addr;
        clean.sin6_port = native.sin6_port;
        if (needs_scope(native.sin6_addr))
            clean.sin6_scope_id = native.sin6_scope_id;
        store(clean, sizeof clean);
        break;
    }
    case AF_UNIX: {
        if (size <= path_offset)
            break;
        // Zeros lie behind what is loaded, so that a path ends there even if its NUL does not
        // fit; an abstract name is exactly as long as the system says.
        auto const native = load<sockaddr_un>(address, size);
        auto const given = std::min(size, sizeof native) - path_offset;
        if (native.sun_path[0] == '\0')
        {
            store(native, path_offset + given);
            break;
        }
        sockaddr_un clean = {};
        clean.sun_family = AF_UNIX;
        auto const length = ::strnlen(native.sun_path, given);
        std::copy_n(native.sun_path, length, clean.sun_path);
        store(clean, path_offset + std::min(length + 1, path_capacity));
        break;
    }
    default:
        throw std::invalid_argument("a socket address has a family that is neither IPv4, IPv6 "
                                    "nor Unix: " +
                                    std::to_string(family));
    }
    return result;
}

int endpoint::native_family() const noexcept
{
    return load<sa_family_t>(bytes_.data());
}

address_family endpoint::family() const noexcept
{
    switch (native_family())
    {
    case AF_INET:
        return address_family::ipv4;
    case AF_INET6:
        return address_family::ipv6;
    case AF_UNIX:
        return address_family::unix_domain;
    default:
        return address_family::none;
    }
}

std::string endpoint::host() const
{
    char text[INET6_ADDRSTRLEN] = {};
    if (family() == address_family::ipv4)
    {
        auto const native = load<sockaddr_in>(bytes_.data());
        return ::inet_ntop(AF_INET, &native.sin_addr, text, sizeof text);
    }
    if (family() != address_family::ipv6 || dual_stack_)
        return {};

    auto const native = load<sockaddr_in6>(bytes_.data());
    std::string result = ::inet_ntop(AF_INET6, &native.sin6_addr, text, sizeof text);
    if (native.sin6_scope_id != 0)
    {
        char name[IF_NAMESIZE] = {};
        result += '%';
        result += ::if_indextoname(native.sin6_scope_id, name)
                      ? name
                      : std::to_string(native.sin6_scope_id);
    }
    return result;
}

std::uint16_t endpoint::port() const noexcept
{
    switch (family())
    {
    case address_family::ipv4:
        return ntohs(load<sockaddr_in>(bytes_.data()).sin_port);
    case address_family::ipv6:
        return ntohs(load<sockaddr_in6>(bytes_.data()).sin6_port);
    default:
        return 0;
    }
}

endpoint endpoint::with_port(std::uint16_t port) const
{
    static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));

    if (family() != address_family::ipv4 && family() != address_family::ipv6)
        throw std::invalid_argument("'" + str() + "' is not an IP endpoint: it has no port");
    endpoint result = *this;
    in_port_t const native = htons(port);
    std::memcpy(result.bytes_.data() + offsetof(sockaddr_in, sin_port), &native, sizeof native);
    return result;
}

std::string endpoint::path() const
{
    if (family() != address_family::unix_domain)
        return {};
    auto const native = load<sockaddr_un>(bytes_.data());
    if (is_abstract())
        return '@' + std::string(native.sun_path + 1, size_ - path_offset - 1);

    std::string path(native.sun_path, ::strnlen(native.sun_path, path_capacity));
    // A client may bind a file of that name: it must not pass for an abstract name.
    return path.starts_with('@') ? "./" + path : path;
}

bool endpoint::is_abstract() const noexcept
{
    return family() == address_family::unix_domain && bytes_[path_offset] == 0;
}

std::string endpoint::str() const
{
    switch (family())
    {
    case address_family::ipv4:
        return host() + ':' + std::to_string(port());
    case address_family::ipv6:
        return (dual_stack_ ? ":" : '[' + host() + "]:") + std::to_string(port());
    case address_family::unix_domain:
        return std::string(unix_prefix) + path();
    default:
        return "unnamed";
    }
}

void endpoint::throw_unfit() const
{
    throw std::invalid_argument("'" + str() + "' is of a family that this type cannot hold");
}

std::ostream& operator<<(std::ostream& stream, endpoint const& value)
{
    return stream << value.str();
}

} // namespace socketserver

std::size_t std::hash<socketserver::endpoint>::operator()(
    socketserver::endpoint const& value) const noexcept
{
    std::string_view const bytes(static_cast<char const*>(value.data()), value.size());
    return std::hash<std::string_view>()(bytes) ^ (value.is_dual_stack() ? 1 : 0);
}
