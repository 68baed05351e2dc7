/*
 * Inside the peering room: the parts of documents that the list, its differences and its explanation share.
 * All write JSON members or array elements with their commas.
 */
#ifndef BGPPEERD_PEERING_DOCUMENT_H
#define BGPPEERD_PEERING_DOCUMENT_H

#include "peering/members.h"

/* The value alone; the member must be present. `base`: see peering/members.h. */
void document_add_value(struct buf *out, const struct peering_member *member, const void *base);

void document_add_origin(struct buf *out, const char *key, const struct peering_origin *origin);
/* Those that are present, with their keys. */
void document_add_members(struct buf *out, const struct peering_member *members, size_t count,
                          const void *base);
/* All members of an entry, into an object that the caller opens and closes; no password in clear. */
void document_add_entry_members(struct buf *out, const struct peering_entry *entry);
void document_add_suppressed_members(struct buf *out, const struct peering_suppressed *suppressed);
void document_add_problem(struct buf *out, const struct peering_problem *problem);
const char *document_scope_name(enum peering_scope scope);

#endif
