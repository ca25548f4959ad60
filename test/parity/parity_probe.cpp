// Copyright (c) the socketserver authors
// Distributed under the Boost Software License, Version 1.0.
// (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)

// A server that can be told to be any server, to fail at any step and to report every step: the
// contract in README.md beside this file.  reference_probe.py is the same program in Python.

#include <socketserver/log.hpp>
#include <socketserver/make_server.hpp>
#include <socketserver/request_handler.hpp>
#include <socketserver/stream_server.hpp>

#include <boost/program_options.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <concepts>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <future>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <system_error>
#include <thread>
#include <type_traits>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

namespace po = boost::program_options;
using namespace socketserver;
using steady = std::chrono::steady_clock;

// ---------------------------------------------------------------- what is asked for

// The words of the command line for what the library calls otherwise.
std::map<std::string, char const*> const strategies{
    {"sync", "synchronous"},
    {"thread", "threading"},
    {"fork", "forking"},
    {"pool", "thread-pool:16"},
    {"prefork", "preforking:8"},
    {"coroutine", "coroutine"},
};

po::variables_map given;
std::set<std::string> injected;
bool traced_steps = false;

template <class T>
std::optional<T> option(char const* name)
{
    if (given.count(name) == 0)
        return {};
    return given[name].as<T>();
}

bool flag(char const* name)
{
    return given[name].as<bool>();
}

std::chrono::nanoseconds seconds(double s)
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(s));
}

void read_command_line(int argc, char** argv)
{
    auto const word = [](char const* initially) {
        return po::value<std::string>()->default_value(initially);
    };

    po::options_description all("parity_probe");
    all.add_options()("family", word("inet"), "inet, inet6 or unix");
    all.add_options()("type", word("stream"), "stream or dgram");
    all.add_options()("strategy", word("sync"), "sync, thread, fork, pool, prefork or coroutine");
    all.add_options()("host", po::value<std::string>(), "127.0.0.1, or ::1");
    all.add_options()("port", word("0"), "port");
    all.add_options()("path", po::value<std::string>(), "path of a Unix socket");
    all.add_options()("poll", po::value<double>()->default_value(0.5), "poll interval in s");
    all.add_options()("timeout", po::value<double>(), "how long handle_request() waits, in s");
    all.add_options()("queue", po::value<int>(), "request_queue_size");
    all.add_options()("reuse-addr", po::value<int>(), "allow_reuse_address");
    all.add_options()("max-children", po::value<std::size_t>(), "max_children");
    all.add_options()("max-packet", po::value<std::size_t>(), "max_packet_size");
    all.add_options()("block-on-close", po::value<int>(), "block_on_close");
    all.add_options()("daemon-threads", po::value<int>(), "daemon_threads");
    all.add_options()("handler-timeout", po::value<double>(), "the handler's timeout in s");
    all.add_options()("rbuf", po::value<long>(), "the handler's rbufsize; -1 for the default");
    all.add_options()("wbuf", po::value<long>(), "the handler's wbufsize; -1 for the default");
    all.add_options()("nodelay", po::bool_switch(), "the handler's disable_nagle_algorithm");
    all.add_options()("no-activate", po::bool_switch(), "neither bind nor listen");
    all.add_options()("trace", po::bool_switch(), "report every step");
    all.add_options()("deny", po::bool_switch(), "let nobody in");
    all.add_options()("inject", po::value<std::vector<std::string>>(),
        "fail in get_request_os, get_request, verify, process, setup, finish, handle_error or "
        "service");
    all.add_options()("mode", word("verbs"), "verbs, or noread: answer without reading");
    all.add_options()("nofile", po::value<rlim_t>(), "most descriptors");

    po::store(po::parse_command_line(argc, argv, all), given);
    po::notify(given);
    auto const one_of = [](char const* name, std::set<std::string> const& words) {
        if (!words.contains(given[name].as<std::string>()))
            throw po::validation_error(
                po::validation_error::invalid_option_value, name, given[name].as<std::string>());
    };
    one_of("family", {"inet", "inet6", "unix"});
    one_of("type", {"stream", "dgram"});
    one_of("strategy", {"sync", "thread", "fork", "pool", "prefork", "coroutine"});
    one_of("mode", {"verbs", "noread"});
    for (auto const& point :
        option<std::vector<std::string>>("inject").value_or(std::vector<std::string>()))
        injected.insert(point);
    traced_steps = flag("trace");
}

