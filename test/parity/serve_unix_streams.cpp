// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

#include "serve.hpp"

#include <socketserver/stream_server.hpp>

void parity::serve_unix_streams()
{
    serve<socketserver::unix_stream_server>();
}
