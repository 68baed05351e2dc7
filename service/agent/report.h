/*
 * Reports: what the sessions of this node do, for the service, on change and from time to time. Never waits:
 * report_turn is called at every turn of the loop.
 */
#ifndef BGPPEERD_AGENT_REPORT_H
#define BGPPEERD_AGENT_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/random.h"
#include "kernel.h"
#include "poll.h"
#include "session.h"

/* What a report says besides the sessions. */
struct report_facts {
    char list[96];          /* the tag of the list that the daemon has taken; "" = none */
    int64_t applied_ms;     /* when it did, since 1970; 0 = never */
    char apply_error[1024]; /* why the newest list is not applied; "" = it is */
};

struct report {
    const struct agent_settings *settings;
    const struct poll *poll; /* which says whom to tell */
    struct client *client;
    struct client_call *call; /* NULL: none under way */
    char boot[UUID_TEXT_MAX]; /* of this start of the agent */
    uint64_t sequence;
    int64_t next_at;              /* monotonic ms */
    int64_t not_before;           /* after a refusal: also news waits until then */
    int64_t interval_ms;          /* between reports without news; the service may ask for more */
    char digest[DIGEST_TEXT_MAX]; /* of what was noted last, without what changes all the time */
    /* The kernel's counters when that became so, and which of them have grown since: one bit each. */
    uint64_t counters[KERNEL_COUNTER_COUNT];
    unsigned grown;
    struct buf text;    /* of the newest report; "" = nothing was noted yet */
    struct buf sending; /* of the one under way */
    char trouble[256];  /* the failure that was logged last */
};

void report_init(struct report *report, const struct agent_settings *settings, const struct poll *poll,
                 struct client *client);
void report_done(struct report *report);
/* The sessions are like this now. News is sent a second later, with what has come until then. */
void report_note(struct report *report, const struct session_list *sessions,
                 const struct report_facts *facts);
void report_turn(struct report *report);
int64_t report_due(const struct report *report);
/* Nothing is under way, and what was noted has been sent or refused. */
bool report_is_idle(const struct report *report);

/* The report's body. `counters` NULL: without them. */
void report_write(const struct session_list *sessions, const struct report_facts *facts,
                  const uint64_t counters[KERNEL_COUNTER_COUNT], const char *boot, uint64_t sequence,
                  struct buf *out);

#endif
