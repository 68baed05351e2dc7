/* IP address text, read as Go's net package reads it and written as RFC 5952 says. Pure, no locks. */
#include "base/ip.h"

#include <string.h>

#include "decimal.h"

#define V4_BITS       32
#define V6_BITS       128
#define V6_BYTES      16
#define MAPPED_PREFIX 96 /* ::ffff:0:0/96 holds the IPv4-mapped addresses (RFC 4291, 2.5.5.2) */

/* A dotted quad: four decimal octets without leading zeros. */
static bool parse_quad(const char *text, size_t len, uint8_t out[4]) {
    unsigned value = 0;
    size_t digits = 0;
    size_t octet = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '.') {
            if (digits == 0 || octet == 3) {
                return false;
            }
            out[octet++] = (uint8_t)value;
            value = 0;
            digits = 0;
            continue;
        }
        if (c < '0' || c > '9' || (digits != 0 && value == 0)) {
            return false;
        }
        value = value * 10 + (unsigned)(c - '0');
        digits++;
        if (value > UINT8_MAX) {
            return false;
        }
    }
    if (octet != 3 || digits == 0) {
        return false;
    }
    out[3] = (uint8_t)value;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* State of reading an IPv6 address: bytes so far, and where "::" stood among them. */
struct v6_reader {
    uint8_t bytes[V6_BYTES];
    size_t len;
    bool has_gap;
    size_t gap;
};

/* Up to four hexadecimal digits; returns how many were read, 0 for none or too many. */
static size_t read_group(const char *at, const char *end, unsigned *ret) {
    unsigned value = 0;
    size_t digits = 0;
    while (at < end && hex_digit(*at) >= 0) {
        if (++digits > 4) {
            return 0;
        }
        value = value << 4 | (unsigned)hex_digit(*at++);
    }
    *ret = value;
    return digits;
}

static bool read_gap(struct v6_reader *reader) {
    if (reader->has_gap) {
        return false;
    }
    reader->has_gap = true;
    reader->gap = reader->len;
    return true;
}

/* Groups, gap and embedded dotted quad; false on any syntax error. */
static bool read_v6(struct v6_reader *reader, const char *at, const char *end) {
    if (end - at >= 2 && at[0] == ':' && at[1] == ':') {
        read_gap(reader);
        at += 2;
        if (at == end) {
            return true;
        }
    }
    while (reader->len < V6_BYTES) {
        unsigned group;
        size_t digits = read_group(at, end, &group);
        if (digits == 0) {
            return false;
        }
        if (at + digits < end && at[digits] == '.') {
            bool has_place = reader->has_gap ? reader->len <= V6_BYTES - 4 : reader->len == V6_BYTES - 4;
            if (!has_place || !parse_quad(at, (size_t)(end - at), reader->bytes + reader->len)) {
                return false;
            }
            reader->len += 4;
            return true;
        }
        reader->bytes[reader->len++] = (uint8_t)(group >> 8);
        reader->bytes[reader->len++] = (uint8_t)group;
        at += digits;
        if (at == end) {
            return true;
        }
        if (*at++ != ':' || at == end) {
            return false;
        }
        if (*at == ':') {
            if (!read_gap(reader)) {
                return false;
            }
            if (++at == end) {
                return true;
            }
        }
    }
    return false; /* sixteen bytes are full and text is left */
}

static bool parse_v6(const char *text, size_t len, uint8_t out[V6_BYTES]) {
    struct v6_reader reader = {.len = 0};
    if (!read_v6(&reader, text, text + len)) {
        return false;
    }
    /* "::" stands for at least one group, and without it all eight must be there. */
    if ((reader.len == V6_BYTES) == reader.has_gap) {
        return false;
    }
    size_t tail = reader.has_gap ? reader.len - reader.gap : 0;
    memset(out, 0, V6_BYTES);
    memcpy(out, reader.bytes, reader.len - tail);
    memcpy(out + V6_BYTES - tail, reader.bytes + reader.len - tail, tail);
    return true;
}

static bool is_mapped(const uint8_t bytes[V6_BYTES]) {
    static const uint8_t prefix[MAPPED_PREFIX / 8] = {[10] = 0xFF, [11] = 0xFF};
    return memcmp(bytes, prefix, sizeof prefix) == 0;
}

/* `ret_mapped`: the text was that of an IPv6 address, but the address is an IPv4 one. */
static bool parse_address(const char *text, size_t len, struct ip_addr *ret, bool *ret_mapped) {
    struct ip_addr addr = {.family = IP_V4};
    *ret_mapped = false;
    if (len == 0) {
        return false;
    }
    if (memchr(text, ':', len) == NULL) {
        if (!parse_quad(text, len, addr.bytes)) {
            return false;
        }
        *ret = addr;
        return true;
    }
    uint8_t bytes[V6_BYTES];
    if (!parse_v6(text, len, bytes)) {
        return false;
    }
    if (is_mapped(bytes)) {
        *ret_mapped = true;
        memcpy(addr.bytes, bytes + MAPPED_PREFIX / 8, 4);
    } else {
        addr.family = IP_V6;
        memcpy(addr.bytes, bytes, sizeof bytes);
    }
    *ret = addr;
    return true;
}

