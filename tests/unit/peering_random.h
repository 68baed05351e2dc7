/*
 * Random fleets: small universes of names, addresses and labels, so that things collide. All from one seed.
 */
#ifndef BGPPEERD_TESTS_UNIT_PEERING_RANDOM_H
#define BGPPEERD_TESTS_UNIT_PEERING_RANDOM_H

#include "base/random.h"
#include "peering_fixture.h"

#define FLEET_NODES     10
#define FLEET_PEERS     14
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Group set-up. */
static inline int start_random(void **state) {
    struct err err = ERR_INIT;
    (void)state;
    return random_start(&err);
}

/* Also when both are NULL. */
static inline bool same_text(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

struct dice {
    uint64_t state;
};

/* SplitMix64. */
static inline uint64_t dice_roll(struct dice *dice) {
    uint64_t z = dice->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static inline size_t dice_below(struct dice *dice, size_t limit) {
    return (size_t)(dice_roll(dice) % limit);
}
static inline bool dice_chance(struct dice *dice, unsigned percent) {
    return dice_below(dice, 100) < percent;
}
#define PICK(dice, array) ((array)[dice_below(dice, COUNT_OF(array))])

static const char *const v4_pool[] = {"10.0.0.1/24", "10.0.0.2",     "10.0.0.9/24",  "10.0.0.10/24",
                                      "10.0.0.11",   "172.16.0.5/8", "9.255.0.3/24", "192.168.1.20",
                                      "10.0.1.1/24", "10.0.1.2/24",  "10.0.1.3/24",  "10.0.1.4/24"};
static const char *const v6_pool[] = {"fd00::1/64", "FD00::2",        "fd00:0::9/64", "fd00::10/64",
                                      "fe80::20",   "2001:db8::5/64", "fd00::a:1/64", "fd00::b:1/64"};
static const char *const peer_ips[] = {"10.0.0.1",  "10.0.0.2",       "10.0.0.9:1790", "10.0.0.10",
                                       "192.0.2.1", "192.0.2.1:1790", "fd00::1",       "[FD00::2]:179",
                                       "fd00::9",   "2001:db8::ff",   "172.16.0.5:179"};
static const char *const selectors[] = {"all()",
                                        "has(rr)",
                                        "!has(rr)",
                                        "rack == 'a'",
                                        "rack != 'a'",
                                        "rack in {'a', 'b'}",
                                        "rack == 'b' && !has(rr)",
                                        "has(zone)",
                                        "zone starts with 'z'",
                                        "zone == 'none'"};
static const char *const filter_names[] = {"f1", "f2", "f3"};
static const char *const secret_names[] = {"s1", "s2", "s3"};
static const char *const secret_keys[] = {"a", "b"};
static const char *const as_numbers[] = {"64512", "65001", "0", "65002"};
static const char *const ports[] = {"179", "1790", "500"};

/* One of a few fixed variants of the thing's spec, so that changes often leave parts as they are. */
static inline struct dice variant(struct dice *dice, const char *name, size_t variants) {
    uint64_t hash = dice_below(dice, variants);
    for (; *name != '\0'; name++) {
        hash = (hash ^ (uint8_t)*name) * 1099511628211u;
    }
    return (struct dice){hash};
}

static const char *const networks[] = {"10.100.0.0/16", "10.100.1.0/24",   "10.100.1.0/25", "10.101.0.0/16",
                                       "fd10::/48",     "fd10:0:0:1::/64", "fd11::/64"};
static const char *const communities[] = {"65000:1", "65000:02", "65000:1:2", "gold", "silver"};

static inline void random_advertisements(struct dice *dice, struct buf *out) {
    buf_add_str(out, ",\"prefixAdvertisements\":[");
    for (size_t i = dice_below(dice, 3); i > 0; i--) {
        buf_json_comma(out);
        buf_printf(out, "{\"cidr\":\"%s\",\"communities\":[\"%s\",\"%s\"]}", PICK(dice, networks),
                   PICK(dice, communities), PICK(dice, communities));
    }
    buf_add_char(out, ']');
}

static inline void random_node(struct dice *dice, const char *name, struct buf *out) {
    buf_printf(out, "{\"kind\":\"Node\",\"metadata\":{\"name\":\"%s\",\"labels\":{\"x\":\"%zu\"", name,
               dice_below(dice, 3));
    if (dice_chance(dice, 80)) {
        buf_printf(out, ",\"rack\":\"%c\"", (char)('a' + dice_below(dice, 3)));
    }
    if (dice_chance(dice, 30)) {
        buf_add_str(out, ",\"rr\":\"\"");
    }
    if (dice_chance(dice, 30)) {
        buf_printf(out, ",\"zone\":\"z%zu\"", dice_below(dice, 2));
    }
    if (dice_chance(dice, 20)) {
        buf_add_str(out, ",\"node.kubernetes.io/exclude-from-external-load-balancers\":\"\"");
    }
    buf_add_str(out, "}},\"spec\":{");
    struct dice fixed = variant(dice, name, 5);
    dice = &fixed;
    if (dice_chance(dice, 92)) {
        buf_add_str(out, "\"bgp\":{\"ipv4IPIPTunnelAddr\":\"192.168.0.1\"");
        if (dice_chance(dice, 85)) {
            buf_printf(out, ",\"ipv4Address\":\"%s\"", PICK(dice, v4_pool));
        }
        if (dice_chance(dice, 60)) {
            buf_printf(out, ",\"ipv6Address\":\"%s\"", PICK(dice, v6_pool));
        }
        if (dice_chance(dice, 40)) {
            buf_printf(out, ",\"asNumber\":%s", PICK(dice, as_numbers));
        }
        if (dice_chance(dice, 20)) {
            buf_printf(out, ",\"routeReflectorClusterID\":\"244.0.0.%zu\"", 1 + dice_below(dice, 2));
        }
        if (dice_chance(dice, 20)) {
            buf_printf(out, ",\"routerID\":\"10.0.0.%zu\"", 1 + dice_below(dice, 3));
        }
        if (dice_chance(dice, 30)) {
            random_advertisements(dice, out);
        }
        buf_add_char(out, '}');
    }
    buf_add_str(out, "}}");
}

static inline void random_password(struct dice *dice, const char *member, struct buf *out) {
    const char *name = PICK(dice, secret_names);
    const char *key = PICK(dice, secret_keys);
    buf_printf(out, ",\"%s\":{\"secretKeyRef\":{\"name\":\"%s\",\"key\":\"%s\"", member, name, key);
    buf_add_str(out, dice_chance(dice, 30) ? ",\"optional\":true}}" : "}}");
}

/* Who the BGPPeer is for, and with whom. */
static inline void random_ends(struct dice *dice, struct buf *out) {
    size_t scope = dice_below(dice, 3);
    if (scope == 1) {
        buf_printf(out, ",\"node\":\"n%zu\"", dice_below(dice, FLEET_NODES + 2));
    } else if (scope == 2) {
        buf_printf(out, ",\"nodeSelector\":\"%s\"", PICK(dice, selectors));
    }
    size_t target = dice_below(dice, 20);
    if (target < 10) {
        buf_printf(out, ",\"peerIP\":\"%s\"", PICK(dice, peer_ips));
        if (dice_chance(dice, 80)) {
            buf_printf(out, ",\"asNumber\":%s", PICK(dice, as_numbers));
        }
    } else if (target < 18) {
        buf_printf(out, ",\"peerSelector\":\"%s\"", PICK(dice, selectors));
    } else if (target == 18) {
        buf_add_str(out, ",\"localWorkloadSelector\":\"app == 'x'\"");
    }
}

static inline void random_peer(struct dice *dice, const char *name, struct buf *out) {
    buf_printf(out, "{\"kind\":\"BGPPeer\",\"metadata\":{\"name\":\"%s\"},\"spec\":{\"ttlSecurity\":%zu",
               name, dice_below(dice, 3));
    struct dice fixed = variant(dice, name, 8);
    random_ends(&fixed, out);
    static const char *const extras[] = {
        ",\"localASNumber\":65009",       ",\"keepOriginalNextHop\":true",  ",\"nextHopMode\":\"Self\"",
        ",\"nextHopMode\":\"Keep\"",      ",\"sourceAddress\":\"None\"",    ",\"maxRestartTime\":\"1m30.5s\"",
        ",\"keepaliveTime\":\"2.49s\"",   ",\"reversePeering\":\"Manual\"", ",\"reachableBy\":\"10.0.0.254\"",
        ",\"numAllowedLocalASNumbers\":2"};
    for (size_t i = 0; i < COUNT_OF(extras); i++) {
        if (dice_chance(dice, 12)) {
            buf_add_str(out, extras[i]);
        }
    }
    if (dice_chance(dice, 25)) {
        random_password(dice, "password", out);
    }
    if (dice_chance(dice, 25)) {
        const char *first = PICK(dice, filter_names);
        buf_printf(out, ",\"filters\":[\"%s\",\"%s\"]", first, PICK(dice, filter_names));
    }
    buf_add_str(out, "}}");
}

static inline void random_config(struct dice *dice, const char *name, struct buf *out) {
    buf_printf(out,
               "{\"kind\":\"BGPConfiguration\",\"metadata\":{\"name\":\"%s\"},\"spec\":{"
               "\"logSeverityScreen\":\"%s\"",
               name, dice_chance(dice, 50) ? "Info" : "Debug");
    if (dice_chance(dice, 40)) {
        buf_printf(out, ",\"listenPort\":%s", PICK(dice, ports));
    }
    static const char *const settings[] = {",\"bindMode\":\"NodeIP\"", ",\"bindMode\":\"None\"",
                                           ",\"ignoredInterfaces\":[\"eth0\",\"cali*\"]",
                                           ",\"communities\":[{\"name\":\"gold\",\"value\":\"65000:7\"}]"};
    size_t setting = dice_below(dice, 2 * COUNT_OF(settings));
    buf_add_str(out, setting < COUNT_OF(settings) ? settings[setting] : "");
    if (dice_chance(dice, 40)) {
        random_advertisements(dice, out);
    }
    if (strcmp(name, "default") == 0) {
        static const char *const blocks[] = {"serviceClusterIPs", "serviceExternalIPs",
                                             "serviceLoadBalancerIPs"};
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            if (dice_chance(dice, 25)) {
                buf_printf(out, ",\"%s\":[{\"cidr\":\"%s\"}]", blocks[i], PICK(dice, networks));
            }
        }
        if (dice_chance(dice, 50)) {
            buf_printf(out, ",\"nodeToNodeMeshEnabled\":%s", dice_chance(dice, 70) ? "true" : "false");
        }
        if (dice_chance(dice, 30)) {
            buf_printf(out, ",\"asNumber\":%s", PICK(dice, as_numbers));
        }
        if (dice_chance(dice, 60)) {
            random_password(dice, "nodeMeshPassword", out);
        }
        if (dice_chance(dice, 30)) {
            buf_add_str(out, ",\"nodeMeshMaxRestartTime\":\"1.5s\"");
        }
    }
    buf_add_str(out, "}}");
}

static inline struct record *random_secret(struct dice *dice, uint64_t revision, const char *name) {
    static const char *const values[] = {"", "pw-1", "pw-2", "with \"quote\"", "two\nlines"};
    struct password passwords[2];
    char longest[PASSWORD_SIZE_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    size_t count = dice_below(dice, 3);
    for (size_t i = 0; i < count; i++) {
        const char *value = PICK(dice, values);
        passwords[i] = (struct password){secret_keys[i], value, strlen(value)};
        if (dice_chance(dice, 10)) {
            passwords[i] =
                (struct password){secret_keys[i], longest, PASSWORD_SIZE_MAX + dice_below(dice, 2)};
        }
    }
    return secret_record(revision, name, passwords, count);
}

/* A kind and key for the next change. */
static inline enum kind random_target(struct dice *dice, char key[64]) {
    size_t roll = dice_below(dice, 100);
    if (roll < 40) {
        snprintf(key, 64, "n%zu", dice_below(dice, FLEET_NODES));
        return KIND_NODE;
    }
    if (roll < 75) {
        snprintf(key, 64, "p%zu", dice_below(dice, FLEET_PEERS));
        return KIND_BGPPEER;
    }
    if (roll < 85) {
        snprintf(key, 64, "node.n%zu", dice_below(dice, FLEET_NODES));
        if (dice_chance(dice, 50)) {
            snprintf(key, 64, "%s", dice_chance(dice, 90) ? "default" : "other");
        }
        return KIND_BGPCONFIGURATION;
    }
    if (roll < 91) {
        snprintf(key, 64, "%s", PICK(dice, filter_names));
        return KIND_BGPFILTER;
    }
    snprintf(key, 64, "default/%s", PICK(dice, secret_names));
    return KIND_SECRET;
}

static inline struct record *random_record(struct dice *dice, struct fleet *fleet, enum kind kind,
                                           const char *key) {
    if (kind == KIND_SECRET) {
        return random_secret(dice, fleet->revision + 1, strchr(key, '/') + 1);
    }
    struct buf json = BUF_INIT;
    switch (kind) {
    case KIND_NODE:
        random_node(dice, key, &json);
        break;
    case KIND_BGPPEER:
        random_peer(dice, key, &json);
        break;
    case KIND_BGPCONFIGURATION:
        random_config(dice, key, &json);
        break;
    case KIND_BGPFILTER:
    case KIND_SECRET:
    case KIND_COUNT:
        buf_printf(&json,
                   "{\"kind\":\"BGPFilter\",\"metadata\":{\"name\":\"%s\"},\"spec\":{\"exportV4\":[{"
                   "\"action\":\"%s\"}]}}",
                   key, dice_chance(dice, 50) ? "Accept" : "Reject");
        break;
    }
    assert_false(buf_failed(&json));
    struct record *record = fleet_record(fleet, kind, json.data);
    buf_done(&json);
    return record;
}

/* What becomes of an object: deleted (NULL), or anew. */
static inline struct record *random_change_of(struct dice *dice, struct fleet *fleet, enum kind kind,
                                              const char *key, const struct record *before) {
    if (before != NULL && dice_chance(dice, kind == KIND_NODE ? 12 : 25)) {
        return NULL;
    }
    return random_record(dice, fleet, kind, key);
}

#define STEP_CHANGES_MAX 4

/* One to four changes at once, perhaps of one object. */
static inline void random_step(struct dice *dice, struct fleet *fleet) {
    struct snapshot_change changes[STEP_CHANGES_MAX];
    size_t count = dice_chance(dice, 70) ? 1 : 1 + dice_below(dice, STEP_CHANGES_MAX);
    for (size_t i = 0; i < count; i++) {
        char key[64];
        enum kind kind = random_target(dice, key);
        struct snapshot_change *change = &changes[i];
        *change = fleet_change(fleet, kind, NULL, key);
        for (size_t k = 0; k < i; k++) {
            const struct record *any = changes[k].after != NULL ? changes[k].after : changes[k].before;
            if (changes[k].kind == kind && any != NULL && strcmp(any->key, key) == 0) {
                change->before = changes[k].after;
            }
        }
        change->after = random_change_of(dice, fleet, kind, key, change->before);
    }
    fleet_apply(fleet, changes, count);
    for (size_t i = 0; i < count; i++) {
        record_unref(changes[i].after);
    }
}

#endif
