// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#ifndef SOCKETSERVER_ENDPOINT_HPP
#define SOCKETSERVER_ENDPOINT_HPP

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iosfwd>
#include <string>
#include <string_view>

#include <socketserver/config.hpp>

namespace socketserver {

/** The kinds of address that an endpoint can hold. */
enum class address_family
{
    /** No address: a default constructed endpoint, a Unix client that bound no name. */
    none,
    /** IPv4; an IPv4 client of an IPv6 socket too. */
    ipv4,
    /** IPv6; every interface in both families (`:8009`) too. */
    ipv6,
    /** A Unix socket: a path in the file system, or an abstract name. */
    unix_domain
};

/** Where a server listens, and who a client is.

    A value that holds one socket address of any family, inline: making, copying and comparing
    one allocates nothing. It comes from text, from an Asio endpoint or from the bytes of a
    `sockaddr`, and goes back to each of them.

    | text                | meaning                                                            |
    | ------------------- | ------------------------------------------------------------------ |
    | `127.0.0.1:8009`    | an IPv4 address and a port                                         |
    | `0.0.0.0:8009`      | every interface, IPv4 alone                                        |
    | `localhost:8009`    | the same as `127.0.0.1:8009`; no resolver is asked                 |
    | `[::1]:8009`        | an IPv6 address and a port                                         |
    | `[fe80::1%2]:8009`  | a link-local address, its scope the name or number of an interface |
    | `[::]:8009`         | every interface, IPv6 alone                                        |
    | `:8009`             | every interface, IPv6 and IPv4: see @ref is_dual_stack             |
    | `unix:/run/app`     | a Unix socket in the file system; the path may be relative         |
    | `unix:@name`        | a Unix socket in Linux's abstract namespace                        |

    Any other text is refused, host names too: looking them up would make starting a server
    depend on a resolver. Port 0 asks the system for a free port.

    One address has one value. An IPv4 address mapped into IPv6, as a dual-stack socket reports
    its IPv4 clients, becomes the IPv4 address; an IPv6 flow label is left out, and so is a scope
    where the address needs none. An endpoint made from what @ref str gives is equal to the one
    that gave it, unless that was made from native bytes and holds no address, an empty abstract
    name (`unix:@`) or a relative path that begins with `@` (given as `unix:./@...`, which names
    the same file).

    @par Example
    @code
    endpoint const where = "[::1]:0";
    endpoint const real = where.with_port(8009);
    std::cout << real << '\n';                      // [::1]:8009
    auto const address = real.to<boost::asio::ip::tcp::endpoint>();
    @endcode

    @par Thread safety
    Distinct objects: safe. Shared objects: unsafe while one thread modifies.
*/
class SOCKETSERVER_DECL endpoint
{
public:
    /** Make an endpoint that holds no address.

        @throws Nothing.
    */
    endpoint() noexcept = default;

    /** Make an endpoint from text.

        @param text One of the forms in the description of the class. Nothing may precede or
        follow it. An IPv6 scope that is an interface name is looked up now. An abstract name may
        contain any byte, a path any but NUL.

        @throws std::invalid_argument if `text` has another form: what() names the text, says
        what is wrong with it and which forms there are.
    */
    endpoint(std::string_view text);

    /** Make an endpoint from text.

        @copydetails endpoint(std::string_view)
    */
    endpoint(std::string const& text)
        : endpoint(std::string_view(text))
    {
    }

    /** Make an endpoint from text that ends with a NUL.

        @copydetails endpoint(std::string_view)
    */
    endpoint(char const* text)
        : endpoint(text ? std::string_view(text) : std::string_view())
    {
    }

    /** A null pointer is no text. */
    endpoint(std::nullptr_t) = delete;

    /** Make an endpoint from one of Asio's.

        Equivalent to `endpoint::from_native(address.data(), address.size())`.

        @param address An endpoint of any protocol of Asio's: `ip::tcp`, `ip::udp`, `local`,
        `generic`. It is copied.

        @throws std::invalid_argument if it is neither an IP nor a Unix address.
    */
    template <class AsioEndpoint>
    requires requires(AsioEndpoint const& address)
    {
        address.protocol().family();
        address.data();
        address.size();
    }
    endpoint(AsioEndpoint const& address)
        : endpoint(from_native(address.data(), address.size()))
    {
    }

    /** Make an endpoint from a `sockaddr`, as `accept` and `recvfrom` fill it in.

        @param address The first byte of the `sockaddr`; it needs no alignment and is copied.
        Not read if `size` is 0.

        @param size What the system gave as the length of the address. The system's length for
        a Unix path of 108 bytes is 111, one more than the `sockaddr_un` has; the excess is not
        read.

        @return The endpoint; one that holds no address if `size` is 0, if the family is
        `AF_UNSPEC`, or for a Unix socket that bound no name.

        @throws std::invalid_argument if the family is another one, or `size` is too small for it.
    */
    static endpoint from_native(void const* address, std::size_t size);

