/*
 * The digest of what differs between two lists of one node: of the values of the members that differ, by the
 * table of members, without writing them as text. Each value goes in with its length, and each member with
 * its number, so that no two differences read alike. Pure functions, no state.
 */
#include <string.h>

#include "base/random.h"
#include "model/resources.h"
#include "peering/members.h"

static void add_number(struct digest *digest, uint64_t number) {
    digest_add(digest, &number, sizeof(number));
}

/* NULL is not the empty text. */
static void add_text(struct digest *digest, const char *text) {
    uint32_t len = text == NULL ? UINT32_MAX : (uint32_t)strlen(text);
    digest_add(digest, &len, sizeof(len));
    if (text != NULL) {
        digest_add(digest, text, len);
    }
}

static void add_origin(struct digest *digest, const struct peering_origin *origin) {
    add_number(digest, (uint64_t)origin->scope * 2 + origin->reverse);
    add_text(digest, origin->bgp_peer);
    add_text(digest, origin->remote_node);
}

static void add_texts(struct digest *digest, const struct peering_member *member, const void *base) {
    const char *const *texts = *(const char *const *const *)peering_member_at(member, base);
    size_t count = *(const size_t *)(const void *)((const char *)base + member->count_offset);
    add_number(digest, count);
    for (size_t i = 0; i < count; i++) {
        add_text(digest, texts[i]);
    }
}

static void add_value(struct digest *digest, const struct peering_member *member, const void *base) {
    const void *at = peering_member_at(member, base);
    switch (member->kind) {
    case MEMBER_FAMILY:
        add_number(digest, ((const struct ip_addr *)at)->family);
        break;
    case MEMBER_TEXT:
        add_text(digest, *(const char *const *)at);
        break;
    case MEMBER_CHARS:
        add_text(digest, at);
        break;
    case MEMBER_U8:
    case MEMBER_U32:
    case MEMBER_PORT:
    case MEMBER_AS:
        add_number(digest, peering_member_number(member, base));
        break;
    case MEMBER_TYPE:
    case MEMBER_FLAG:
        add_number(digest, *(const bool *)at);
        break;
    case MEMBER_SECONDS:
        add_number(digest, (uint64_t)(*(const int64_t *)at < 0 ? -1 : *(const int64_t *)at));
        break;
    case MEMBER_TEXTS:
        add_texts(digest, member, base);
        break;
    case MEMBER_PASSWORD:
        add_text(digest, peering_member_is_present(member, base)
                             ? ((const struct peering_entry *)base)->secret->fingerprint
                             : NULL);
        break;
    case MEMBER_WITHHELD:
        add_number(digest, peering_member_is_present(member, base));
        break;
    case MEMBER_ORIGIN:
        add_origin(digest, at);
        break;
    }
}

/* `before` or `after` NULL: all members of the other. */
static void add_members(struct digest *digest, const struct peering_member *members, size_t count,
                        const void *before, const void *after) {
    for (size_t i = 0; i < count; i++) {
        if (before != NULL && after != NULL && peering_member_equal(&members[i], before, after)) {
            continue;
        }
        uint8_t number = (uint8_t)i;
        digest_add(digest, &number, sizeof(number));
        if (before != NULL) {
            add_value(digest, &members[i], before);
        }
        if (after != NULL) {
            add_value(digest, &members[i], after);
        }
    }
}

/* What kind of thing follows. */
static void add_mark(struct digest *digest, char mark) {
    digest_add(digest, &mark, 1);
}

static void on_difference(void *arg, const struct peering_entry *before, const struct peering_entry *after,
                          bool disruptive) {
    struct digest *digest = arg;
    add_mark(digest, before == NULL ? '+' : after == NULL ? '-' : disruptive ? '!' : '~');
    if (before != NULL && after != NULL) {
        digest_add(digest, &before->address, sizeof(before->address));
        digest_add(digest, &before->port, sizeof(before->port));
    }
    add_members(digest, peering_entry_members, peering_entry_member_count, before, after);
}

/* Everything else that a list says; where nothing differs there is nothing to add. */
static void add_others(struct digest *digest, const struct peering_list *before,
                       const struct peering_list *after) {
    const struct peering_list *both[] = {before, after};
    add_mark(digest, 'l');
    add_members(digest, peering_local_members, peering_local_member_count, before, after);
    for (size_t i = 0; i < 2; i++) {
        add_mark(digest, 'f');
        for (size_t k = 0; k < both[i]->filter_count; k++) {
            add_text(digest, both[i]->filters[k].name);
            add_number(digest, peering_filter_is_in(&both[i]->filters[k], both[1 - i]));
        }
        add_mark(digest, 'a');
        for (size_t k = 0; k < both[i]->advertisement_count; k++) {
            add_text(digest, both[i]->advertisements[k].cidr);
            for (size_t c = 0; c < both[i]->advertisements[k].community_count; c++) {
                add_text(digest, both[i]->advertisements[k].communities[c]);
            }
        }
    }
}

void peering_digest(const struct peering_list *before, const struct peering_list *after,
                    const struct peering_daemons *daemons, struct digest *digest, struct peering_diff *ret) {
    const struct peering_list *any = before != NULL ? before : after;
    add_mark(digest, 'n');
    add_text(digest, any == NULL ? NULL : any->node);
    peering_compare(before, after, daemons, on_difference, digest, ret);
    if (ret->others > 0) {
        add_others(digest, before, after);
    }
}
