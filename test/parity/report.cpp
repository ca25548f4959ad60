// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "report.hpp"

#include <boost/system/system_error.hpp>

#include <new>
#include <stdexcept>
#include <system_error>
#include <unistd.h>

namespace parity {

using socketserver::address_family;
using socketserver::endpoint;

namespace {

python_error os_error(std::error_code const& code)
{
    auto const number = std::to_string(code.value());
    if (code == std::errc::timed_out)
        return {"TimeoutError", number};
    if (code == std::errc::connection_reset)
        return {"ConnectionResetError", number};
    if (code == std::errc::broken_pipe)
        return {"BrokenPipeError", number};
    return {"OSError", number};
}

std::string host_in_words(endpoint const& address)
{
    if (address.is_dual_stack())
        return "::";
    // To a socket of IPv6 a client of IPv4 is one of IPv6.
    bool const is_mapped = address.family() == address_family::ipv4 && word("family") == "inet6";
    return (is_mapped ? "::ffff:" : "") + address.host();
}

} // namespace

void write_line(std::string line)
{
    line += '\n';
    [[maybe_unused]] auto const n = ::write(STDOUT_FILENO, line.data(), line.size());
}

python_error in_python(std::exception_ptr error)
{
    try
    {
        std::rethrow_exception(error);
    }
    catch (boost::system::system_error const& e)
    {
        return os_error(e.code());
    }
    catch (std::system_error const& e)
    {
        return os_error(e.code());
    }
    catch (std::logic_error const&)
    {
        return {"ValueError"};
    }
    catch (std::runtime_error const&)
    {
        return {"RuntimeError"};
    }
    catch (std::bad_alloc const&)
    {
        return {"MemoryError"};
    }
    catch (system_exit const&)
    {
        return {"SystemExit"};
    }
    catch (...)
    {
        return {"Exception"};
    }
}

std::string in_words(endpoint const& address)
{
    switch (address.family())
    {
    case address_family::none:
    case address_family::unix_domain:
        return '\'' + address.path() + '\'';
    default:
        return host_in_words(address) + ' ' + std::to_string(address.port());
    }
}

std::string utf8(std::string_view latin1)
{
    std::string text;
    for (char const c : latin1)
    {
        auto const code = static_cast<unsigned char>(c);
        if (code < 0x80)
            text += c;
        else
        {
            text += static_cast<char>(0xc0 | code >> 6);
            text += static_cast<char>(0x80 | (code & 0x3f));
        }
    }
    return text;
}

} // namespace parity
