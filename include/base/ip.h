/*
 * IP address text: strict parsing, canonical printing (RFC 5952), CIDR and address:port forms.
 *
 * What is accepted is what Calico's Go types accept: dotted quads without leading zeros, IPv6 with
 * "::" and an embedded dotted quad, no zone. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is the
 * IPv4 address. All functions are pure and thread-safe.
 */
#ifndef BGPPEERD_BASE_IP_H
#define BGPPEERD_BASE_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define IP_TEXT_MAX      46 /* longest canonical text plus NUL */
#define IP_CIDR_TEXT_MAX 50 /* plus "/128" */

enum ip_family { IP_NONE = 0, IP_V4 = 4, IP_V6 = 6 };

struct ip_addr {
    uint8_t family;    /* enum ip_family */
    uint8_t bytes[16]; /* network order; IPv4 uses the first four, the rest are 0 */
};

struct ip_cidr {
    struct ip_addr addr; /* as written: host bits are kept */
    uint8_t prefix;      /* 0–32 or 0–128 */
};

/* "IP", "IPv4:port" or "[IP]:port"; port is decimal, 1–65535, leading zeros allowed. */
struct ip_endpoint {
    struct ip_addr addr;
    uint16_t port; /* 0 = none written */
};

/* `len` bytes, no surrounding space. false = not an address; *ret untouched. */
bool ip_parse(const char *text, size_t len, struct ip_addr *ret);
/*
 * An address with "/prefix"; the prefix is required, decimal, without sign. Leading zeros change nothing
 * (10.0.0.0/08): Go's net.ParseCIDR takes them. That of an IPv4-mapped address counts IPv6 bits:
 * ::ffff:10.0.0.1/120 is 10.0.0.1/24, and less than /96 is refused.
 */
bool ip_parse_cidr(const char *text, size_t len, struct ip_cidr *ret);
/* A CIDR, or a bare address (whose prefix is then 32 or 128). */
bool ip_parse_cidr_or_addr(const char *text, size_t len, struct ip_cidr *ret);
bool ip_parse_endpoint(const char *text, size_t len, struct ip_endpoint *ret);

/* Canonical text into `out` (IP_TEXT_MAX bytes); returns its length. */
size_t ip_format(const struct ip_addr *addr, char out[IP_TEXT_MAX]);

#define IP_RANGES_MAX 64
struct ip_ranges {
    size_t count;
    struct ip_cidr items[IP_RANGES_MAX];
};
/* CIDRs and bare addresses, separated by commas, with blanks around them or not; "" is none. ERR_INVALID
 * names the piece that is neither, or says that there are too many. */
int ip_ranges_parse(const char *text, struct ip_ranges *ret, struct err *err) MUST_CHECK;
bool ip_ranges_contain(const struct ip_ranges *ranges, const struct ip_addr *addr);

/* By family (IPv4 first), then numerically: <0, 0, >0. */
int ip_compare(const struct ip_addr *a, const struct ip_addr *b);
/*
 * What keeps the address from being any host's: "the unspecified address", "a loopback address", "a multicast
 * address" (RFC 1112, RFC 4291) or "the broadcast address" (RFC 919); NULL: nothing. Static text.
 */
const char *ip_no_host(const struct ip_addr *addr);
/* The address with its host bits cleared. `prefix` is at most 32 or 128. */
struct ip_addr ip_network(const struct ip_addr *addr, uint8_t prefix);
/* "the network's own address", "the network's broadcast address" (IPv4) or "the network's anycast address"
 * (IPv6) when the address is one of a network of that length; NULL: it is a host's. Static text. A /31 or
 * /127 has two hosts (RFC 3021, RFC 6164), a /32 or /128 is one. */
const char *ip_edge_of_network(const struct ip_addr *addr, uint8_t prefix);
/* Does the network hold the address? Never one of another family. */
bool ip_network_holds(const struct ip_cidr *network, const struct ip_addr *addr);
static inline bool ip_is_set(const struct ip_addr *a) {
    return a->family != IP_NONE;
}

#endif