// ---------------------------------------------------------------- what is reported

// One write(2) a line: never mixed with another thread's or process's, never held back.
template <class... Words>
void report(Words const&... words)
{
    std::ostringstream line;
    char const* separator = "";
    ((line << separator << words, separator = " "), ...);
    line << '\n';
    auto const text = line.str();
    [[maybe_unused]] auto const n = ::write(STDOUT_FILENO, text.data(), text.size());
}

template <class... Words>
void trace(Words const&... words)
{
    if (traced_steps)
        report("T", words...);
}

// What Python's SystemExit is: not one of the exceptions that are errors.
struct system_exit
{
    int status;
};

// Python's word for an exception, and its errno.
struct python_error
{
    std::string type;
    std::string number = "None";
};

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

void fail_if_asked(char const* point)
{
    if (injected.contains(point))
        throw std::invalid_argument("injected");
}

// As Python gives an address to print.
std::string in_words(endpoint const& address)
{
    switch (address.family())
    {
    case address_family::none:
    case address_family::unix_domain:
        return "'" + address.path() + "'";
    default:
        return (address.is_dual_stack() ? "::" : address.host()) + ' ' +
               std::to_string(address.port());
    }
}

// ---------------------------------------------------------------- the pipeline

pid_t const main_process = ::getpid();
std::atomic<std::thread::id> serving_thread{};
std::atomic<long> loops{0};
std::atomic<int> in_threads{0};
// The threads of this program that are no strategy's.
std::atomic<int> own_threads{1};

// The hooks, between the strategy and ready.
template <class Server>
class traced : public Server
{
    using request = typename Server::request_type;

    static constexpr bool has_threads = requires(Server & s) { s.max_threads; }
    || requires(Server& s) { s.pool_workers; };

public:
    using Server::Server;

    std::optional<typename Server::accepted> get_request() override
    {
        auto taken = Server::get_request();
        if (!taken)
            return taken;
        trace("get_request");
        if (injected.contains("get_request_os"))
            throw boost::system::system_error(boost::asio::error::connection_aborted, "injected");
        fail_if_asked("get_request");
        return taken;
    }

    bool verify_request(request&, endpoint const&) override
    {
        trace("verify_request");
        fail_if_asked("verify");
        return !flag("deny");
    }

    void process_request(request& r, endpoint const& client_address) override
    {
        trace("process_request");
        fail_if_asked("process");
        in_threads += has_threads;
        try
        {
            Server::process_request(r, client_address);
        }
        catch (...)
        {
            in_threads -= has_threads;
            throw;
        }
        trace("process_request_return");
    }

    void finish_request(request& r, endpoint const& client_address) override
    {
        trace("finish_request");
        Server::finish_request(r, client_address);
    }

    void shutdown_request(request& r) override
    {
        trace("shutdown_request");
        // The last step of a request that a thread runs; those of the loop were never in one.
        struct leaving
        {
            bool a_thread = has_threads && std::this_thread::get_id() != serving_thread.load();
            ~leaving() { in_threads -= a_thread; }
        } const end;
        Server::shutdown_request(r);
    }

    void close_request(request& r) override
    {
        trace("close_request");
        Server::close_request(r);
    }

    void handle_error(request&, endpoint const&, std::exception_ptr error) override
    {
        trace("handle_error", in_python(error).type);
        if (injected.contains("handle_error"))
            throw std::runtime_error("from handle_error");
    }

    void handle_timeout() override
    {
        trace("handle_timeout");
        Server::handle_timeout();
    }

