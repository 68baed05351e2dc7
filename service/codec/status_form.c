/*
 * The PeeringStatus that agents report, by a table. Everything that is kept lives in the caller's arena. What
 * its values mean is not looked at here. No locks.
 */
#include "codec_internal.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ROW(owner, member, json, of)                                                                         \
    { .name = (json), .type = (of), .offset = offsetof(struct owner, member) }
#define TEXT(owner, member, json)   ROW(owner, member, json, FIELD_STRING)
#define NUMBER(owner, member, json) ROW(owner, member, json, FIELD_INT)
#define PART(owner, member, json, of, table)                                                                 \
    { .name = (json), .type = (of), .offset = offsetof(struct owner, member), .schema = &(table) }
#define TABLE(of, rows)                                                                                      \
    { .name = #of, .size = sizeof(struct of), .fields = (rows), .field_count = COUNT_OF(rows) }

static const struct field ERROR_FIELDS[] = {
    TEXT(peering_status_error, code, "code"),
    TEXT(peering_status_error, from, "from"),
    TEXT(peering_status_error, at, "at"),
};
static const struct schema ERROR_TABLE = TABLE(peering_status_error, ERROR_FIELDS);

static const struct field SESSION_FIELDS[] = {
    TEXT(peering_status_session, peer_ip, "peerIP"),
    NUMBER(peering_status_session, port, "port"),
    TEXT(peering_status_session, state, "state"),
    TEXT(peering_status_session, since, "since"),
    ROW(peering_status_session, admin_down, "adminDown", FIELD_BOOL),
    NUMBER(peering_status_session, transitions, "transitions"),
    NUMBER(peering_status_session, received, "received"),
    NUMBER(peering_status_session, sent, "sent"),
    NUMBER(peering_status_session, hold_time_seconds, "holdTimeSeconds"),
    PART(peering_status_session, last_error, "lastError", FIELD_OBJECT, ERROR_TABLE),
};
static const struct schema SESSION_TABLE = TABLE(peering_status_session, SESSION_FIELDS);

static const struct field AGENT_FIELDS[] = {
    TEXT(peering_status_agent, version, "version"),
    TEXT(peering_status_agent, daemon, "daemon"),
    TEXT(peering_status_agent, boot, "boot"),
    NUMBER(peering_status_agent, sequence, "sequence"),
};
static const struct schema AGENT_TABLE = TABLE(peering_status_agent, AGENT_FIELDS);

static const struct field KERNEL_FIELDS[] = {
    NUMBER(peering_status_kernel, md5_failure, "md5Failure"),
    NUMBER(peering_status_kernel, md5_not_found, "md5NotFound"),
    NUMBER(peering_status_kernel, md5_unexpected, "md5Unexpected"),
    NUMBER(peering_status_kernel, min_ttl_drop, "minTTLDrop"),
};
static const struct schema KERNEL_TABLE = TABLE(peering_status_kernel, KERNEL_FIELDS);

static const struct field STATUS_FIELDS[] = {
    TEXT(peering_status_form, list, "list"),
    TEXT(peering_status_form, applied_at, "appliedAt"),
    TEXT(peering_status_form, apply_error, "applyError"),
    TEXT(peering_status_form, same, "same"),
    PART(peering_status_form, agent, "agent", FIELD_OBJECT, AGENT_TABLE),
    PART(peering_status_form, kernel, "kernel", FIELD_OBJECT, KERNEL_TABLE),
    PART(peering_status_form, sessions, "sessions", FIELD_OBJECT_LIST, SESSION_TABLE),
    {.name = "apiVersion", .type = FIELD_IGNORED},
    {.name = "kind", .type = FIELD_IGNORED},
};
static const struct schema STATUS_TABLE = TABLE(peering_status_form, STATUS_FIELDS);

static const struct kind_info STATUS_INFO = {
    .name = "PeeringStatus", .group = "bgppeerd.io", .version = "v1", .api_version = "bgppeerd.io/v1"};

int codec_decode_peering_status(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                                struct peering_status_form *ret, struct err *err) {
    json_auto_t *root = NULL;
    struct peering_status_form form = {.list = NULL};
    if (len > CODEC_STATUS_SIZE_MAX) {
        return err_set(err, ERR_TOO_LARGE, "a %s may have %d bytes; this one has %zu", STATUS_INFO.name,
                       CODEC_STATUS_SIZE_MAX, len);
    }
    if (syntax_read(syntax, bytes, len, NULL, &root, err) != 0 ||
        form_decode(&STATUS_INFO, &STATUS_TABLE, root, arena, &form, err) != 0) {
        return -1;
    }
    *ret = form;
    return 0;
}
