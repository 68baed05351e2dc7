/*
 * The JSON of GoBGP (3.10: members that are zero are left out, states are numbers) and OpenBGPD (7.7: the
 * remote AS is a string, times are ages). No state.
 */
#include <string.h>
#include <time.h>

#include "agent_json.h"
#include "answers.h"
#include "base/clock.h"
#include "cause.h"

/* Adds what `take` reads of each element of an array. */
static int answer_sessions(const json_t *array, const char *what,
                           bool (*address)(const json_t *peer, struct ip_addr *ret),
                           void (*take)(const json_t *peer, struct session *session),
                           struct session_list *ret, struct err *err) {
    if (!json_is_array(array)) {
        return err_set(err, ERR_UNAVAILABLE, "%s is no list", what);
    }
    for (size_t i = 0; i < json_array_size(array) && ret->count < SESSION_COUNT_MAX; i++) {
        const json_t *peer = json_array_get(array, i);
        struct ip_addr parsed;
        if (!address(peer, &parsed)) {
            continue;
        }
        struct session *session = session_list_add(ret, &parsed, 0);
        if (session == NULL) {
            return err_no_memory(err);
        }
        take(peer, session);
    }
    session_list_sort(ret);
    return 0;
}

static bool answer_address(const char *text, struct ip_addr *ret) {
    return ip_parse(text, strlen(text), ret);
}

/* ---- GoBGP ---- */

static bool gobgp_address(const json_t *peer, struct ip_addr *ret) {
    return answer_address(agent_json_text(agent_json_member(peer, "conf"), "neighbor_address"), ret);
}

static void gobgp_take(const json_t *peer, struct session *session) {
    static const enum session_state STATES[] = {SESSION_IDLE,       SESSION_IDLE,      SESSION_CONNECT,
                                                SESSION_ACTIVE,     SESSION_OPEN_SENT, SESSION_OPEN_CONFIRM,
                                                SESSION_ESTABLISHED};
    const json_t *state = agent_json_member(peer, "state");
    const json_t *timers = agent_json_member(agent_json_member(peer, "timers"), "state");
    const json_t *ttl = agent_json_member(peer, "ttl_security");
    uint64_t number = agent_json_number(state, "session_state", 0);
    session->state = number < sizeof(STATES) / sizeof(STATES[0]) ? STATES[number] : SESSION_IDLE;
    session->disabled = agent_json_is_set(state, "admin_state");
    session->key = agent_json_text(agent_json_member(peer, "conf"), "auth_password")[0] != '\0' ? KEY_PRESENT
                                                                                                : KEY_ABSENT;
    uint64_t ttl_min = agent_json_number(ttl, "ttl_min", 0);
    session->ttl_hops =
        agent_json_is_set(ttl, "enabled") && ttl_min > 0 && ttl_min < 256 ? (int)(256 - ttl_min) : 0;
    if (session->state == SESSION_ESTABLISHED) {
        session->since_ms =
            (int64_t)agent_json_number(agent_json_member(timers, "uptime"), "seconds", 0) * 1000;
        session->hold_seconds = agent_json_number(timers, "negotiated_hold_time", 0);
    }
    const json_t *families = agent_json_member(peer, "afi_safis");
    for (size_t i = 0; i < json_array_size(families); i++) {
        const json_t *family = agent_json_member(json_array_get(families, i), "state");
        session->received += agent_json_number(family, "accepted", 0);
        session->sent += agent_json_number(family, "advertised", 0);
    }
}

int gobgp_sessions(const char *text, size_t len, struct session_list *ret, struct err *err) {
    json_t *peers = NULL;
    if (agent_json_read(text, len, "GoBGP's list of neighbors", &peers, err) != 0) {
        return -1;
    }
    int result = answer_sessions(peers, "GoBGP's list of neighbors", gobgp_address, gobgp_take, ret, err);
    json_decref(peers);
    return result;
}

/* Every address, which the file says by saying nothing. */
static bool gobgp_is_everywhere(const json_t *addresses) {
    return json_array_size(addresses) == 2 &&
           strcmp(json_string_value(json_array_get(addresses, 0)), "0.0.0.0") == 0 &&
           strcmp(json_string_value(json_array_get(addresses, 1)), "::") == 0;
}