bool ip_parse(const char *text, size_t len, struct ip_addr *ret) {
    bool mapped;
    return parse_address(text, len, ret, &mapped);
}

bool ip_parse_cidr(const char *text, size_t len, struct ip_cidr *ret) {
    const char *slash = len != 0 ? memchr(text, '/', len) : NULL;
    if (slash == NULL) {
        return false;
    }
    size_t addr_len = (size_t)(slash - text);
    const char *digits = slash + 1;
    size_t digits_len = len - addr_len - 1;
    struct ip_addr addr;
    bool mapped;
    uint64_t prefix;
    if (!parse_address(text, addr_len, &addr, &mapped) ||
        !decimal_parse(digits, digits_len, V6_BITS, &prefix)) {
        return false;
    }
    /* The prefix of a mapped address counts IPv6 bits; shorter than the mapping it names no IPv4 block. */
    if (mapped) {
        if (prefix < MAPPED_PREFIX) {
            return false;
        }
        prefix -= MAPPED_PREFIX;
    }
    if (prefix > (addr.family == IP_V4 ? V4_BITS : V6_BITS)) {
        return false;
    }
    *ret = (struct ip_cidr){.addr = addr, .prefix = (uint8_t)prefix};
    return true;
}

bool ip_parse_cidr_or_addr(const char *text, size_t len, struct ip_cidr *ret) {
    if (len != 0 && memchr(text, '/', len) != NULL) {
        return ip_parse_cidr(text, len, ret);
    }
    struct ip_addr addr;
    if (!ip_parse(text, len, &addr)) {
        return false;
    }
    *ret = (struct ip_cidr){.addr = addr, .prefix = addr.family == IP_V4 ? V4_BITS : V6_BITS};
    return true;
}

/* "host:port" with the host that ends at `host_len`; `colon` is where the ':' must stand. */
static bool parse_host_and_port(const char *host, size_t host_len, const char *colon, const char *end,
                                struct ip_endpoint *ret) {
    struct ip_addr addr;
    uint64_t port;
    if (colon == end || *colon != ':' || !ip_parse(host, host_len, &addr) ||
        !decimal_parse(colon + 1, (size_t)(end - colon) - 1, UINT16_MAX, &port) || port == 0) {
        return false;
    }
    *ret = (struct ip_endpoint){.addr = addr, .port = (uint16_t)port};
    return true;
}

bool ip_parse_endpoint(const char *text, size_t len, struct ip_endpoint *ret) {
    if (len == 0) {
        return false;
    }
    const char *end = text + len;
    if (text[0] == '[') {
        const char *close = memchr(text, ']', len);
        return close != NULL &&
               parse_host_and_port(text + 1, (size_t)(close - text) - 1, close + 1, end, ret);
    }
    const char *colon = memchr(text, ':', len);
    const char *last = memrchr(text, ':', len);
    if (colon != NULL && colon == last) { /* an IPv6 address has two at least */
        return parse_host_and_port(text, (size_t)(colon - text), colon, end, ret);
    }
    struct ip_addr addr;
    if (!ip_parse(text, len, &addr)) {
        return false;
    }
    *ret = (struct ip_endpoint){.addr = addr, .port = 0};
    return true;
}

static size_t format_v4(const uint8_t bytes[4], char *out) {
    char *at = out;
    for (int i = 0; i < 4; i++) {
        if (i != 0) {
            *at++ = '.';
        }
        at += decimal_format(bytes[i], at);
    }
    *at = '\0';
    return (size_t)(at - out);
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952, 4.2); length 0: none. */
static void find_gap(const uint16_t groups[8], int *ret_start, int *ret_len) {
    int best_start = 0;
    int best_len = 0;
    for (int i = 0; i < 8;) {
        int start = i;
        while (i < 8 && groups[i] == 0) {
            i++;
        }
        if (i - start > best_len) {
            best_start = start;
            best_len = i - start;
        }
        if (i == start) {
            i++;
        }
    }
    *ret_start = best_start;
    *ret_len = best_len >= 2 ? best_len : 0;
}

static char *put_group(char *at, unsigned group) {
    static const char hex[] = "0123456789abcdef";
    bool started = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned digit = group >> shift & 15;
        if (digit != 0 || started || shift == 0) {
            *at++ = hex[digit];
            started = true;
        }
    }
    return at;
}