    void service_actions() override
    {
        ++loops;
        fail_if_asked("service");
        Server::service_actions();
    }

    void server_bind() override
    {
        trace("server_bind");
        Server::server_bind();
    }

    void server_activate() override
    {
        trace("server_activate");
        Server::server_activate();
    }

    void server_close() override
    {
        trace("server_close");
        Server::server_close();
    }
};

// ---------------------------------------------------------------- the handler

// The first line of a request is a verb with its argument; what is done is what the verb says.
template <class Request>
class verbs final : public request_handler_for<Request>::type
{
    static constexpr bool is_stream = std::same_as<Request, stream>;

public:
    verbs()
    {
        if constexpr (is_stream)
        {
            if (auto const s = option<double>("handler-timeout"))
                this->timeout = seconds(*s);
            this->rbufsize = size_of("rbuf", this->rbufsize);
            this->wbufsize = size_of("wbuf", this->wbufsize);
            this->disable_nagle_algorithm = flag("nodelay");
        }
    }

    void setup() override
    {
        trace("setup");
        fail_if_asked("setup");
    }

    void finish() override
    {
        trace("finish");
        fail_if_asked("finish");
    }

    void handle() override
    {
        trace("handle");
        if (given["mode"].as<std::string>() == "noread")
            return say("bye");
        auto const line = read_line();
        std::string_view words = line;
        if (words.ends_with('\n'))
            words.remove_suffix(1);
        auto const space = std::min(words.find(' '), words.size());
        auto const verb = words.substr(0, space);
        std::string const argument(words.substr(std::min(space + 1, words.size())));

        if (verb == "echo")
            say(argument);
        else if (verb == "addr")
            say(in_words(this->client_address()));
        else if (verb == "saddr")
            say(in_words(this->server().server_address()));
        else if (verb == "pid")
            say(::getpid() == main_process ? "same" : "other");
        else if (verb == "tid")
            say(std::this_thread::get_id() == serving_thread.load() ? "same" : "other");
        else if (verb == "raise")
            throw std::invalid_argument(argument);
        else if (verb == "raise-after")
        {
            say(argument);
            throw std::invalid_argument(argument);
        }
        else if (verb == "exit")
            throw system_exit{3};
        else if (verb == "killself")
            ::kill(::getpid(), SIGKILL);
        else if (verb == "sleep")
            sleep_and_say(argument);
        else if (verb == "big")
            write(std::string(std::stoul(argument), 'x'));
        else if (verb == "lines")
        {
            for (auto more = read_line(); !more.empty(); more = read_line())
                write(more);
        }
        else if (verb == "slurp")
            say(std::to_string(std::distance(std::istreambuf_iterator<char>(this->rfile()), {})));
        else if (verb == "len")
            say(std::to_string(line.size()));
        else if (verb == "silent")
            return;
        else if (verb == "print")
        {
            std::puts(argument.c_str());
            say("ok");
        }
        else if (verb == "shutdown-here")
        {
            say("begin");
            this->server().shutdown();
            say("end");
        }
        else if (verb == "partial")
            write("part");
        else if (verb == "peek2")
            write(read_line());
        else if (verb == "")
            say("eof");
        else if (!handle_of_transport(verb))
            say("? " + std::string(verb));
    }

private:
    static std::size_t size_of(char const* name, std::size_t initially)
    {
        auto const size = option<long>(name).value_or(-1);
        return size < 0 ? initially : static_cast<std::size_t>(size);
    }

    // A line with its newline, which the last line may lack; empty at the end.
    std::string read_line()
    {
        auto& in = this->rfile();
        std::string line;
        if (std::getline(in, line) && !in.eof())
            line += '\n';
        return line;
    }

    void write(std::string_view text) { this->wfile() << text; }

    void say(std::string_view line) { write(std::string(line) + '\n'); }

    void sleep_and_say(std::string const& argument)
    {
        std::size_t end = 0;
        auto const time = seconds(std::stod(argument, &end));
        if (end == argument.size())
            throw std::invalid_argument("sleep SECONDS TEXT");
        std::this_thread::sleep_for(time);
        say(argument.substr(end + 1));
    }

