// One public header, as its users spell it: alone, and twice.
#define SOCKETSERVER_HEADER <HEADER>
#include SOCKETSERVER_HEADER
#include SOCKETSERVER_HEADER
