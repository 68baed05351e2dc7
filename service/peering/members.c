/*
 * The tables of members, and what can be asked of one: is it there, is it the same, does its change disrupt.
 *
 * What daemons do to a running session was measured with BIRD 2.0.12 (`configure`), FRR 8.4 (frr-reload.py),
 * GoBGP 3.10 (SIGHUP) and OpenBGPD 7.7 (`bgpctl reload`, and the agent's `clear`). Pure functions, no state.
 */
#include "peering/members.h"

#include <string.h>

#include "model/resources.h"

#define ENTRY(name, kind, field, ...)                                                                        \
    { (name), (kind), offsetof(struct peering_entry, field), 0, __VA_ARGS__ }
#define LOCAL(name, kind, field, ...)                                                                        \
    { (name), (kind), offsetof(struct peering_list, local.field), 0, __VA_ARGS__ }
#define KEEPS   EFFECT_NONE
#define LATER   EFFECT_LATER
#define RESTART EFFECT_RESTART
#define RESET   EFFECT_MUST_RESET

/* A filter that a daemon cannot express costs the session besides: only the renderer knows. */
/* clang-format off */
/*                                                                      BIRD     FRR      GoBGP    OpenBGPD */
const struct peering_member peering_entry_members[] = {
    ENTRY("family",                   MEMBER_FAMILY,   address,        {RESTART, RESTART, RESTART, RESET}, MIRROR_NONE),
    ENTRY("peerIP",                   MEMBER_CHARS,    address_text,   {RESTART, RESTART, RESTART, RESET}, MIRROR_NONE),
    ENTRY("port",                     MEMBER_PORT,     port,           {RESTART, RESTART, RESTART, RESET}, MIRROR_PORT),
    ENTRY("asNumber",                 MEMBER_AS,       as_number,      {RESTART, RESTART, RESTART, RESET}, MIRROR_AS),
    ENTRY("localASNumber",            MEMBER_AS,       local_as_number,{RESTART, RESTART, RESTART, RESET}, MIRROR_OWN_AS),
    ENTRY("type",                     MEMBER_TYPE,     external,       {RESTART, RESTART, RESTART, RESET}, MIRROR_NONE),
    ENTRY("sourceAddress",            MEMBER_TEXT,     source_address, {RESTART, RESTART, RESTART, RESET}, MIRROR_NONE),
    ENTRY("passwordFingerprint",      MEMBER_PASSWORD, secret,         {RESTART, RESTART, RESTART, RESET}, MIRROR_SAME),
    ENTRY("ttlSecurity",              MEMBER_U8,       ttl_security,   {RESTART, RESTART, RESET,   RESET}, MIRROR_SAME),
    ENTRY("maxRestartTimeSeconds",    MEMBER_SECONDS,  max_restart_time_s,
                                                                       {RESTART, LATER,   RESTART, KEEPS}, MIRROR_NONE),
    ENTRY("keepaliveTimeSeconds",     MEMBER_SECONDS,  keepalive_time_s,
                                                                       {RESTART, LATER,   LATER,   LATER}, MIRROR_NONE),
    ENTRY("nextHop",                  MEMBER_TEXT,     next_hop,       {KEEPS,   KEEPS,   KEEPS,   KEEPS}, MIRROR_NONE),
    ENTRY("routeReflectorClusterID",  MEMBER_TEXT,     route_reflector_cluster_id,
                                                                       {RESTART, RESTART, RESET,   RESET}, MIRROR_NONE),
    ENTRY("numAllowedLocalASNumbers", MEMBER_U32,      num_allowed_local_as_numbers,
                                                                       {RESTART, KEEPS,   RESTART, KEEPS}, MIRROR_NONE),
    ENTRY("passive",                  MEMBER_FLAG,     passive,        {RESTART, RESTART, RESTART, RESET}, MIRROR_NOT_BOTH),
    {"filters", MEMBER_TEXTS, offsetof(struct peering_entry, filters), offsetof(struct peering_entry, filter_count),
                                                                       {KEEPS,   KEEPS,   RESET,   KEEPS}, MIRROR_NONE},
    ENTRY("reachableBy",              MEMBER_TEXT,     reachable_by,   {KEEPS,   KEEPS,   KEEPS,   KEEPS}, MIRROR_NONE),
    ENTRY("withheld",                 MEMBER_WITHHELD, password,       {RESTART, RESTART, RESTART, RESET}, MIRROR_NONE),
    ENTRY("origin",                   MEMBER_ORIGIN,   origin,         {KEEPS,   KEEPS,   KEEPS,   KEEPS}, MIRROR_NONE),
};

