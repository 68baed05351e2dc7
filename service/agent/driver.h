/*
 * Drivers: how one kind of BGP daemon is given a configuration and asked what it does. One constant table
 * each.
 *
 * All functions wait by the host's loop only, with limits of their own: a daemon that hangs costs time,
 * nothing else. Their errors have these meanings, whatever the function: ERR_INVALID       the daemon or its
 * checker refuses the configuration; the text says why ERR_NOT_FOUND     the daemon does not run
 *   ERR_UNAVAILABLE   it does not answer, or not in its language; or the agent is stopping
 *   ERR_NO_MEMORY
 */
#ifndef BGPPEERD_AGENT_DRIVER_H
#define BGPPEERD_AGENT_DRIVER_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "loop.h"
#include "session.h"
#include "settings.h"

struct host {
    const struct agent_settings *settings;
    struct loop *loop;
    const struct expected *expected; /* what the daemon is to run, for those that do not tell everything;
                                        NULL: not known */
};

/* A configuration on its way, and what it replaces. */
struct change {
    const char *text;
    size_t len;
    char digest[DIGEST_TEXT_MAX];
    struct expected now;
    bool installed;       /* the file has this content already, and the daemon has not taken it */
    bool replaces;        /* there was a file, and `before` is what it says */
    const char *old_text; /* of that file; NULL: there was none */
    size_t old_len;
    struct expected before;
    struct session_list sessions; /* of the daemon before the change */
    bool everything_restarts;     /* what all sessions depend on has changed */
};

struct driver {
    const char *name;    /* --daemon */
    const char *format;  /* the service's format=; NULL: the list itself, as JSON */
    const char *comment; /* what begins a comment in that format; NULL: it has none */
    const char *config;  /* defaults of the options; NULL: there is none */
    const char *control;
    const char *group;
    const char *append;
    mode_t mode;      /* of the file */
    unsigned read_ms; /* between two looks at the sessions */
    /* Lines of the file, blanks before them aside, that make all sessions restart when they change; NULL at
     * the end. */
    const char *const *restart_lines;

    /* Before anything else: make what the configuration needs. NULL: nothing. */
    int (*prepare)(struct host *host, struct err *err);
    /* Would the daemon take the file `path`? */
    int (*check)(struct host *host, const char *path, struct err *err);
    /* Note in change->now which sessions restart though their parts of the file are the same. NULL: none. */
    void (*mark)(struct change *change);
    /* The new file is in its place: make the daemon use it. */
    int (*apply)(struct host *host, const struct change *change, struct err *err);
    /* What was applied is good. NULL: it needs no word. */
    int (*confirm)(struct host *host, struct err *err);
    /* The old file is in its place again: make the daemon use that. */
    int (*undo)(struct host *host, const struct change *change, struct err *err);
    /* What the sessions do, sorted. NULL: this daemon cannot be asked. */
    int (*read)(struct host *host, struct session_list *ret, struct err *err);
    /* Shut one session down that must not run as it does. NULL: needed by no daemon that fails closed. */
    int (*shut)(struct host *host, const struct expected_session *session, struct err *err);
    /* Shut all sessions of the file down, because the agent ends. NULL: not possible. */
    int (*withdraw)(struct host *host, const struct expected *expected, struct err *err);
};

extern const struct driver DRIVER_BIRD;
extern const struct driver DRIVER_FRR;
extern const struct driver DRIVER_GOBGP;
extern const struct driver DRIVER_OPENBGPD;
extern const struct driver DRIVER_COMMAND;

/* NULL: there is none of that name. */
const struct driver *driver_find(const char *name);
/* The names of all, for options; NULL at the end. */
extern const char *const DRIVER_NAMES[];

#endif
