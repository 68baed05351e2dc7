/*
 * The connection to an etcd cluster: its members, credentials, and one request of its JSON gateway at a time.
 * From any thread.
 *
 * What the gateway does not understand of a request it leaves out without a word; and it leaves members that
 * are zero, false or empty out of its answers. So whoever asks must look whether the answer has what was
 * asked for.
 */
#ifndef BGPPEERD_STORE_ETCD_LINK_H
#define BGPPEERD_STORE_ETCD_LINK_H

#include <jansson.h>

#include "client.h"
#include "store.h"

struct etcd_link;

#define ETCD_MEMBERS_MAX 16

/* Parse the members' addresses and read the credentials; asks nobody. ERR_USAGE. */
int etcd_link_new(const char *place, const struct store_options *options, struct etcd_link **ret,
                  struct err *err) MUST_CHECK;
/* No request is under way. Accepts NULL. */
void etcd_link_free(struct etcd_link *link);
/* As it was given. */
const char *etcd_link_place(const struct etcd_link *link);
size_t etcd_link_members(const struct etcd_link *link);
/* The member that is asked, and: take another than this one from now on. */
unsigned etcd_link_member(const struct etcd_link *link);
void etcd_link_leave(struct etcd_link *link, unsigned member);

/* What became of a request that has no answer. */
enum etcd_fate {
    ETCD_REFUSED, /* it was understood, and not done */
    ETCD_UNSENT,  /* not done; another member may do it */
    ETCD_UNKNOWN, /* done, or not, or not yet */
};

/* How far the clock of the member that answered last is ahead of ours, in milliseconds; exact to a second. */
int64_t etcd_link_clock_off(const struct etcd_link *link);

/* One request to one member, `seconds` at most; json_decref what it returns. -1: *ret_fate and `err` say what
 * became of it. */
int etcd_ask(struct etcd_link *link, unsigned member, const char *path, const struct buf *body,
             unsigned seconds, json_t **ret, enum etcd_fate *ret_fate, struct err *err) MUST_CHECK;
/* One that may be done twice: to one member after the other, until one answers. */
int etcd_ask_any(struct etcd_link *link, const char *path, const struct buf *body, unsigned seconds,
                 json_t **ret, struct err *err) MUST_CHECK;

/* Begin a request whose answer comes in parts and has no end; on the caller's client. */
int etcd_begin(struct etcd_link *link, struct client *client, unsigned member, const char *path,
               const struct buf *body, void (*part)(void *arg, const char *bytes, size_t len), void *arg,
               struct client_call **ret, struct err *err) MUST_CHECK;
/* The credentials are no longer good: have new ones for the next request. */
void etcd_link_forget_token(struct etcd_link *link);

/* ---- of answers ---- */

/* A 64-bit number, which is a string in JSON; 0 when it is not there. */
int64_t etcd_number(const json_t *object, const char *name);
/* etcd's revision at which the answer was given. */
int64_t etcd_revision(const json_t *answer);

#endif
