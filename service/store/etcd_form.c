/*
 * Writing and reading the binary forms; see etcd_form.h. Whoever can write etcd can write anything, so the
 * reading half believes no length and no count: what it takes is never more than what is there.
 *
 * Pure functions; no locks.
 */
#include "etcd_form.h"

#include <string.h>

#define FORM 1 /* of all values */

/* ---- writing ---- */

static void put_number(struct buf *out, uint64_t value) {
    while (value > 0x7f) {
        buf_add_char(out, (char)(value | 0x80));
        value >>= 7;
    }
    buf_add_char(out, (char)value);
}

static void put_bytes(struct buf *out, const void *bytes, size_t len) {
    put_number(out, len);
    if (len > 0) {
        buf_add(out, bytes, len);
    }
}

static void put_text(struct buf *out, const char *text) {
    put_bytes(out, text, text != NULL ? strlen(text) : 0);
}

/* NULL is something else than no bytes. */
static void put_optional(struct buf *out, const void *bytes, size_t len) {
    put_number(out, bytes != NULL);
    if (bytes != NULL) {
        put_bytes(out, bytes, len);
    }
}

static void put_author(struct buf *out, const struct etcd_author *author) {
    put_number(out, author->writer);
    put_number(out, author->serial);
}

void etcd_head_write(const struct etcd_head *head, struct buf *out) {
    put_number(out, FORM);
    put_author(out, &head->author);
    put_number(out, head->revision);
    put_number(out, head->commit);
    put_number(out, head->rows);
    put_number(out, head->bytes);
    put_number(out, (uint64_t)head->time_ms);
}

void etcd_mark_write(const struct etcd_mark *mark, struct buf *out) {
    put_number(out, FORM);
    put_number(out, mark->revision);
    put_number(out, mark->commit);
    put_number(out, mark->rows);
    put_number(out, mark->bytes);
    put_number(out, (uint64_t)mark->time_ms);
}

static void put_change(struct buf *out, const struct store_change *change) {
    bool first = change->txn == 0 || change->txn == change->revision;
    put_number(out, (uint64_t)change->op);
    put_text(out, change->kind);
    put_text(out, change->name);
    put_number(out, change->revision);
    put_number(out, (uint64_t)change->time_ms);
    put_text(out, change->actor);
    put_bytes(out, change->body, change->body_len);
    put_number(out, change->txn != 0 ? change->txn : change->revision);
    put_text(out, first ? change->request : NULL);
    put_text(out, first ? change->reason : NULL);
}

static void put_sealed(struct buf *out, const struct store_sealed *sealed) {
    put_number(out, sealed->version);
    put_number(out, sealed->key_id);
    put_bytes(out, sealed->nonce, sealed->nonce != NULL ? sealed->nonce_len : 0);
    put_optional(out, sealed->ciphertext, sealed->ciphertext_len);
}

void etcd_entry_write(const struct etcd_entry *entry, struct buf *out) {
    const struct store_batch *batch = &entry->batch;
    put_number(out, FORM);
    put_author(out, &entry->author);
    put_number(out, batch->base);
    put_number(out, entry->revision);
    put_number(out, (uint64_t)entry->time_ms);
    put_number(out, batch->change_count);
    for (size_t i = 0; i < batch->change_count; i++) {
        put_change(out, &batch->changes[i]);
    }
    put_number(out, batch->sealed_count);
    for (size_t i = 0; i < batch->sealed_count; i++) {
        put_text(out, batch->sealed[i].object);
        put_text(out, batch->sealed[i].item);
        put_sealed(out, &batch->sealed[i]);
    }
    put_number(out, batch->setting_count);
    for (size_t i = 0; i < batch->setting_count; i++) {
        put_text(out, batch->settings[i].name);
        put_optional(out, batch->settings[i].value, batch->settings[i].value_len);
    }
}

void etcd_change_write(const struct store_change *change, struct buf *out) {
    put_number(out, FORM);
    put_change(out, change);
}

void etcd_object_write(uint64_t revision, const char *body, size_t len, struct buf *out) {
    put_number(out, FORM);
    put_number(out, revision);
    put_bytes(out, body, len);
}

void etcd_sealed_write(const struct store_sealed *sealed, struct buf *out) {
    put_number(out, FORM);
    put_sealed(out, sealed);
}

void etcd_audit_write(const struct store_audit *audit, struct buf *out) {
    put_number(out, FORM);
    put_number(out, (uint64_t)audit->time_ms);
    put_bytes(out, audit->entry, audit->entry_len);
}

