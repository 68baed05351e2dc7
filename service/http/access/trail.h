/* The audit trail of this room: each event becomes an entry of state's trail and a log line. Never a secret.
 */
#ifndef BGPPEERD_HTTP_ACCESS_TRAIL_H
#define BGPPEERD_HTTP_ACCESS_TRAIL_H

#include "auth.h"
#include "base/err.h"
#include "request/request.h"
#include "state.h"

/* A write and its `also`, on the request's thread after it was done. Says nothing about failures, dry runs
 * and writes that changed nothing, but for those of Secrets. */
void trail_write(const struct request *request, const struct write *write);
/* A 401 or 403. The same caller's denials beyond TRAIL_REFUSED_PER_SECOND are not written down one by one. */
#define TRAIL_REFUSED_PER_SECOND 1
#define TRAIL_REFUSED_BURST      60
void trail_refused(const struct request *request, const struct access *access, const struct err *failure);
/* Passwords of a node's list were handed out. */
void trail_passwords(const struct request *request, const char *node, const char *etag);
/* A Secret was written without anything being stored: whoever tries guesses does that. */
void trail_tried(const struct request *request, const char *verb, const char *secret);
/* A token was made or revoked. */
void trail_token(const struct request *request, const struct token *token, bool revoked);
/* The fleet was frozen, or a freeze lifted: `detail` says why. */
void trail_freeze(const struct request *request, const char *detail);
/* A change of the vault's keys, or a backup: `detail` says what. */
void trail_vault(const struct request *request, const char *detail);

#endif
