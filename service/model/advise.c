/*
 * Advice that several kinds share: AS numbers, names, times, addresses. Advice is for what is valid and
 * yet probably not meant. No state, no locks.
 */
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "base/number.h"
#include "tables.h"

#define NS_PER_SECOND       INT64_C(1000000000)
#define RESTART_SECONDS_MAX 4095 /* RFC 4724, 3: Restart Time has 12 bits */
#define AS_TRANS            23456
#define LINK_PREFIX_MIN_V4  8  /* no link has a larger network: the largest of private use is 10.0.0.0/8 */
#define LINK_PREFIX_MIN_V6  32 /* what a provider has for all of its customers */
#define AS_LAST_16_BIT      65535
#define AS_LAST_32_BIT      UINT32_C(4294967295)

void advise_name(struct advice *advice, const char *field, const char *name) {
    char text[SHOWN_MAX];
    if (is_given(name) && !name_is_portable(name)) {
        advice_add(
            advice,
            "%s: '%s' is not portable: Kubernetes takes only lower-case letters, digits, '-' and '.' in "
            "names",
            field, shown(name, text));
    }
}

void advise_asn(struct advice *advice, const char *field, uint32_t asn) {
    if (asn == 0) {
        advice_add(advice, "%s: AS 0 is reserved and must not be used (RFC 7607)", field);
    } else if (asn == AS_TRANS) {
        advice_add(advice, "%s: AS 23456 is AS_TRANS and belongs to nobody (RFC 6793)", field);
    } else if (asn == AS_LAST_16_BIT || asn == AS_LAST_32_BIT) {
        advice_add(advice, "%s: AS %lu is reserved and must not be used (RFC 7300)", field,
                   (unsigned long)asn);
    } else if ((asn >= 64496 && asn <= 64511) || (asn >= 65536 && asn <= 65551)) {
        advice_add(advice, "%s: AS %lu is set aside for documentation (RFC 5398)", field, (unsigned long)asn);
    }
}

void advise_whole_seconds(struct advice *advice, const char *field, const struct duration *duration) {
    if (duration->text != NULL && duration->ns % NS_PER_SECOND != 0) {
        advice_add(advice, "%s: BGP daemons count whole seconds; %s becomes %llds", field, duration->text,
                   (long long)duration_round_seconds(duration->ns));
    }
}

void advise_restart_time(struct advice *advice, const char *field, const struct duration *duration) {
    if (duration->text == NULL) {
        return;
    }
    advise_whole_seconds(advice, field, duration);
    if (duration->ns == 0) {
        advice_add(
            advice,
            "%s: 0s gives a daemon no time to restart, so its routes are gone at once; leave it out for "
            "the default",
            field);
    }
    if (duration_round_seconds(duration->ns) > RESTART_SECONDS_MAX) {
        advice_add(advice, "%s: no BGP daemon accepts a restart time over %ds (RFC 4724 gives it 12 bits)",
                   field, RESTART_SECONDS_MAX);
    }
}

void advise_password(struct advice *advice, const char *field, const struct bgp_password *password) {
    if (password != NULL && password->secret_key_ref == NULL) {
        advice_add(advice, "%s: has no secretKeyRef, so the sessions have no password", field);
    }
}

/* Ranges whose addresses are set aside, so that no BGP speaker has one of them. */
static const struct {
    struct ip_cidr network;
    const char *name;
} RESERVED[] = {
    {{{.family = IP_V4, .bytes = {0}}, 8}, "0.0.0.0/8, \"this network\" (RFC 791)"},
    {{{.family = IP_V4, .bytes = {192, 0, 0}}, 24}, "192.0.0.0/24, set aside for protocols (RFC 6890)"},
    {{{.family = IP_V4, .bytes = {240}}, 4}, "240.0.0.0/4, reserved for future use (RFC 1112)"},
    {{{.family = IP_V6, .bytes = {0}}, 8}, "::/8, reserved (RFC 4291)"},
    {{{.family = IP_V6, .bytes = {1}}, 64}, "100::/64, whose packets are discarded (RFC 6666)"},
    {{{.family = IP_V6, .bytes = {0xFE, 0xC0}}, 10}, "fec0::/10, deprecated (RFC 3879)"},
};

void advise_speaker_address(struct advice *advice, const char *field, const struct ip_addr *addr) {
    char text[IP_TEXT_MAX];
    ip_format(addr, text);
    const char *fault = ip_no_host(addr);
    if (fault != NULL) {
        advice_add(advice, "%s: %s is %s; no BGP session can use it", field, text, fault);
        return;
    }
    if (addr->family == IP_V6 && addr->bytes[0] == 0xFE && (addr->bytes[1] & 0xC0U) == 0x80U) {
        advice_add(advice,
                   "%s: %s is a link-local address; without an interface, which cannot be given here, "
                   "daemons refuse it or guess",
                   field, text);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(RESERVED); i++) {
        if (ip_network_holds(&RESERVED[i].network, addr)) {
            advice_add(advice, "%s: %s is in %s; no BGP speaker has such an address", field, text,
                       RESERVED[i].name);
            return;
        }
    }
}

