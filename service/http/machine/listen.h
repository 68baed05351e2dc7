/* Listening sockets. */
#ifndef BGPPEERD_HTTP_MACHINE_LISTEN_H
#define BGPPEERD_HTTP_MACHINE_LISTEN_H

#include <stdbool.h>

#include "base/err.h"
#include "http.h"

/* Bind and listen; ERR_USAGE says which address and why not. `bound` receives the bound address. */
int listen_open(const char *text, int *ret_fd, char bound[HTTP_ADDRESS_TEXT_MAX], struct err *err) MUST_CHECK;

/* The address of a connected peer; false: neither IPv4 nor IPv6. */
struct sockaddr;
bool listen_remote_ip(const struct sockaddr *peer, struct ip_addr *ret);
/* Whom a limit per address means: the address; of an IPv6 one its first 64 bits, because who has one address
 * of such a network has them all. */
bool listen_remote_network(const struct sockaddr *peer, struct ip_addr *ret);
/* "192.0.2.7:40112" of a connected peer; false: neither IPv4 nor IPv6. */
bool listen_remote_text(const struct sockaddr *peer, char text[HTTP_ADDRESS_TEXT_MAX]);

#endif
