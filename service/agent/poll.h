/*
 * Polling: one request at a time to the service, which waits there until the list changes. Never waits
 * itself: poll_turn is called at every turn of the loop.
 */
#ifndef BGPPEERD_AGENT_POLL_H
#define BGPPEERD_AGENT_POLL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "client.h"
#include "memory.h"
#include "settings.h"

#define SERVER_URL_MAX 1024

struct poll {
    const struct agent_settings *settings;
    struct client *client;
    struct client_call *call; /* NULL: none under way */
    size_t server;            /* which one is asked: the last that answered */
    unsigned failures;        /* in a row */
    int64_t next_at;          /* when the next request is due, monotonic ms */
    int64_t asked_at;
    uint64_t wait_seconds;    /* what is asked for: less than the setting behind a proxy that cuts it short */
    unsigned good_waits;      /* in a row, before a longer wait is tried again */
    unsigned early_answers;   /* in a row: without news, and long before the wait was over */
    char etag[ETAG_TEXT_MAX]; /* of the newest answer, with its quotes; "" = none yet */
    uint64_t revision;        /* the highest seen */
    char trouble[256];        /* the failure that was logged last; "" = none */
    /* News, for whoever takes them and clears the flag. */
    bool has_news;
    struct buf text; /* wiping */
};

/* `etag`, which may be "": what need not be sent again. */
void poll_init(struct poll *poll, const struct agent_settings *settings, struct client *client,
               const char *etag, uint64_t revision);
void poll_done(struct poll *poll);
/* Begin what is due, take what has arrived. */
void poll_turn(struct poll *poll);
/* When that has to happen at the latest without anything arriving, monotonic ms. */
int64_t poll_due(const struct poll *poll);
/* Ask at once, and for everything when `whole`. */
void poll_now(struct poll *poll, bool whole);

/* The URL of this node's list on the server that answers, with `more` behind it. False: too long. */
bool poll_url(const struct poll *poll, const char *more, char ret[SERVER_URL_MAX]);
/* What a request needs for the service to know us. The token, if any, is put into `ret_token`, a wiping
 * buffer that has to outlive the start of the request. -1: the token's file cannot be read. */
int poll_identify(const struct agent_settings *settings, struct client_request *request,
                  struct buf *ret_token, struct err *err) MUST_CHECK;
/* "Retry-After" of an answer, in ms, at most `max`; 0: there is none. */
int64_t poll_retry_after(const struct client_answer *answer, int64_t max);

#endif
