# tag::all[]
import socketserver


class Greeter(socketserver.StreamRequestHandler):
    timeout = 30

    def setup(self):
        super().setup()
        self.greeted = 0

    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"hello, " + line)
            self.greeted += 1


class LocalServer(socketserver.ThreadingTCPServer):
    def verify_request(self, request, client_address):
        return client_address[0] == "127.0.0.1"


with LocalServer(("", 8009), Greeter) as server:
    server.serve_forever()
# end::all[]