    // The verbs that only one kind of transport has.
    bool handle_of_transport(std::string_view verb)
    {
        if constexpr (is_stream)
        {
            if (verb == "wfileclosed")
            {
                say("x");
                this->request().shutdown_send();
                return true;
            }
        }
        return false;
    }
};

// ---------------------------------------------------------------- standard input

// Lines of a descriptor.  Signals interrupt the wait for them, which is all that they do.
class command_lines
{
public:
    // The next line, or the end.
    std::optional<std::string> next()
    {
        for (;;)
        {
            if (auto const end = held_.find('\n'); end != held_.npos)
            {
                auto line = held_.substr(0, end);
                held_.erase(0, end + 1);
                return line;
            }
            char some[4096];
            auto const n = ::read(STDIN_FILENO, some, sizeof some);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return held_.empty() ? std::optional<std::string>() : std::exchange(held_, {});
            held_.append(some, static_cast<std::size_t>(n));
        }
    }

private:
    std::string held_;
};

// Carries out commands, in the main thread.
template <class Server>
class commands
{
public:
    explicit commands(Server& server)
        : server_(server)
    {
    }

    // Returns at the end of the commands.
    void run()
    {
        command_lines lines;
        while (auto const line = lines.next())
        {
            std::istringstream words(*line);
            std::string verb;
            if (!(words >> verb))
                continue;
            if (verb == "quit")
                return;
            auto const began = steady::now();
            std::string detail;
            try
            {
                detail = carry_out(verb, words);
            }
            catch (...)
            {
                detail = in_python(std::current_exception()).type;
            }
            auto const took =
                std::chrono::duration_cast<std::chrono::milliseconds>(steady::now() - began);
            report("DONE", verb, took.count(), detail);
        }
    }

private:
    std::string carry_out(std::string const& verb, std::istream& arguments)
    {
        if (verb == "serve")
            serve();
        else if (verb == "shutdown")
            server_.shutdown();
        else if (verb == "ashutdown")
            in_background([this] {
                server_.shutdown();
                report("ASHUTDOWN returned");
            });
        else if (verb == "close")
            server_.server_close();
        else if (verb == "handle")
        {
            serving_thread = std::this_thread::get_id();
            server_.handle_request();
        }
        else if (verb == "join")
        {
            double patience = 0;
            if (!(arguments >> patience) || !loop_.valid())
                throw std::invalid_argument("join SECONDS, after serve");
            return loop_.wait_for(seconds(patience)) == std::future_status::ready ? "dead"
                                                                                  : "alive";
        }
        else if (verb == "children")
            return std::to_string(children());
        else if (verb == "threads")
            return std::to_string(in_threads);
        else if (verb == "tracked")
            return tracked();
        else if (verb == "loops")
            return std::to_string(loops);
        else if (verb == "fileno")
            return std::to_string(server_.fileno());
        else if (verb == "cpu")
        {
            timespec used{};
            ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
            return std::to_string(used.tv_sec * 1000 + used.tv_nsec / 1000000);
        }
        return {};
    }

    template <class F>
    static void in_background(F f)
    {
        ++own_threads;
        std::thread([f = std::move(f)]() mutable {
            f();
            --own_threads;
        }).detach();
    }

    void serve()
    {
        std::promise<void> ended;
        loop_ = ended.get_future();
        in_background([this, ended = std::move(ended)]() mutable {
            serving_thread = std::this_thread::get_id();
            try
            {
                server_.serve_forever(seconds(given["poll"].as<double>()));
                report("SERVE_RETURN ok");
            }
            catch (...)
            {
                report("SERVE_RETURN", in_python(std::current_exception()).type);
            }
            ended.set_value();
        });
    }

    std::size_t children() const
    {
        if constexpr (requires { server_.active_workers(); })
            return server_.active_workers().size();
        else if constexpr (requires { server_.active_children(); })
            return server_.active_children().size();
        else
            return 0;
    }

