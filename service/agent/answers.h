/* What daemons say of their sessions in JSON. Pure: text in, sessions out, sorted; nothing here runs a
 * program. */
#ifndef BGPPEERD_AGENT_ANSWERS_H
#define BGPPEERD_AGENT_ANSWERS_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "session.h"

/* All add to `ret`, and fail with ERR_UNAVAILABLE (this is not the daemon's JSON) or ERR_NO_MEMORY. Sessions
 * whose address cannot be read are passed over. */

/* FRR: `show bgp neighbors json`. */
int frr_sessions(const char *text, size_t len, struct session_list *ret, struct err *err) MUST_CHECK;

/* GoBGP: `gobgp -j neighbor`. */
int gobgp_sessions(const char *text, size_t len, struct session_list *ret, struct err *err) MUST_CHECK;
/* … and `gobgp -j global`, as lines like those of its file, without what is the default there. */
int gobgp_global(const char *text, size_t len, struct buf *ret, struct err *err) MUST_CHECK;
/* OpenBGPD: `bgpctl -j show neighbor`. */
int openbgpd_sessions(const char *text, size_t len, struct session_list *ret, struct err *err) MUST_CHECK;

/*
 * What a checker of FRR's complains about first, without the line's text, which may have a password in it:
 * "line 3: Unknown command". False: nothing is wrong. Knows `vtysh -C` and `bgpd -C`, whose exit status says
 * nothing.
 */
bool frr_complaint(const char *text, size_t len, char *ret, size_t size);

#endif