    /** The family of the address.

        @return The family; `none` without an address.

        @throws Nothing.
    */
    address_family family() const noexcept;

    /** The numeric IP address, without brackets: `127.0.0.1`, `::1`.

        A scope is given as the name of the interface if it has one at this time (the system is
        asked), as its number otherwise.

        @return The text; empty for both families (@ref is_dual_stack), for a Unix socket and
        without an address.

        @throws std::bad_alloc
    */
    std::string host() const;

    /** The port, in host byte order.

        @return The port; 0 for a Unix socket and without an address.

        @throws Nothing.
    */
    std::uint16_t port() const noexcept;

    /** The same endpoint with another port.

        A dual-stack endpoint stays one: a server that listened on `:0` gives its real address
        this way.

        @param port The new port, in host byte order.

        @return The copy that has it.

        @throws std::invalid_argument if this is not an IP address.
    */
    endpoint with_port(std::uint16_t port) const;

    /** The path of a Unix socket, or its abstract name after an `@`.

        @return The text, which for a client may hold whatever bytes the client chose; empty for
        an IP address and without an address.

        @throws std::bad_alloc
    */
    std::string path() const;

    /** Whether this is a name in Linux's abstract namespace: `unix:@name`.

        @return `true` if it is one.

        @throws Nothing.
    */
    bool is_abstract() const noexcept;

    /** Whether this is every interface in both families: `:8009`.

        The native address is then `[::]` with the port, to be bound with `IPV6_V6ONLY` off; on
        a system without IPv6 it is for whoever binds it to bind `0.0.0.0` instead. Only text
        makes such an endpoint: the native bytes of `[::]:8009` are the same.

        @return `true` if it is.

        @throws Nothing.
    */
    bool is_dual_stack() const noexcept { return dual_stack_; }

    /** The endpoint as text that makes it again: `127.0.0.1:8009`, `:8009`, `unix:@name`.

        @return The text; `unnamed`, which makes no endpoint, if it holds no address.

        @throws std::bad_alloc
    */
    std::string str() const;

    /** The bytes of the `sockaddr`, for `bind` and `connect`.

        @return A pointer into this object, aligned for any `sockaddr`, valid as long as the
        object lives and is not assigned to.

        @throws Nothing.
    */
    void const* data() const noexcept { return bytes_.data(); }

    /** How many bytes @ref data has.

        @return 16 for IPv4, 28 for IPv6, at most 110 for a Unix socket; 0 if there is no address.

        @throws Nothing.
    */
    std::size_t size() const noexcept { return size_; }

    /** Make one of Asio's endpoints.

        @tparam AsioEndpoint An endpoint type of Asio's, such as `ip::tcp::endpoint`,
        `local::stream_protocol::endpoint` or `generic::stream_protocol::endpoint`.

        @return The address, without what Asio has no place for: that it is dual-stack.

        @throws std::invalid_argument if there is no address or it is of a family that
        `AsioEndpoint` cannot hold.
    */
    template <class AsioEndpoint>
    AsioEndpoint to() const
    {
        AsioEndpoint address;
        if (size() > address.capacity())
            throw_unfit();
        std::memcpy(address.data(), data(), size());
        address.resize(size());
        if (size() == 0 || address.protocol().family() != native_family())
            throw_unfit();
        return address;
    }

    /** Compare two endpoints, in an order for sorted containers that groups by family.

        Two endpoints are equal exactly if they have the same address and port and both or none
        is dual-stack.

        @par Exception safety
        Comparing throws nothing; making an endpoint from the text on the other side may.
    */
    friend auto operator<=>(endpoint const&, endpoint const&) noexcept = default;

    /** Write @ref str to a stream, padded to the stream's width.

        @param stream Where to write.

        @param value The endpoint.

        @return `stream`.
    */
    friend SOCKETSERVER_DECL std::ostream& operator<<(std::ostream& stream, endpoint const& value);

private:
    int native_family() const noexcept;
    [[noreturn]] void throw_unfit() const;

    // The largest address is a sockaddr_un of 110 bytes. What lies behind size_ is zero, and so
    // is what an address does not say (padding, flow label): comparing bytes compares values.
    alignas(std::uint64_t) std::array<unsigned char, 112> bytes_ = {};
    std::uint8_t size_ = 0;
    bool dual_stack_ = false;
};

} // namespace socketserver

namespace std {

/** Hashes an endpoint: equal endpoints have equal hashes. */
template <>
struct hash<socketserver::endpoint>
{
    /** The hash of an endpoint.

        @param value The endpoint.

        @return The hash.

        @throws Nothing.
    */
    SOCKETSERVER_DECL size_t operator()(socketserver::endpoint const& value) const noexcept;
};

} // namespace std

#endif