    // The threads that the strategy keeps and server_close() waits for, idle ones included.
    std::string tracked() const
    {
        constexpr bool daemons = requires
        {
            server_.daemon_threads;
        };
        if constexpr (daemons || requires { server_.pool_workers; })
        {
            if (!server_.block_on_close)
                return "none";
            if constexpr (daemons)
                if (server_.daemon_threads)
                    return "0";
            auto const all = std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                std::filesystem::directory_iterator());
            return std::to_string(std::max<long>(all - own_threads, 0));
        }
        else
            return "none";
    }

    Server& server_;
    std::future<void> loop_;
};

// ---------------------------------------------------------------- the servers

[[noreturn]] void fail(python_error const& error)
{
    report("FAIL", error.type, error.number);
    std::_Exit(9);
}

template <class Server>
void set_attributes(Server& server)
{
    if (auto const s = option<double>("timeout"))
        server.timeout = seconds(*s);
    if (auto const on = option<int>("block-on-close"))
        server.block_on_close = *on != 0;
    if constexpr (requires { server.request_queue_size; })
        if (auto const n = option<int>("queue"))
            server.request_queue_size = *n;
    if constexpr (requires { server.allow_reuse_address; })
        if (auto const on = option<int>("reuse-addr"))
            server.allow_reuse_address = *on != 0;
    if constexpr (requires { server.max_children; })
        if (auto const n = option<std::size_t>("max-children"))
            server.max_children = *n;
    if constexpr (requires { server.max_packet_size; })
        if (auto const n = option<std::size_t>("max-packet"))
            server.max_packet_size = *n;
    if constexpr (requires { server.daemon_threads; })
        if (auto const on = option<int>("daemon-threads"))
            server.daemon_threads = *on != 0;
}

endpoint address()
{
    auto const family = given["family"].as<std::string>();
    if (family == "unix")
        return "unix:" + option<std::string>("path").value_or("");
    auto const port = given["port"].as<std::string>();
    if (family == "inet6")
        return '[' + option<std::string>("host").value_or("::1") + "]:" + port;
    return option<std::string>("host").value_or("127.0.0.1") + ':' + port;
}

// Makes a server, and is it until the end of standard input.
template <class Server>
[[noreturn]] void be()
{
    strategy const choice = strategies.at(given["strategy"].as<std::string>());
    auto const run = [&choice]<class Strategic>(std::type_identity<Strategic>) {
        using server_type = ready<traced<Strategic>>;
        using request_type = typename Server::request_type;
        std::unique_ptr<server_type> server;
        try
        {
            server = std::make_unique<server_type>(
                defer_activation, address(), handler<verbs<request_type>>);
            apply(*server, choice);
            set_attributes(*server);
            if (!flag("no-activate"))
                server->activate();
        }
        catch (...)
        {
            fail(in_python(std::current_exception()));
        }
        auto const& bound = server->server_address();
        report("READY",
            bound.family() == address_family::unix_domain ? bound.path() : in_words(bound));
        commands<server_type>(*server).run();
        ::_exit(EXIT_SUCCESS);
    };
    with_strategy<Server>(choice, run);
    std::abort();
}

} // namespace

int main(int argc, char** argv)
{
    try
    {
        read_command_line(argc, argv);
    }
    catch (po::error const& e)
    {
        std::cerr << "parity_probe: " << e.what() << '\n';
        return 2;
    }
    log_to_stderr();
    // What a handler prints waits here, and is lost with a child that leaves without flushing.
    std::setvbuf(stdout, nullptr, _IOFBF, BUFSIZ);

    struct sigaction nothing = {};
    nothing.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &nothing, nullptr);

    if (auto const most = option<rlim_t>("nofile"))
    {
        rlimit const limit{*most, *most};
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }

    if (given["type"].as<std::string>() == "stream" && given["family"].as<std::string>() != "unix")
        be<tcp_server>();
    fail({"ValueError"});
}