/* Of the node itself: what costs a session there costs all of them. What also stands in each session (AS numbers,
 * source addresses, cluster IDs) is counted there. A listener is only opened when GoBGP and FRR start. */
const struct peering_member peering_local_members[] = {
    LOCAL("asNumber",                 MEMBER_AS,       as_number,      {KEEPS,   RESTART, RESET,   RESET}, MIRROR_NONE),
    LOCAL("ipv4Address",              MEMBER_TEXT,     ipv4_address,   {KEEPS,   KEEPS,   KEEPS,   KEEPS}, MIRROR_NONE),
    LOCAL("ipv6Address",              MEMBER_TEXT,     ipv6_address,   {KEEPS,   KEEPS,   KEEPS,   KEEPS}, MIRROR_NONE),
    LOCAL("routerID",                 MEMBER_TEXT,     router_id,      {RESTART, RESTART, RESET,   RESET}, MIRROR_NONE),
    LOCAL("listenPort",               MEMBER_PORT,     listen_port,    {RESTART, RESET,   RESET,   KEEPS}, MIRROR_NONE),
    LOCAL("routeReflectorClusterID",  MEMBER_TEXT,     route_reflector_cluster_id,
                                                                       {KEEPS,   KEEPS,   KEEPS,   KEEPS}, MIRROR_NONE),
    LOCAL("logSeverity",              MEMBER_TEXT,     log_severity,   {KEEPS,   KEEPS,   KEEPS,   KEEPS}, MIRROR_NONE),
    LOCAL("bindMode",                 MEMBER_TEXT,     bind_mode,      {RESTART, RESET,   RESET,   KEEPS}, MIRROR_NONE),
    {"ignoredInterfaces", MEMBER_TEXTS, offsetof(struct peering_list, local.ignored_interfaces),
     offsetof(struct peering_list, local.ignored_interface_count),     {KEEPS,   KEEPS,   KEEPS,   KEEPS}, MIRROR_NONE},
};
/* clang-format on */
const size_t peering_entry_member_count = sizeof(peering_entry_members) / sizeof(peering_entry_members[0]);
const size_t peering_local_member_count = sizeof(peering_local_members) / sizeof(peering_local_members[0]);

/* ---- one member ---- */

const void *peering_member_at(const struct peering_member *member, const void *base) {
    return (const char *)base + member->offset;
}

uint64_t peering_member_number(const struct peering_member *member, const void *base) {
    const void *at = peering_member_at(member, base);
    switch (member->kind) {
    case MEMBER_U8:
        return *(const uint8_t *)at;
    case MEMBER_PORT:
        return *(const uint16_t *)at;
    default:
        return *(const uint32_t *)at;
    }
}

static size_t count_of(const struct peering_member *member, const void *base) {
    return *(const size_t *)(const void *)((const char *)base + member->count_offset);
}

static bool password_is_shown(const struct peering_entry *entry) {
    return entry->password == PASSWORD_VALUE && entry->secret->fingerprint != NULL;
}

bool peering_member_is_present(const struct peering_member *member, const void *base) {
    const void *at = peering_member_at(member, base);
    switch (member->kind) {
    case MEMBER_FAMILY:
    case MEMBER_CHARS:
    case MEMBER_AS:
    case MEMBER_TYPE:
    case MEMBER_ORIGIN:
        return true;
    case MEMBER_TEXT:
        return *(const char *const *)at != NULL;
    case MEMBER_U8:
    case MEMBER_U32:
    case MEMBER_PORT:
        return peering_member_number(member, base) != 0;
    case MEMBER_SECONDS:
        return *(const int64_t *)at >= 0;
    case MEMBER_FLAG:
        return *(const bool *)at;
    case MEMBER_TEXTS:
        return count_of(member, base) > 0;
    case MEMBER_PASSWORD:
        return password_is_shown(base);
    case MEMBER_WITHHELD:
        break;
    }
    return ((const struct peering_entry *)base)->password == PASSWORD_WITHHELD;
}

