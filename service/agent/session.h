/*
 * BGP sessions as the agent sees them: those that a configuration file is to bring about, and those that the
 * daemon has. Plain values, keyed by address and port.
 */
#ifndef BGPPEERD_AGENT_SESSION_H
#define BGPPEERD_AGENT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bgp.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/random.h"

#define BGP_PORT            179
#define SESSION_COUNT_MAX   4096 /* as many as a report may have */
#define SESSION_CAUSE_MAX   64
#define SESSION_DAEMON_MAX  64
#define SESSION_PENDING_MAX 160

/* In any case; what daemons have besides (Passive, Down, Close) is the RFC's nearest. */
enum session_state session_state_of(const char *text, size_t len);

/* Does the kernel sign the session's segments? */
enum session_key { KEY_UNKNOWN, KEY_ABSENT, KEY_PRESENT };

struct session {
    struct ip_addr peer;
    uint16_t port;            /* never 0 */
    enum session_state state; /* never SESSION_ABSENT */
    bool disabled;            /* by configuration or by hand */
    int64_t since_ms;         /* when it came into this state, since 1970; 0 = not known */
    uint64_t up_count;        /* how often it came up or went down, as far as anybody has counted */
    uint64_t received;        /* prefixes */
    uint64_t sent;
    uint64_t hold_seconds; /* as negotiated; 0 = not known, or none */
    enum session_key key;
    int ttl_hops;                  /* GTSM: accepts so many hops; 0 = off; -1 = not known */
    char cause[SESSION_CAUSE_MAX]; /* the last error: "Cease/AdministrativeShutdown"; "" = none */
    bool cause_is_remote;          /* the other end sent it */
    int64_t cause_at_ms;           /* when it was first seen; 0 = no cause */
};

struct session_list {
    size_t count;
    size_t cap;
    struct session *items;             /* by address and port, each once, after session_list_sort */
    char daemon[SESSION_DAEMON_MAX];   /* "BIRD 2.0.12"; "" = not known */
    char pending[SESSION_PENDING_MAX]; /* what of the file the daemon does not use, and why; "" = nothing */
};

void session_list_done(struct session_list *list);
/* A new session, idle, all else unknown. NULL: memory is out, or there are SESSION_COUNT_MAX. */
struct session *session_list_add(struct session_list *list, const struct ip_addr *peer, uint16_t port);
/* Sort; of several with one key the one that has come farthest stays. */
void session_list_sort(struct session_list *list);
/* NULL: there is none. The list is sorted. */
struct session *session_list_find(const struct session_list *list, const struct ip_addr *peer, uint16_t port);

struct expected;
/* Some daemons know a session by its address alone: give each the port that is expected for its address. */
void session_list_take_ports(struct session_list *list, const struct expected *expected);

/* ---- what a file is to bring about ---- */

struct expected_session {
    struct ip_addr peer;
    uint16_t port;                /* never 0 */
    bool on;                      /* else it is written but disabled, or not written at all */
    bool left_out;                /* not written at all */
    bool password;                /* it must be signed */
    unsigned ttl_security;        /* hops; 0 = off */
    bool restarts;                /* the change restarts it, though its part of the file is the same */
    char digest[DIGEST_TEXT_MAX]; /* of its part of the file: equal digests, equal session */
};

struct expected {
    char node[254];
    char list[96]; /* the list's entity tag, without quotes; "" = not said */
    char format[32];
    uint64_t revision;
    size_t count;
    size_t cap;
    struct expected_session *sessions; /* sorted like a session_list */
    char node_digest[DIGEST_TEXT_MAX]; /* of the lines on which all sessions stand */
};

/*
 * What the comments of a rendered file say of it: its first line, and one line a session. `comment` is what
 * begins a comment of this format ("# "); `restart_lines` as in struct driver. ERR_BAD_REQUEST: the file is
 * none of the service's; ERR_NO_MEMORY.
 */
int expected_read(const char *text, size_t len, const char *comment, const char *const *restart_lines,
                  struct expected *ret, struct err *err) MUST_CHECK;
/* What a list in JSON says of itself; no sessions. As expected_read. */
int expected_read_json(const char *text, size_t len, struct expected *ret, struct err *err) MUST_CHECK;
void expected_done(struct expected *expected);
const struct expected_session *expected_find(const struct expected *expected, const struct ip_addr *peer,
                                             uint16_t port);

#endif
