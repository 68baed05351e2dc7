/*
 * Listening sockets: parse "address:port", bind, and say which port it became.
 *
 * The sockets are made here and not by libmicrohttpd, for precise errors and for port 0. Addresses are
 * literal: a service must not depend on a resolver to start.
 */
#include "machine/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/number.h"

#define LISTEN_BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */
/*
 * Bytes of an answer that a connection's socket takes ahead of what its reader has room for. The kernel's own
 * buffer may grow to megabytes and says that it can take more only when a third of it is free: libmicrohttpd
 * would see nothing happen for longer than its idle time-out, and cut a reader that is merely slow. It also
 * bounds what slow readers hold.
 */
#define LISTEN_AHEAD (128 * 1024)

static int bad_address(const char *text, struct err *err) {
    return err_set(
        err, ERR_USAGE,
        "the listen address \"%.100s\" is not understood: write IPv4:port or [IPv6]:port, for example "
        "127.0.0.1:8080 or [::1]:8080 (port 0 takes any free port); http:// or https:// may stand in front",
        text);
}

int http_address_parse(const char *text, struct http_listen_address *ret, struct err *err) {
    struct http_listen_address address = {.scheme = HTTP_EITHER};
    if (strncmp(text, "http://", 7) == 0) {
        address.scheme = HTTP_PLAIN;
        text += 7;
    } else if (strncmp(text, "https://", 8) == 0) {
        address.scheme = HTTP_TLS;
        text += 8;
    }
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || !u64_parse(colon + 1, strlen(colon + 1), 65535, &port)) {
        return bad_address(text, err);
    }
    const char *host = text;
    size_t len = (size_t)(colon - text);
    address.port = (uint16_t)port;
    bool brackets = len >= 2 && host[0] == '[' && host[len - 1] == ']';
    if (brackets) {
        host++;
        len -= 2;
    }
    /* "[::ffff:1.2.3.4]" would silently become an IPv4 socket; nobody means that. */
    if (!ip_parse(host, len, &address.addr) || brackets != (address.addr.family == IP_V6)) {
        return bad_address(text, err);
    }
    *ret = address;
    return 0;
}

bool http_address_is_loopback(const struct http_listen_address *address) {
    static const uint8_t LOOPBACK6[16] = {[15] = 1};
    if (address->addr.family == IP_V4) {
        return address->addr.bytes[0] == 127;
    }
    return memcmp(address->addr.bytes, LOOPBACK6, sizeof(LOOPBACK6)) == 0;
}

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t to_socket_address(const struct http_listen_address *address, union socket_address *out) {
    memset(out, 0, sizeof(*out));
    if (address->addr.family == IP_V4) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(address->port);
        memcpy(&out->v4.sin_addr, address->addr.bytes, 4);
        return sizeof(out->v4);
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(address->port);
    memcpy(&out->v6.sin6_addr, address->addr.bytes, 16);
    return sizeof(out->v6);
}

static int bound_text(int fd, const struct http_listen_address *address, char text[HTTP_ADDRESS_TEXT_MAX]) {
    union socket_address bound;
    socklen_t len = sizeof(bound);
    if (getsockname(fd, &bound.any, &len) != 0) {
        return -1;
    }
    char ip[IP_TEXT_MAX];
    ip_format(&address->addr, ip);
    bool v6 = address->addr.family == IP_V6;
    unsigned port = ntohs(v6 ? bound.v6.sin6_port : bound.v4.sin_port);
    snprintf(text, HTTP_ADDRESS_TEXT_MAX, v6 ? "[%s]:%u" : "%s:%u", ip, port);
    return 0;
}

static int set_options(int fd, bool v6) {
    const int on = 1;
    const int ahead = LISTEN_AHEAD;
    /* Connections inherit it; without it they are only slower to be seen as read. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &ahead, sizeof(ahead));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
        return -1;
    }
    /* "[::]:80" and "0.0.0.0:80" may then stand side by side, whatever the system's default is. */
    return v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) : 0;
}

int listen_open(const char *text, int *ret_fd, char bound[HTTP_ADDRESS_TEXT_MAX], struct err *err) {
    struct http_listen_address address;
    if (http_address_parse(text, &address, err) != 0) {
        return -1;
    }
    bool v6 = address.addr.family == IP_V6;
    union socket_address name;
    socklen_t len = to_socket_address(&address, &name);
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_set(err, ERR_USAGE, "cannot listen on %s: no socket: %s", text, strerror(errno));
    }
    if (set_options(fd, v6) != 0 || bind(fd, &name.any, len) != 0 || listen(fd, LISTEN_BACKLOG) != 0 ||
        bound_text(fd, &address, bound) != 0) {
        int saved = errno;
        close(fd);
        return err_set(
            err, ERR_USAGE, "cannot listen on %s: %s%s", text, strerror(saved),
            saved == EADDRINUSE ? "; another program, or another instance of this one, has the port" : "");
    }
    *ret_fd = fd;
    return 0;
}

bool listen_remote_ip(const struct sockaddr *peer, struct ip_addr *ret) {
    union socket_address name;
    if (peer->sa_family == AF_INET) {
        memcpy(&name.v4, peer, sizeof(name.v4));
        *ret = (struct ip_addr){.family = IP_V4};
        memcpy(ret->bytes, &name.v4.sin_addr, 4);
        return true;
    }
    if (peer->sa_family == AF_INET6) {
        memcpy(&name.v6, peer, sizeof(name.v6));
        *ret = (struct ip_addr){.family = IP_V6};
        memcpy(ret->bytes, &name.v6.sin6_addr, 16);
        return true;
    }
    return false;
}

bool listen_remote_network(const struct sockaddr *peer, struct ip_addr *ret) {
    struct ip_addr addr;
    if (!listen_remote_ip(peer, &addr)) {
        return false;
    }
    if (addr.family == IP_V6) {
        memset(addr.bytes + 8, 0, 8);
    }
    *ret = addr;
    return true;
}

bool listen_remote_text(const struct sockaddr *peer, char text[HTTP_ADDRESS_TEXT_MAX]) {
    struct ip_addr addr;
    char ip[IP_TEXT_MAX];
    if (!listen_remote_ip(peer, &addr)) {
        return false;
    }
    in_port_t port;
    /* sin_port and sin6_port stand in the same place. */
    memcpy(&port, (const char *)peer + offsetof(struct sockaddr_in, sin_port), sizeof(port));
    ip_format(&addr, ip);
    snprintf(text, HTTP_ADDRESS_TEXT_MAX, addr.family == IP_V6 ? "[%s]:%u" : "%s:%u", ip,
             (unsigned)ntohs(port));
    return true;
}
