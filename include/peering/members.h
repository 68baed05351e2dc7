/*
 * The members of a session, and of `local`, by table: in which order they are written, when two are the same,
 * what a change of one does to a running session, and in which of them its two ends must agree.
 *
 * Everything that goes through the members of a list goes through these tables: the documents, the comparison
 * of two lists, the explanation. Static and immutable.
 */
#ifndef BGPPEERD_PEERING_MEMBERS_H
#define BGPPEERD_PEERING_MEMBERS_H

#include "peering.h"

enum member_kind {
    MEMBER_FAMILY,
    MEMBER_TEXT,     /* const char *, NULL = absent */
    MEMBER_CHARS,    /* char array */
    MEMBER_U8,       /* 0 = absent */
    MEMBER_U32,      /* 0 = absent */
    MEMBER_PORT,     /* uint16_t, 0 = absent, which is the same to a daemon as 179 */
    MEMBER_AS,       /* uint32_t, always there */
    MEMBER_TYPE,     /* bool external */
    MEMBER_SECONDS,  /* int64_t, negative = absent */
    MEMBER_FLAG,     /* bool, false = absent */
    MEMBER_TEXTS,    /* const char *const *, with its count elsewhere; none = absent */
    MEMBER_PASSWORD, /* its fingerprint */
    MEMBER_WITHHELD,
    MEMBER_ORIGIN,
};

/* What a daemon does to an Established session when the member changes. */
enum member_effect {
    EFFECT_NONE,       /* keeps it: the change is in force at once, or the daemon has nothing of the kind */
    EFFECT_LATER,      /* keeps it: the change is in force when the session is opened the next time */
    EFFECT_RESTART,    /* restarts it by itself */
    EFFECT_MUST_RESET, /* keeps it as it was: it must be reset for the change, for what is left is less safe
                          or wrong */
};
enum member_daemon { MEMBER_BIRD, MEMBER_FRR, MEMBER_GOBGP, MEMBER_OPENBGPD, MEMBER_DAEMON_COUNT };

/* How the member is bound to what the other end has. */
enum member_mirror {
    MIRROR_NONE,
    MIRROR_SAME,   /* the same on both ends */
    MIRROR_AS,     /* this end's view of the remote's AS is what the remote calls its own */
    MIRROR_OWN_AS, /* the other way round */
    MIRROR_PORT,   /* where the other end listens */
    MIRROR_NOT_BOTH,
};

struct peering_member {
    const char *name;
    enum member_kind kind;
    size_t offset;       /* in struct peering_entry, or in struct peering_list for those of `local` */
    size_t count_offset; /* MEMBER_TEXTS: of the number of them */
    enum member_effect effect[MEMBER_DAEMON_COUNT];
    enum member_mirror mirror;
};

/* In the order of the documents. `base` below is the struct that the table is about. */
extern const struct peering_member peering_entry_members[];
extern const size_t peering_entry_member_count;
extern const struct peering_member peering_local_members[];
extern const size_t peering_local_member_count;

/* The member itself. */
const void *peering_member_at(const struct peering_member *member, const void *base);
/* Numbers of every width. */
uint64_t peering_member_number(const struct peering_member *member, const void *base);
bool peering_member_is_present(const struct peering_member *member, const void *base);
/* Would both be written alike? */
bool peering_member_equal(const struct peering_member *member, const void *a, const void *b);
/* The bits 1 << enum member_daemon that a node may run whose agent calls its daemon so ("BIRD 2.0.12"). "": a
 * host without an agent, which can run BIRD or FRR only: the others need one. */
unsigned peering_daemons_named(const char *name);
/*
 * Does the difference cost a running session on one of the daemons `which` (bits)? A port of 179 that is
 * written out, or no longer, is no difference: our configurations never say 179.
 */
bool peering_member_disrupts(const struct peering_member *member, const void *before, const void *after,
                             unsigned which);
/* Does a change of it do that, whatever it is? */
bool peering_member_costs(const struct peering_member *member, unsigned which);

/* Are they the same in everything that a list shows? */
bool peering_filter_equal(const struct peering_filter *a, const struct peering_filter *b);
/* Has the list the filter, with these rules? */
bool peering_filter_is_in(const struct peering_filter *filter, const struct peering_list *list);
bool peering_advertisement_equal(const struct peering_advertisement *a,
                                 const struct peering_advertisement *b);
/* The order of advertisements: by address, then by length. */
int peering_prefix_compare(const struct ip_cidr *a, const struct ip_cidr *b);

#endif
