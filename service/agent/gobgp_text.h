/* What stands in a GoBGP file that the service has rendered. Pure: texts in, answers out. */
#ifndef BGPPEERD_AGENT_GOBGP_TEXT_H
#define BGPPEERD_AGENT_GOBGP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/ip.h"

/* A file; `text` NULL: there is none. The bytes are the caller's. */
struct gobgp_text {
    const char *text;
    size_t len;
};

/* The next prefix that the file announces, behind `*at` (begin with the text's start); false: there is none.
 */
bool gobgp_text_next_prefix(const struct gobgp_text *file, const char **at, char ret[IP_CIDR_TEXT_MAX]);
bool gobgp_text_announces(const struct gobgp_text *file, const char *prefix);

/* The part of a session: its comment, and all up to the next one's. NULL: the file does not have it. */
const char *gobgp_text_session(const struct gobgp_text *file, const struct ip_addr *peer, size_t *ret_len);

/* Both files have the session, and what SIGHUP ignores in it differs. */
bool gobgp_text_must_renew(const struct gobgp_text *before, const struct gobgp_text *now,
                           const struct ip_addr *peer);
/* How a session's routes are given otherwise by another file. */
enum gobgp_exports {
    GOBGP_EXPORTS_ALIKE,
    GOBGP_EXPORTS_CHANGED, /* the same routes, perhaps with other attributes */
    GOBGP_EXPORTS_DECIDED, /* perhaps other routes */
};
/* ALIKE also when one of the files does not have the session. */
enum gobgp_exports gobgp_text_exports(const struct gobgp_text *before, const struct gobgp_text *now,
                                      const struct ip_addr *peer);

/*
 * The names of the settings of the whole daemon in which the file differs from `running`, another file or
 * lines like those of one; separated by commas, "" for none.
 */
void gobgp_text_compare_global(const struct gobgp_text *file, const struct gobgp_text *running, char *ret,
                               size_t size);
/* Have both their own AS number, and is it another one? All sessions restart then. */
bool gobgp_text_as_differs(const struct gobgp_text *before, const struct gobgp_text *now);

#endif
