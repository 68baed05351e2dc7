/*
 * Verifying. A pure comparison of what is expected with what was read, repeated until it is satisfied.
 * Nothing is kept.
 */
#include "verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define FIRST_LOOK_MS 20
#define LOOK_MAX_MS   1000

#define PEER_TEXT_MAX (IP_TEXT_MAX + 8)

static void verify_peer(const struct ip_addr *peer, uint16_t port, char ret[PEER_TEXT_MAX]) {
    size_t len = ip_format(peer, ret);
    if (port != BGP_PORT) {
        snprintf(ret + len, PEER_TEXT_MAX - len, " port %u", port);
    }
}

/* ---- safety ---- */

/* Why a session must not run as it does; NULL: it may. */
static const char *verify_danger(const struct expected_session *expected, const struct session *session) {
    if (session->disabled || !expected->on) {
        return NULL;
    }
    if (expected->password && session->key == KEY_ABSENT) {
        return "without its password";
    }
    if (expected->ttl_security > 0 && session->ttl_hops >= 0 &&
        (unsigned)session->ttl_hops != expected->ttl_security) {
        return "without its TTL security";
    }
    return NULL;
}

int verify_guard(struct host *host, const struct expected *expected, const struct session_list *sessions,
                 struct err *err) {
    int result = 0;
    for (size_t i = 0; i < expected->count; i++) {
        const struct expected_session *wanted = &expected->sessions[i];
        const struct session *session = session_list_find(sessions, &wanted->peer, wanted->port);
        const char *danger = session != NULL ? verify_danger(wanted, session) : NULL;
        if (danger == NULL) {
            continue;
        }
        char peer[PEER_TEXT_MAX];
        struct err shut = ERR_INIT;
        verify_peer(&wanted->peer, wanted->port, peer);
        bool is_shut =
            host->settings->driver->shut != NULL && host->settings->driver->shut(host, wanted, &shut) == 0;
        log_event(LOG_ERROR, "unsafe-session", LOG_STR("peer", peer), LOG_STR("runs", danger),
                  LOG_STR("shut", is_shut ? "yes" : shut.text));
        if (result == 0) {
            result = err_set(err, ERR_INVALID, "the daemon ran the session with %s %s%s", peer, danger,
                             is_shut ? "; it was shut down" : ", and could not be told to shut it down");
        }
    }
    return result;
}

/* ---- a change ---- */

/* Was it up before, and is there nothing in the change that could make it restart? */
static bool verify_must_stay(const struct change *change, const struct expected_session *wanted) {
    const struct session *session = session_list_find(&change->sessions, &wanted->peer, wanted->port);
    const struct expected_session *before = expected_find(&change->before, &wanted->peer, wanted->port);
    return change->replaces && !change->everything_restarts && !wanted->restarts && wanted->on &&
           session != NULL && session->state == SESSION_ESTABLISHED && before != NULL && before->on &&
           strcmp(before->digest, wanted->digest) == 0;
}

/* What is not yet as it should be; false: nothing. */
static bool verify_lacks(const struct change *change, const struct session_list *sessions, char *ret,
                         size_t size) {
    for (size_t i = 0; i < change->now.count; i++) {
        const struct expected_session *wanted = &change->now.sessions[i];
        const struct session *session = session_list_find(sessions, &wanted->peer, wanted->port);
        char peer[PEER_TEXT_MAX];
        verify_peer(&wanted->peer, wanted->port, peer);
        if (session == NULL && !wanted->left_out) {
            snprintf(ret, size, "the daemon does not have the session with %s; does it read the file?", peer);
            return true;
        }
        if (session != NULL && !wanted->on && session->state == SESSION_ESTABLISHED) {
            snprintf(ret, size, "the session with %s is disabled, and still up", peer);
            return true;
        }
        if (session != NULL && session->state != SESSION_ESTABLISHED && verify_must_stay(change, wanted)) {
            snprintf(ret, size, "the session with %s, which has not changed, went down", peer);
            return true;
        }
    }
    return false;
}

/* 0 with *ret_settled, or what makes further waiting useless. */
static int verify_look(struct host *host, const struct change *change, bool *ret_settled, char *lack,
                       size_t size, struct err *err) {
    struct session_list sessions = {.count = 0};
    struct err unread = ERR_INIT;
    int result = 0;
    *ret_settled = false;
    if (host->settings->driver->read(host, &sessions, &unread) != 0) {
        snprintf(lack, size, "%s", unread.text);
    } else {
        result = verify_guard(host, &change->now, &sessions, err);
        *ret_settled = result == 0 && !verify_lacks(change, &sessions, lack, size);
    }
    session_list_done(&sessions);
    return result;
}

int verify_change(struct host *host, const struct change *change, struct err *err) {
    int64_t until = clock_monotonic_ms() + (int64_t)host->settings->confirm_seconds * 1000;
    int64_t pause = FIRST_LOOK_MS;
    char lack[ERR_TEXT_MAX] = "";
    for (;;) {
        bool settled = false;
        if (verify_look(host, change, &settled, lack, sizeof(lack), err) != 0) {
            return -1;
        }
        if (settled) {
            return 0;
        }
        if (clock_monotonic_ms() >= until) {
            return err_set(err, ERR_UNAVAILABLE, "taken back after %" PRIu64 " s: %s",
                           host->settings->confirm_seconds, lack);
        }
        if (!loop_sleep(host->loop, pause)) {
            return loop_stopped(err);
        }
        pause = pause * 2 < LOOK_MAX_MS ? pause * 2 : LOOK_MAX_MS;
    }
}
