/*
 * The PeeringList document. An absent member means "off" or "default"; booleans appear only when true;
 * the lists are always there, so that clients need not ask.
 *
 * A password that cannot be revealed withholds its session. The caller's buffer wipes itself; nothing here
 * keeps a copy of a password.
 */
#include "codec.h"
#include "document.h"
#include "model/resources.h"

/* The password in clear. -1: it cannot be had now; nothing has been written. */
static int add_password(struct buf *out, const struct peering_entry *entry,
                        const struct peering_reveal *reveal) {
    struct buf password = BUF_INIT;
    struct err err = ERR_INIT;
    password.wipe = true;
    int result = reveal->password(reveal->arg, entry, &password, &err);
    if (result == 0 && buf_failed(&password)) {
        result = -1;
    }
    if (result == 0) {
        buf_json_key(out, "password");
        buf_add_json(out, password.data != NULL ? password.data : "", password.len);
    }
    buf_done(&password);
    return result;
}

static void add_vault_problem(struct buf *problems, const struct peering_entry *entry) {
    struct peering_problem problem = {
        .reason = "VaultError",
        .bgp_peer = entry->origin.bgp_peer,
        .peer_ip = entry->address_text,
        .message = "the vault cannot give out the password of this session now, so the session is withheld; "
                   "see the service's log and `bgppeerd vault status`.",
    };
    document_add_problem(problems, &problem);
}

/* An entry with its password revealed; a failure to do so is added to `problems`. */
static void add_revealed_entry(struct buf *out, const struct peering_entry *entry,
                               const struct peering_reveal *reveal, struct buf *problems) {
    struct peering_entry shown = *entry;
    for (size_t i = 0; i < peering_entry_member_count; i++) {
        const struct peering_member *member = &peering_entry_members[i];
        if (member->kind == MEMBER_PASSWORD && entry->password == PASSWORD_VALUE &&
            add_password(out, entry, reveal) < 0) {
            shown.password = PASSWORD_WITHHELD;
            add_vault_problem(problems, entry);
        }
        if (peering_member_is_present(member, &shown)) {
            buf_json_key(out, member->name);
            document_add_value(out, member, &shown);
        }
    }
}

void peering_encode_entry(const struct peering_entry *entry, struct buf *out) {
    buf_add_char(out, '{');
    document_add_entry_members(out, entry);
    buf_add_char(out, '}');
}

static void add_items(struct buf *out, const struct peering_list *list, const struct peering_reveal *reveal,
                      struct buf *problems) {
    buf_json_key(out, "items");
    buf_add_char(out, '[');
    for (size_t i = 0; i < list->entry_count; i++) {
        buf_json_comma(out);
        buf_add_char(out, '{');
        if (reveal != NULL) {
            add_revealed_entry(out, &list->entries[i], reveal, problems);
        } else {
            document_add_entry_members(out, &list->entries[i]);
        }
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

static void add_texts(struct buf *out, const char *key, const char *const *texts, size_t count) {
    buf_json_key(out, key);
    buf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_json_comma(out);
        buf_add_json_str(out, texts[i]);
    }
    buf_add_char(out, ']');
}

static void add_local(struct buf *out, const struct peering_list *list) {
    buf_json_key(out, "local");
    buf_add_char(out, '{');
    document_add_members(out, peering_local_members, peering_local_member_count, list);
    buf_add_char(out, '}');
}

/* By name, in byte order: an item's `filters` says in which order they hold. */
static void add_filter_specs(struct buf *out, const struct peering_list *list) {
    buf_json_key(out, "filters");
    buf_add_char(out, '{');
    for (size_t i = 0; i < list->filter_count; i++) {
        buf_json_key(out, list->filters[i].name);
        codec_encode_struct(&bgp_filter_spec_schema, list->filters[i].spec, out);
    }
    buf_add_char(out, '}');
}

static void add_advertisements(struct buf *out, const struct peering_list *list) {
    buf_json_key(out, "advertise");
    buf_add_char(out, '[');
    for (size_t i = 0; i < list->advertisement_count; i++) {
        const struct peering_advertisement *advertisement = &list->advertisements[i];
        buf_json_comma(out);
        buf_add_char(out, '{');
        buf_json_member_str(out, "cidr", advertisement->cidr);
        add_texts(out, "communities", advertisement->communities, advertisement->community_count);
        buf_json_member_str(out, "source", advertisement->source);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

static void add_suppressed(struct buf *out, const struct peering_list *list) {
    buf_json_key(out, "suppressed");
    buf_add_char(out, '[');
    for (size_t i = 0; i < list->suppressed_count; i++) {
        buf_json_comma(out);
        buf_add_char(out, '{');
        document_add_suppressed_members(out, &list->suppressed[i]);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

static void add_resource_version(struct buf *out, uint64_t resource_version) {
    buf_json_key(out, "resourceVersion");
    buf_printf(out, "\"%llu\"", (unsigned long long)resource_version);
}

/* `resource_version` NULL: leave it out. Returns where it belongs. */
static size_t add_document(struct buf *out, const struct peering_list *list, const uint64_t *resource_version,
                           const struct peering_reveal *reveal) {
    struct buf problems = BUF_INIT; /* those that appear while writing are added to the list's */
    buf_add_char(&problems, '[');
    for (size_t i = 0; i < list->problem_count; i++) {
        document_add_problem(&problems, &list->problems[i]);
    }
    buf_add_str(out, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"PeeringList\",\"metadata\":{");
    buf_json_member_str(out, "node", list->node);
    size_t place = out->len;
    if (resource_version != NULL) {
        add_resource_version(out, *resource_version);
    }
    buf_add_char(out, '}');
    add_local(out, list);
    add_items(out, list, reveal, &problems);
    add_filter_specs(out, list);
    add_advertisements(out, list);
    add_suppressed(out, list);
    buf_json_key(out, "problems");
    buf_add(out, problems.data, problems.len);
    buf_add_str(out, "]}");
    out->failed = out->failed || buf_failed(&problems);
    buf_done(&problems);
    return place;
}

void peering_encode(const struct peering_list *list, uint64_t resource_version,
                    const struct peering_reveal *reveal, struct buf *out) {
    (void)add_document(out, list, &resource_version, reveal);
}

size_t peering_encode_content(const struct peering_list *list, struct buf *out) {
    return add_document(out, list, NULL, NULL);
}

void peering_complete_content(const struct buf *content, size_t place, uint64_t resource_version,
                              struct buf *out) {
    if (buf_failed(content) || buf_reserve(out, content->len + 48) < 0) {
        out->failed = true;
        return;
    }
    buf_add(out, content->data, place);
    add_resource_version(out, resource_version);
    buf_add(out, content->data + place, content->len - place);
}
