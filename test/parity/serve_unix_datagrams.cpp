// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "serve.hpp"

#include <socketserver/datagram_server.hpp>

void parity::serve_unix_datagrams()
{
    serve<socketserver::unix_datagram_server>();
}