static size_t format_v6(const uint8_t bytes[V6_BYTES], char *out) {
    uint16_t groups[8];
    for (int i = 0; i < 8; i++) {
        groups[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
    }
    int gap;
    int gap_len;
    find_gap(groups, &gap, &gap_len);
    char *at = out;
    for (int i = 0; i < 8; i++) {
        if (gap_len != 0 && i == gap) {
            *at++ = ':';
            *at++ = ':';
            i += gap_len - 1;
            continue;
        }
        if (i != 0 && at[-1] != ':') {
            *at++ = ':';
        }
        at = put_group(at, groups[i]);
    }
    *at = '\0';
    return (size_t)(at - out);
}

size_t ip_format(const struct ip_addr *addr, char out[IP_TEXT_MAX]) {
    switch (addr->family) {
    case IP_V4:
        return format_v4(addr->bytes, out);
    case IP_V6:
        return format_v6(addr->bytes, out);
    default:
        out[0] = '\0';
        return 0;
    }
}

int ip_compare(const struct ip_addr *a, const struct ip_addr *b) {
    if (a->family != b->family) {
        return a->family < b->family ? -1 : 1;
    }
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

const char *ip_no_host(const struct ip_addr *addr) {
    static const uint8_t zero[V6_BYTES];
    static const uint8_t one[V6_BYTES] = {[V6_BYTES - 1] = 1};
    static const uint8_t broadcast[V6_BYTES] = {0xFF, 0xFF, 0xFF, 0xFF};
    bool v4 = addr->family == IP_V4;
    if (memcmp(addr->bytes, zero, sizeof(zero)) == 0) {
        return "the unspecified address";
    }
    if (v4 ? addr->bytes[0] == 127 : memcmp(addr->bytes, one, sizeof(one)) == 0) {
        return "a loopback address";
    }
    if (v4 ? (addr->bytes[0] & 0xF0U) == 0xE0U : addr->bytes[0] == 0xFF) {
        return "a multicast address";
    }
    return v4 && memcmp(addr->bytes, broadcast, sizeof(broadcast)) == 0 ? "the broadcast address" : NULL;
}

struct ip_addr ip_network(const struct ip_addr *addr, uint8_t prefix) {
    struct ip_addr network = *addr;
    for (size_t i = 0; i < V6_BYTES; i++) {
        size_t first_bit = i * 8;
        if (first_bit >= prefix) {
            network.bytes[i] = 0;
        } else if (prefix - first_bit < 8) {
            network.bytes[i] &= (uint8_t)(0xFF00U >> (prefix - first_bit));
        }
    }
    return network;
}

const char *ip_edge_of_network(const struct ip_addr *addr, uint8_t prefix) {
    uint8_t bits = addr->family == IP_V4 ? 32 : 128;
    if (prefix > bits - 2) {
        return NULL;
    }
    struct ip_addr first = ip_network(addr, prefix), last = first;
    for (size_t i = prefix; i < bits; i++) {
        last.bytes[i / 8] |= (uint8_t)(0x80U >> (i % 8));
    }
    if (ip_compare(addr, &first) == 0) {
        return addr->family == IP_V4 ? "the network's own address" : "the network's anycast address";
    }
    return addr->family == IP_V4 && ip_compare(addr, &last) == 0 ? "the network's broadcast address" : NULL;
}

bool ip_network_holds(const struct ip_cidr *network, const struct ip_addr *addr) {
    if (network->addr.family != addr->family) {
        return false;
    }
    struct ip_addr own = ip_network(&network->addr, network->prefix);
    struct ip_addr other = ip_network(addr, network->prefix);
    return ip_compare(&own, &other) == 0;
}

int ip_ranges_parse(const char *text, struct ip_ranges *ret, struct err *err) {
    struct ip_ranges ranges = {.count = 0};

    text += strspn(text, " ");
    while (*text != '\0') {
        size_t whole = strcspn(text, ","), len = whole;

        while (len > 0 && text[len - 1] == ' ') {
            len--;
        }
        if (ranges.count == IP_RANGES_MAX) {
            return err_set(err, ERR_INVALID, "more than %d address ranges", IP_RANGES_MAX);
        }
        if (!ip_parse_cidr_or_addr(text, len, &ranges.items[ranges.count++])) {
            return err_set(
                err, ERR_INVALID,
                "\"%.*s\" is not an address range; write CIDRs such as 10.0.0.0/8, separated by commas",
                (int)(len > IP_CIDR_TEXT_MAX ? IP_CIDR_TEXT_MAX : len), text);
        }
        text += whole + (text[whole] == ',');
        text += strspn(text, " ");
    }
    *ret = ranges;
    return 0;
}

bool ip_ranges_contain(const struct ip_ranges *ranges, const struct ip_addr *addr) {
    size_t at = 0;

    while (at < ranges->count && !ip_network_holds(&ranges->items[at], addr)) {
        at++;
    }
    return at < ranges->count;
}