void advise_host_cidr(struct advice *advice, const char *field, const char *text) {
    struct ip_cidr cidr;
    if (!is_given(text) || !ip_parse_cidr_or_addr(text, strlen(text), &cidr)) {
        return;
    }
    advise_speaker_address(advice, field, &cidr.addr);
    const char *what = ip_edge_of_network(&cidr.addr, cidr.prefix);
    char shown_address[IP_TEXT_MAX];
    ip_format(&cidr.addr, shown_address);
    if (cidr.prefix < (cidr.addr.family == IP_V4 ? LINK_PREFIX_MIN_V4 : LINK_PREFIX_MIN_V6)) {
        advice_add(advice,
                   "%s: with a /%u the node takes every address of that range for a neighbour on its link; "
                   "write the prefix length of the link",
                   field, (unsigned)cidr.prefix);
    }
    if (what != NULL) {
        advice_add(advice, "%s: %s is %s with a /%u; a host has another one of that network", field,
                   shown_address, what, (unsigned)cidr.prefix);
    }
}

/* ---- networks that are announced ---- */

/* Ranges that no router forwards to. */
static const struct {
    struct ip_cidr network;
    const char *name;
} UNROUTED[] = {
    {{{.family = IP_V4, .bytes = {0}}, 8}, "0.0.0.0/8, \"this network\" (RFC 791)"},
    {{{.family = IP_V4, .bytes = {127}}, 8}, "127.0.0.0/8, the hosts' own (RFC 1122)"},
    {{{.family = IP_V4, .bytes = {169, 254}}, 16}, "169.254.0.0/16, link-local (RFC 3927)"},
    {{{.family = IP_V4, .bytes = {224}}, 4}, "224.0.0.0/4, multicast (RFC 1112)"},
    {{{.family = IP_V4, .bytes = {240}}, 4}, "240.0.0.0/4, reserved (RFC 1112)"},
    {{{.family = IP_V6, .bytes = {0}}, 64}, "::/64, which holds the loopback address (RFC 4291)"},
    {{{.family = IP_V6, .bytes = {0xFE, 0x80}}, 10}, "fe80::/10, link-local (RFC 4291)"},
    {{{.family = IP_V6, .bytes = {0xFF}}, 8}, "ff00::/8, multicast (RFC 4291)"},
};

bool advise_announced_network(struct advice *advice, const char *field, const char *text) {
    struct ip_cidr cidr;
    if (!is_given(text) || !ip_parse_cidr(text, strlen(text), &cidr)) {
        return false;
    }
    if (cidr.prefix == 0) {
        advice_add(advice,
                   "%s: %s is the default route: peers would send here what they know no other way for",
                   field, text);
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(UNROUTED); i++) {
        if (cidr.prefix >= UNROUTED[i].network.prefix && ip_network_holds(&UNROUTED[i].network, &cidr.addr)) {
            advice_add(advice, "%s: %s is in %s; no router forwards to it", field, text, UNROUTED[i].name);
            return true;
        }
    }
    return false;
}

struct written_network {
    struct ip_cidr cidr;
    const char *text;
};

static int compare_networks(const void *a, const void *b) {
    const struct ip_cidr *x = &((const struct written_network *)a)->cidr;
    const struct ip_cidr *y = &((const struct written_network *)b)->cidr;
    int order = ip_compare(&x->addr, &y->addr);
    return order != 0 ? order : (x->prefix > y->prefix) - (x->prefix < y->prefix);
}

const char *network_repeated(const struct list *networks, size_t size, size_t cidr_at, struct arena *arena) {
    struct written_network *sorted = arena_array(arena, networks->count, sizeof(*sorted));
    size_t count = 0;
    for (size_t i = 0; sorted != NULL && i < networks->count; i++) {
        const char *text = *(const char *const *)((const char *)networks->items + i * size + cidr_at);
        if (is_given(text) && ip_parse_cidr(text, strlen(text), &sorted[count].cidr)) {
            sorted[count++].text = text;
        }
    }
    if (count > 1) {
        qsort(sorted, count, sizeof(*sorted), compare_networks);
    }
    for (size_t i = 1; i < count; i++) {
        if (compare_networks(&sorted[i - 1], &sorted[i]) == 0) {
            return sorted[i].text;
        }
    }
    return NULL;
}
