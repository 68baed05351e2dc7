/*
 * Inside the peering room: the parts of documents that the list, its differences and its explanation share.
 * All write JSON members or array elements with their commas.
 */
#ifndef BGPPEERD_PEERING_DOCUMENT_H
#define BGPPEERD_PEERING_DOCUMENT_H

#include "peering.h"

enum member_kind {
    MEMBER_FAMILY,
    MEMBER_TEXT,    /* const char *, NULL = absent */
    MEMBER_CHARS,   /* char array */
    MEMBER_U8,      /* 0 = absent */
    MEMBER_U16,     /* 0 = absent */
    MEMBER_U32,     /* 0 = absent */
    MEMBER_AS,      /* uint32_t, always there */
    MEMBER_TYPE,    /* bool external */
    MEMBER_SECONDS, /* int64_t, negative = absent */
    MEMBER_FLAG,    /* bool, false = absent */
    MEMBER_FILTERS,
    MEMBER_PASSWORD, /* its fingerprint */
    MEMBER_WITHHELD,
};

/* One member of an entry. `disruptive`: a daemon must restart the session when it changes. */
struct member {
    const char *name;
    enum member_kind kind;
    bool disruptive;
    size_t offset; /* in struct peering_entry */
};

/* In the order of the document. */
extern const struct member entry_members[];
extern const size_t entry_member_count;

bool member_is_present(const struct member *member, const struct peering_entry *entry);
/* The value alone; the member must be present. */
void document_add_value(struct buf *out, const struct member *member, const struct peering_entry *entry);

void document_add_origin(struct buf *out, const char *key, const struct peering_origin *origin);
/* All members of an entry, into an object that the caller opens and closes; no password in clear. */
void document_add_entry_members(struct buf *out, const struct peering_entry *entry);
void document_add_suppressed_members(struct buf *out, const struct peering_suppressed *suppressed);
void document_add_problem(struct buf *out, const struct peering_problem *problem);
const char *document_scope_name(enum peering_scope scope);

#endif