static void gobgp_add_addresses(const json_t *addresses, struct buf *ret) {
    buf_add_str(ret, "local-address-list = [");
    for (size_t i = 0; i < json_array_size(addresses); i++) {
        buf_printf(ret, "%s\"%s\"", i > 0 ? ", " : "", json_string_value(json_array_get(addresses, i)));
    }
    buf_add_str(ret, "]\n");
}

int gobgp_global(const char *text, size_t len, struct buf *ret, struct err *err) {
    json_t *root = NULL;
    if (agent_json_read(text, len, "GoBGP's own settings", &root, err) != 0) {
        return -1;
    }
    const json_t *addresses = agent_json_member(root, "listen_addresses");
    uint64_t port = agent_json_number(root, "listen_port", 0);
    bool good = agent_json_number(root, "asn", 0) > 0 && json_array_size(addresses) > 0;
    for (size_t i = 0; i < json_array_size(addresses); i++) {
        good = good && json_is_string(json_array_get(addresses, i));
    }
    if (good) {
        buf_printf(ret, "as = %llu\nrouter-id = \"%s\"\n",
                   (unsigned long long)agent_json_number(root, "asn", 0), agent_json_text(root, "router_id"));
        if (port != BGP_PORT) {
            buf_printf(ret, "port = %llu\n", (unsigned long long)port);
        }
        if (!gobgp_is_everywhere(addresses)) {
            gobgp_add_addresses(addresses, ret);
        }
    }
    json_decref(root);
    return !good             ? err_set(err, ERR_UNAVAILABLE, "GoBGP does not say with which settings it runs")
           : buf_failed(ret) ? err_no_memory(err)
                             : 0;
}

/* ---- OpenBGPD ---- */

static bool openbgpd_address(const json_t *peer, struct ip_addr *ret) {
    return answer_address(agent_json_text(peer, "remote_addr"), ret);
}

static void openbgpd_take(const json_t *peer, struct session *session) {
    const char *state = agent_json_text(peer, "state");
    const json_t *config = agent_json_member(peer, "config");
    const json_t *prefixes = agent_json_member(agent_json_member(peer, "stats"), "prefixes");
    session->state = session_state_of(state, strlen(state));
    session->disabled = agent_json_is_set(config, "down");
    session->ttl_hops = agent_json_member(config, "ttl_security") == NULL ? -1
                        : agent_json_is_set(config, "ttl_security")
                            ? (int)agent_json_number(config, "multihop_distance", 1)
                            : 0;
    session->received = agent_json_number(prefixes, "received", 0);
    session->sent = agent_json_number(prefixes, "sent", 0);
    const json_t *age = agent_json_member(peer, "last_updown_sec"); /* -1: never */
    if (json_is_integer(age) && json_integer_value(age) >= 0) {
        session->since_ms = clock_realtime_ms() / 1000 * 1000 - (int64_t)json_integer_value(age) * 1000;
    }
    if (session->state == SESSION_ESTABLISHED) {
        session->hold_seconds = agent_json_number(agent_json_member(peer, "session"), "holdtime", 0);
    }
    const char *received = agent_json_text(peer, "last_error_received");
    const char *sent = agent_json_text(peer, "last_error_sent");
    const char *error = received[0] != '\0' ? received : sent;
    cause_of_words(error, strlen(error), received[0] != '\0', session);
}

int openbgpd_sessions(const char *text, size_t len, struct session_list *ret, struct err *err) {
    json_t *root = NULL;
    if (agent_json_read(text, len, "OpenBGPD's list of neighbors", &root, err) != 0) {
        return -1;
    }
    /* Its way to say that it has none. */
    bool none = strcmp(agent_json_text(root, "error"), "no such neighbor") == 0;
    int result = none ? 0
                      : answer_sessions(agent_json_member(root, "neighbors"), "OpenBGPD's list of neighbors",
                                        openbgpd_address, openbgpd_take, ret, err);
    json_decref(root);
    return result;
}