/* ---- two of them ---- */

static bool same_text(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_texts(const struct peering_member *member, const void *a, const void *b) {
    const char *const *x = *(const char *const *const *)peering_member_at(member, a);
    const char *const *y = *(const char *const *const *)peering_member_at(member, b);
    bool same = count_of(member, a) == count_of(member, b);
    for (size_t i = 0; same && i < count_of(member, a); i++) {
        same = same_text(x[i], y[i]);
    }
    return same;
}

static bool same_seconds(int64_t a, int64_t b) {
    return a == b || (a < 0 && b < 0);
}

static bool same_password(const struct peering_entry *a, const struct peering_entry *b) {
    bool x = password_is_shown(a);
    bool y = password_is_shown(b);
    return x == y &&
           (!x || a->secret == b->secret || same_text(a->secret->fingerprint, b->secret->fingerprint));
}

static bool same_origin(const struct peering_origin *a, const struct peering_origin *b) {
    return a->scope == b->scope && a->reverse == b->reverse && same_text(a->bgp_peer, b->bgp_peer) &&
           same_text(a->remote_node, b->remote_node);
}

bool peering_member_equal(const struct peering_member *member, const void *a, const void *b) {
    const void *x = peering_member_at(member, a);
    const void *y = peering_member_at(member, b);
    switch (member->kind) {
    case MEMBER_FAMILY:
        return ((const struct ip_addr *)x)->family == ((const struct ip_addr *)y)->family;
    case MEMBER_TEXT:
        return same_text(*(const char *const *)x, *(const char *const *)y);
    case MEMBER_CHARS:
        return strcmp(x, y) == 0;
    case MEMBER_U8:
    case MEMBER_U32:
    case MEMBER_PORT:
    case MEMBER_AS:
        return peering_member_number(member, a) == peering_member_number(member, b);
    case MEMBER_TYPE:
    case MEMBER_FLAG:
        return *(const bool *)x == *(const bool *)y;
    case MEMBER_SECONDS:
        return same_seconds(*(const int64_t *)x, *(const int64_t *)y);
    case MEMBER_TEXTS:
        return same_texts(member, a, b);
    case MEMBER_PASSWORD:
        return same_password(a, b);
    case MEMBER_ORIGIN:
        return same_origin(x, y);
    case MEMBER_WITHHELD:
        break;
    }
    return peering_member_is_present(member, a) == peering_member_is_present(member, b);
}

static uint64_t port_of(uint64_t port) {
    return port != 0 ? port : PEERING_BGP_PORT;
}

unsigned peering_daemons_named(const char *name) {
    static const char *const NAMES[MEMBER_DAEMON_COUNT] = {[MEMBER_BIRD] = "BIRD",
                                                           [MEMBER_FRR] = "FRR",
                                                           [MEMBER_GOBGP] = "GoBGP",
                                                           [MEMBER_OPENBGPD] = "OpenBGPD"};
    for (size_t i = 0; i < MEMBER_DAEMON_COUNT; i++) {
        if (strncmp(name, NAMES[i], strlen(NAMES[i])) == 0) {
            return 1u << i;
        }
    }
    return 1u << MEMBER_BIRD | 1u << MEMBER_FRR;
}

bool peering_member_costs(const struct peering_member *member, unsigned which) {
    for (size_t i = 0; i < MEMBER_DAEMON_COUNT; i++) {
        bool costs = member->effect[i] == EFFECT_RESTART || member->effect[i] == EFFECT_MUST_RESET;
        if (costs && (which & 1u << i) != 0) {
            return true;
        }
    }
    return false;
}

bool peering_member_disrupts(const struct peering_member *member, const void *before, const void *after,
                             unsigned which) {
    if (!peering_member_costs(member, which) || peering_member_equal(member, before, after)) {
        return false;
    }
    return member->kind != MEMBER_PORT ||
           port_of(peering_member_number(member, before)) != port_of(peering_member_number(member, after));
}
