/*
 * The question behind an explanation: which two ends it is about. Pure, no locks.
 */
#include "explain.h"

bool end_has_address(const struct end *end, const struct ip_addr *addr) {
    return memcmp(&end->addresses[family_of(addr)].addr, addr, sizeof(*addr)) == 0;
}

const char *question_remote_name(const struct question *question) {
    const struct end *there = &question->there;
    if (there->node != NULL) {
        return arena_printf(question->arena, "node \"%s\"", there->node->name);
    }
    return ip_is_set(&there->addresses[V4].addr) ? there->addresses[V4].text : there->addresses[V6].text;
}

void end_set_node(struct end *end, const struct peering_index *index, uint32_t slot) {
    end->slot = slot;
    end->node = index_node(index, slot);
    memcpy(end->addresses, end->node->addresses, sizeof(end->addresses));
}

/* An address as people find it in resources: with the port of a peerIP, or with the prefix of a Node's. */
static bool read_address(const char *remote, struct ip_addr *ret) {
    struct ip_endpoint endpoint;
    struct ip_cidr cidr;
    size_t len = strlen(remote);
    if (ip_parse_endpoint(remote, len, &endpoint)) {
        *ret = endpoint.addr;
        return true;
    }
    if (ip_parse_cidr(remote, len, &cidr)) {
        *ret = cidr.addr;
        return true;
    }
    return false;
}

int question_read_remote(struct question *question, const char *remote) {
    const struct peering_index *index = question->index;
    struct end *there = &question->there;
    struct ip_addr addr;
    uint32_t slot = index_slot(index, remote);
    if (slot != NO_ID) {
        end_set_node(there, index, slot);
        return 0;
    }
    if (!read_address(remote, &addr)) {
        return err_set(question->err, ERR_NOT_FOUND,
                       "\"%.256s\" is neither an IP address nor the name of a Node; give one of the two",
                       remote);
    }
    const struct node_facts *owner = index_first_owner(index, index_owners(index, &addr), 0);
    if (owner != NULL) {
        there->node = owner;
        there->slot = index_slot(index, owner->name);
    }
    struct address *address = &there->addresses[family_of(&addr)];
    address->addr = addr;
    ip_format(&addr, address->text);
    return 0;
}
