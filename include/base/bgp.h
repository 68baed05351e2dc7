/*
 * BGP sessions in everybody's words: the states of RFC 4271, and what goes wrong with a session. Daemons name
 * them in their own way; reports, verdicts and answers in this one.
 *
 * One table each; static and immutable, no locks.
 */
#ifndef BGPPEERD_BASE_BGP_H
#define BGPPEERD_BASE_BGP_H

#include <stdbool.h>
#include <stddef.h>

/* RFC 4271, 8.2.2, in the order in which a session comes up. SESSION_ABSENT: the daemon does not have it. */
enum session_state {
    SESSION_ABSENT,
    SESSION_IDLE,
    SESSION_CONNECT,
    SESSION_ACTIVE,
    SESSION_OPEN_SENT,
    SESSION_OPEN_CONFIRM,
    SESSION_ESTABLISHED,
    SESSION_STATE_COUNT
};
/* "Established" …; NULL for SESSION_ABSENT. Static. */
const char *session_state_name(enum session_state state);
/* As it is written there. SESSION_ABSENT: there is no such state; also for NULL. */
enum session_state session_state_by_name(const char *name);

/* What a daemon, a socket or the kernel's counters say went wrong: as many classes as sentences can be said.
 */
enum session_error {
    SESSION_ERROR_NONE,
    SESSION_ERROR_BAD_PEER_AS,         /* OPEN Message Error / Bad Peer AS (RFC 4271, 6.2) */
    SESSION_ERROR_BAD_BGP_IDENTIFIER,  /* OPEN Message Error / Bad BGP Identifier */
    SESSION_ERROR_OPEN,                /* any other OPEN Message Error */
    SESSION_ERROR_UPDATE,              /* UPDATE Message Error (RFC 4271, 6.3) */
    SESSION_ERROR_HEADER,              /* Message Header Error (RFC 4271, 6.1) */
    SESSION_ERROR_HOLD_TIMER,          /* Hold Timer Expired (RFC 4271, 6.5) */
    SESSION_ERROR_FSM,                 /* Finite State Machine Error (RFC 4271, 6.6) */
    SESSION_ERROR_MAX_PREFIXES,        /* Cease / Maximum Number of Prefixes Reached (RFC 4486) */
    SESSION_ERROR_ADMIN_SHUTDOWN,      /* Cease / Administrative Shutdown (RFC 4486, RFC 8203) */
    SESSION_ERROR_PEER_DECONFIGURED,   /* Cease / Peer De-configured (RFC 4486) */
    SESSION_ERROR_ADMIN_RESET,         /* Cease / Administrative Reset (RFC 4486) */
    SESSION_ERROR_CONNECTION_REJECTED, /* Cease / Connection Rejected (RFC 4486) */
    SESSION_ERROR_CEASE,               /* any other Cease */
    SESSION_ERROR_REFUSED,             /* the TCP connection was refused */
    SESSION_ERROR_RESET,               /* the TCP connection was reset or closed */
    SESSION_ERROR_NO_ROUTE,            /* network or host unreachable */
    SESSION_ERROR_TIMED_OUT,           /* no answer to the TCP connection */
    SESSION_ERROR_NO_SOURCE_ADDRESS,   /* the session's source is no address of this host */
    SESSION_ERROR_PASSWORD_UNUSABLE,   /* the host cannot use the password */
    SESSION_ERROR_LINK_DOWN,           /* the interface is down */
    SESSION_ERROR_DAEMON_AWAY,         /* the BGP daemon of this host does not run */
    SESSION_ERROR_MD5_DIFFERS,         /* TCP MD5 signatures do not match (kernel counter) */
    SESSION_ERROR_MD5_MISSING,         /* the far end does not sign, this end has a password */
    SESSION_ERROR_MD5_UNEXPECTED,      /* the far end signs, this end has no password */
    SESSION_ERROR_TTL,                 /* segments with too low a TTL were dropped (RFC 5082) */
    SESSION_ERROR_OTHER,
    SESSION_ERROR_COUNT
};

/*
 * One thing that goes wrong. A NOTIFICATION has a code and, mostly, a subcode (RFC 4271, 4.5; RFC 4486; RFC
 * 8203; RFC 9234), and the row of subcode 0 stands for all of its code; what happens before anything is said
 * on a connection has code 0.
 */
struct bgp_error {
    unsigned code, subcode;
    enum session_error class;
    const char *name;  /* "OpenMessage/BadPeerAS", "Cease/AdministrativeReset", "Socket/ConnectionRefused" */
    const char *words; /* how BIRD, FRR and OpenBGPD call it: in lower case, divided by "|" */
};
/* All of them; where the words of one are part of another's, the longer ones come first. */
const struct bgp_error *bgp_errors(size_t *ret_count);

/*
 * The class of a name. A name that has no row is of the class of what is before its "/", or
 * SESSION_ERROR_OTHER: agents may be newer than the service. NULL and "": SESSION_ERROR_NONE.
 */
enum session_error session_error_by_code(const char *name);

#endif
