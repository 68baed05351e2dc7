/*
 * Inside the peering room: the steps from the index to one node's list.
 *
 *   gather.c    which entries the BGPPeers and the mesh propose (proposals)
 *   compute.c   which of them win, and with which settings
 *   advertise.c what the node announces
 *   issues.c    the problems met on the way
 */
#ifndef BGPPEERD_PEERING_COMPUTE_H
#define BGPPEERD_PEERING_COMPUTE_H

#include "fleet.h"

/* The order of precedence. */
enum step { STEP_GLOBAL, STEP_NODE, STEP_REVERSE, STEP_MESH };

/* A rule's part in one list: settings that its entries share, worked out for the first of them. */
struct part {
    struct part *next;       /* of the same list */
    const struct rule *rule; /* NULL: the mesh */
    bool resolved;           /* an entry has it */
    size_t filter_count;
    const char **filters; /* those that exist */
    const struct record **filter_records;
    size_t missing_count;
    const char **missing; /* those that do not */
    enum peering_password password;
    const char *password_reason; /* when withheld */
    const char *secret_key;
    const struct secret_value *secret;
};

/* An entry that a rule or the mesh proposes. */
struct proposal {
    uint64_t high; /* the address as two numbers, for sorting */
    uint64_t low;
    const struct part *part;
    const struct node_facts *remote; /* NULL: not one of ours */
    const char *address_text;        /* canonical; of the node or the rule */
    uint32_t as_number;
    uint16_t port;     /* 0: absent */
    uint16_t port_key; /* 179 when absent */
    uint8_t family;    /* V4, V6 */
    uint8_t step;
    bool ambiguous; /* whom the session would reach, or for whom it is meant here, is not certain */
};

/* Something to report, before equal ones are put together. */
struct issue {
    const char *reason;
    const struct rule *rule; /* NULL: the mesh, or the node itself */
    const char *detail;      /* names what is wrong (a filter, a Secret, a family); part of the identity */
    const char *peer_ip;     /* NULL: none */
    const char *other;       /* a second name, for the message; NULL: none */
    size_t others;           /* how many more besides `other` */
    uint32_t number;         /* what the rule says … */
    uint32_t other_number;   /* … and what the node has: an AS, or a port */
    bool withheld;           /* AddressNotUnique: the session has a password, which is not given out */
};

struct compute {
    const struct peering_index *index;
    const struct snapshot *snapshot;
    const struct node_facts *node;
    uint32_t slot;
    struct arena *arena; /* the list's */
    struct err *err;
    uint64_t newest_revision;
    struct part *parts;
    struct proposal *proposals; /* malloc'ed */
    size_t proposal_count;
    size_t proposal_cap;
    struct issue *issues; /* malloc'ed */
    size_t issue_count;
    size_t issue_cap;
};

struct ip_addr proposal_address(const struct proposal *proposal);

int compute_gather(struct compute *compute) MUST_CHECK;
int compute_report(struct compute *compute, const struct issue *issue) MUST_CHECK;
/* AddressNotUnique, of a session with the address; `withheld`: it has a password. */
int compute_report_shared(struct compute *compute, const struct proposal *winner, bool withheld) MUST_CHECK;
/* Problems of addresses that the node shares with others, or does not have. */
int compute_check_node(struct compute *compute) MUST_CHECK;
/* list->advertisements. */
int compute_advertise(struct compute *compute, struct peering_list *list) MUST_CHECK;
/* Put the issues into the list, equal ones together, in an order that depends on content only. */
int compute_write_problems(struct compute *compute, struct peering_list *list) MUST_CHECK;

static inline void compute_note_revision(struct compute *compute, const struct record *record) {
    if (record != NULL && record->revision > compute->newest_revision) {
        compute->newest_revision = record->revision;
    }
}
static inline const struct bgp_peer_spec *part_spec(const struct part *part) {
    return part->rule == NULL ? NULL : part->rule->spec;
}

#endif