void etcd_transition_write(const struct store_transition *transition, struct buf *out) {
    put_number(out, FORM);
    put_number(out, (uint64_t)transition->time_ms);
    put_text(out, transition->node);
    put_text(out, transition->peer);
    put_number(out, transition->port);
    put_text(out, transition->remote);
    put_text(out, transition->was);
    put_text(out, transition->became);
    put_number(out, transition->folded);
    put_text(out, transition->message);
}

/* ---- reading ---- */

struct form {
    const unsigned char *at;
    const unsigned char *end;
    struct arena *arena;
    bool bad;   /* damaged; what is read from there on is 0 and "" */
    bool newer; /* of a later form */
};

static uint64_t take_number(struct form *form) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !form->bad && form->at < form->end; shift += 7) {
        unsigned char byte = *form->at++;
        if (shift == 63 && byte > 1) {
            break;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    form->bad = true;
    return 0;
}

static const void *take_bytes(struct form *form, size_t *ret_len) {
    uint64_t len = take_number(form);
    const unsigned char *bytes = form->at;
    if (form->bad || len > (uint64_t)(form->end - form->at)) {
        form->bad = true;
        *ret_len = 0;
        return "";
    }
    form->at += len;
    *ret_len = (size_t)len;
    return bytes;
}

static const char *take_text(struct form *form) {
    size_t len;
    const char *bytes = take_bytes(form, &len);
    if (memchr(bytes, '\0', len) != NULL) {
        form->bad = true;
    }
    const char *text = form->bad ? NULL : arena_strndup(form->arena, bytes, len);
    return text != NULL ? text : "";
}

static const void *take_optional(struct form *form, size_t *ret_len) {
    *ret_len = 0;
    return take_number(form) != 0 ? take_bytes(form, ret_len) : NULL;
}

static struct etcd_author take_author(struct form *form) {
    uint64_t writer = take_number(form);
    return (struct etcd_author){.writer = writer, .serial = take_number(form)};
}

static struct form begin(const void *value, size_t len, struct arena *arena) {
    struct form form = {.at = value, .end = (const unsigned char *)value + len, .arena = arena};
    uint64_t number = take_number(&form);
    form.newer = number > FORM;
    form.bad = form.bad || number != FORM;
    return form;
}

static int end(const struct form *form, const char *what, struct err *err) {
    if (form->newer) {
        return err_set(err, ERR_UNAVAILABLE,
                       "%s in etcd was written by a later version of bgppeerd; use that one here as well",
                       what);
    }
    if (form->bad || form->at != form->end) {
        return err_set(err, ERR_CORRUPT, "%s in etcd is damaged, or somebody else's; restore a backup", what);
    }
    return form->arena != NULL && form->arena->failed ? err_no_memory(err) : 0;
}

/* How many there are: no more than bytes that are left, as each has some. */
static size_t take_count(struct form *form) {
    uint64_t count = take_number(form);
    if (count > (uint64_t)(form->end - form->at)) {
        form->bad = true;
        return 0;
    }
    return (size_t)count;
}

static void *take_array(struct form *form, size_t *ret_count, size_t size) {
    *ret_count = take_count(form);
    void *items = arena_array(form->arena, *ret_count, size);
    *ret_count = items != NULL ? *ret_count : 0;
    return items;
}

int etcd_head_read(const void *value, size_t len, struct etcd_head *ret, struct err *err) {
    struct form form = begin(value, len, NULL);
    struct etcd_head head = {.author = take_author(&form), .mod = ret->mod};
    head.revision = take_number(&form);
    head.commit = take_number(&form);
    head.rows = take_number(&form);
    head.bytes = take_number(&form);
    head.time_ms = (int64_t)take_number(&form);
    if (end(&form, "the newest revision", err) != 0) {
        return -1;
    }
    *ret = head;
    return 0;
}

int etcd_mark_read(const void *value, size_t len, struct etcd_mark *ret, struct err *err) {
    struct form form = begin(value, len, NULL);
    struct etcd_mark mark = {.revision = take_number(&form), .mod = ret->mod};
    mark.commit = take_number(&form);
    mark.rows = take_number(&form);
    mark.bytes = take_number(&form);
    mark.time_ms = (int64_t)take_number(&form);
    if (end(&form, "the beginning of the log", err) != 0) {
        return -1;
    }
    *ret = mark;
    return 0;
}

static struct store_change take_change(struct form *form) {
    struct store_change change = {.op = (enum store_op)take_number(form)};
    form->bad = form->bad || change.op < STORE_CREATE || change.op > STORE_DELETE;
    change.kind = take_text(form);
    change.name = take_text(form);
    change.revision = take_number(form);
    change.time_ms = (int64_t)take_number(form);
    change.actor = take_text(form);
    change.body = take_bytes(form, &change.body_len);
    change.txn = take_number(form);
    change.request = take_text(form);
    change.reason = take_text(form);
    return change;
}

static struct store_sealed take_sealed(struct form *form) {
    struct store_sealed sealed = {.version = take_number(form)};
    sealed.key_id = take_number(form);
    sealed.nonce = take_bytes(form, &sealed.nonce_len);
    sealed.ciphertext = take_optional(form, &sealed.ciphertext_len);
    return sealed;
}

int etcd_entry_read(const void *value, size_t len, struct arena *arena, struct etcd_entry *ret,
                    struct err *err) {
    struct form form = begin(value, len, arena);
    struct etcd_entry entry = {.author = take_author(&form)};
    struct store_batch *batch = &entry.batch;
    batch->base = take_number(&form);
    entry.revision = take_number(&form);
    entry.time_ms = (int64_t)take_number(&form);
    struct store_change *changes = take_array(&form, &batch->change_count, sizeof(*changes));
    for (size_t i = 0; i < batch->change_count; i++) {
        changes[i] = take_change(&form);
    }
    struct store_sealed *sealed = take_array(&form, &batch->sealed_count, sizeof(*sealed));
    for (size_t i = 0; i < batch->sealed_count; i++) {
        const char *object = take_text(&form);
        const char *item = take_text(&form);
        sealed[i] = take_sealed(&form);
        sealed[i].object = object;
        sealed[i].item = item;
    }
    struct store_setting *settings = take_array(&form, &batch->setting_count, sizeof(*settings));
    for (size_t i = 0; i < batch->setting_count; i++) {
        settings[i] = (struct store_setting){.name = take_text(&form)};
        settings[i].value = take_optional(&form, &settings[i].value_len);
    }
    batch->changes = changes;
    batch->sealed = sealed;
    batch->settings = settings;
    if (end(&form, "a transaction of the log", err) != 0) {
        return -1;
    }
    *ret = entry;
    return 0;
}

int etcd_change_read(const void *value, size_t len, struct arena *arena, struct store_change *ret,
                     struct err *err) {
    struct form form = begin(value, len, arena);
    struct store_change change = take_change(&form);
    if (end(&form, "a change", err) != 0) {
        return -1;
    }
    *ret = change;
    return 0;
}

int etcd_object_read(const void *value, size_t len, uint64_t *ret_revision, const char **ret_body,
                     size_t *ret_len, struct err *err) {
    struct form form = begin(value, len, NULL);
    uint64_t revision = take_number(&form);
    size_t body_len;
    const char *body = take_bytes(&form, &body_len);
    if (end(&form, "an object", err) != 0) {
        return -1;
    }
    *ret_revision = revision;
    *ret_body = body;
    *ret_len = body_len;
    return 0;
}

int etcd_sealed_read(const void *value, size_t len, struct store_sealed *ret, struct err *err) {
    struct form form = begin(value, len, NULL);
    struct store_sealed sealed = take_sealed(&form);
    if (end(&form, "an encrypted value", err) != 0) {
        return -1;
    }
    *ret = sealed;
    return 0;
}

int etcd_audit_read(const void *value, size_t len, struct store_audit *ret, struct err *err) {
    struct form form = begin(value, len, NULL);
    struct store_audit audit = {.time_ms = (int64_t)take_number(&form)};
    audit.entry = take_bytes(&form, &audit.entry_len);
    if (end(&form, "an entry of the audit trail", err) != 0) {
        return -1;
    }
    *ret = audit;
    return 0;
}

int etcd_transition_read(const void *value, size_t len, struct arena *arena, struct store_transition *ret,
                         struct err *err) {
    struct form form = begin(value, len, arena);
    struct store_transition transition = {.time_ms = (int64_t)take_number(&form)};
    transition.node = take_text(&form);
    transition.peer = take_text(&form);
    transition.port = (uint16_t)take_number(&form);
    transition.remote = take_text(&form);
    transition.was = take_text(&form);
    transition.became = take_text(&form);
    transition.folded = (uint32_t)take_number(&form);
    transition.message = take_text(&form);
    if (end(&form, "a transition", err) != 0) {
        return -1;
    }
    *ret = transition;
    return 0;
}
