/*
 * The vault over the API, for admins: what keys there are and how old (never what they are), changes of them,
 * and backups. A change is started and answered with 202; its progress is in the status. A backup is streamed
 * from a file that has no name, so that no client chooses a path on this machine.
 *
 * Requests own what they answer with; a backup's file belongs to its request until it is answered with.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/trail.h"
#include "admin/handlers.h"
#include "admin/vault_operation.h"
#include "base/clock.h"
#include "machine/worker.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"

/* ---- status ---- */

static void add_time(struct buf *out, const char *key, int64_t time_ms) {
    char text[CLOCK_TEXT_MAX];
    if (time_ms != 0) {
        clock_format_seconds(time_ms, text);
        buf_json_member_str(out, key, text);
    }
}

static void add_keys(struct buf *out, const struct vault_status *keys) {
    buf_json_key(out, "rootKey");
    buf_add_char(out, '{');
    buf_json_member_str(out, "fingerprint", keys->root_id);
    add_time(out, "created", keys->root_created_ms);
    buf_add_char(out, '}');
    if (keys->pending_id[0] != '\0') {
        buf_json_key(out, "pendingRootKey");
        buf_add_char(out, '{');
        buf_json_member_str(out, "fingerprint", keys->pending_id);
        buf_add_char(out, '}');
    }
    buf_json_key(out, "dataKeys");
    buf_add_char(out, '[');
    for (size_t i = 0; i < keys->key_count; i++) {
        const struct vault_key_status *key = &keys->keys[i];
        buf_json_comma(out);
        buf_add_char(out, '{');
        buf_json_member_u64(out, "id", key->id);
        add_time(out, "created", key->created_ms);
        buf_json_key(out, "active");
        buf_add_str(out, key->active ? "true" : "false");
        buf_json_member_u64(out, "values", key->values);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

static void add_operation(struct buf *out, const struct vault_operation *operation) {
    buf_json_key(out, "operation");
    buf_add_char(out, '{');
    buf_json_member_u64(out, "id", operation->id);
    buf_json_member_str(out, "type", vault_operation_type_text(operation->type));
    buf_json_member_str(out, "state", vault_operation_state_text(operation->state));
    add_time(out, "started", operation->started_ms);
    add_time(out, "finished", operation->finished_ms);
    if (operation->type == VAULT_ROTATE_DATA_KEY) {
        buf_json_member_u64(out, "done", operation->done);
        buf_json_member_u64(out, "total", operation->total);
    }
    buf_json_member_str(out, "message", operation->message[0] != '\0' ? operation->message : NULL);
    buf_add_char(out, '}');
}

static int reply_vault(struct request *request, unsigned status, struct err *err) {
    struct vault_report *report = arena_alloc(&request->arena, sizeof(*report));
    if (report == NULL) {
        return err_no_memory(err);
    }
    /* The operation first: what the keys are after it ended is then not older than its end. */
    struct vault_operation operation = vault_operation_newest(request->serving->vault_operations);
    if (state_vault_report(request->serving->state, report, err) != 0) {
        return -1;
    }
    struct buf body = BUF_INIT;
    buf_add_str(&body, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"Vault\",\"metadata\":{},\"status\":{");
    buf_json_member_str(&body, "source", report->source);
    buf_json_member_str(&body, "warning", report->warning[0] != '\0' ? report->warning : NULL);
    add_keys(&body, &report->keys);
    buf_json_member_u64(&body, "values", report->values);
    buf_json_member_u64(&body, "unreadableValues", report->unreadable);
    buf_json_member_u64(&body, "decryptions", report->unseal_count);
    if (operation.id != 0) {
        add_operation(&body, &operation);
    }
    buf_add_str(&body, "}}");
    int result = reply_buffer(request, status, TYPE_JSON, &body, err);
    buf_done(&body);
    return result;
}

int handle_vault(struct request *request, struct err *err) {
    return reply_vault(request, STATUS_OK, err);
}

/* ---- changes ---- */

/* The body's syntax; an empty body is an empty JSON document. */
static int body_syntax(struct request *request, enum codec_syntax *ret, const char **ret_text,
                       size_t *ret_len, struct err *err) {
    bool empty = request->body.len == 0;
    *ret = CODEC_JSON;
    *ret_text = empty ? "{}" : request->body.data;
    *ret_len = empty ? 2 : request->body.len;
    return empty ? 0 : media_document(request_header(request, HEADER_CONTENT_TYPE), false, ret, err);
}

static int start(struct request *request, enum vault_operation_type type,
                 const struct vault_new_root *new_root, struct err *err) {
    if (vault_operation_start(request->serving, type, new_root, err) != 0) {
        return -1;
    }
    trail_vault(request, vault_operation_type_text(type));
    return reply_vault(request, STATUS_ACCEPTED, err);
}

int handle_vault_rotate(struct request *request, struct err *err) {
    enum codec_syntax syntax;
    const char *text;
    size_t len;
    if (body_syntax(request, &syntax, &text, &len, err) != 0 ||
        codec_decode_rotation(syntax, text, len, &request->arena, err) != 0) {
        return -1;
    }
    return start(request, VAULT_ROTATE_DATA_KEY, NULL, err);
}

static int check_path(const char *path, const char *field, struct err *err) {
    return path == NULL || path[0] == '/'
               ? 0
               : err_set_field(err, ERR_INVALID, field,
                               "%s \"%.200s\" is not an absolute path on the service's machine", field, path);
}

int handle_vault_change_root(struct request *request, struct err *err) {
    struct root_key_change_form form;
    enum codec_syntax syntax;
    const char *text;
    size_t len;
    if (body_syntax(request, &syntax, &text, &len, err) != 0 ||
        codec_decode_root_key_change(syntax, text, len, &request->arena, &form, err) != 0 ||
        check_path(form.key_file, "spec.keyFile", err) != 0 ||
        check_path(form.passphrase_file, "spec.passphraseFile", err) != 0) {
        return -1;
    }
    if (form.key_file != NULL && form.passphrase_file != NULL) {
        return err_set_field(err, ERR_INVALID, "spec",
                             "a new root key comes from spec.keyFile or spec.passphraseFile, not from both");
    }
    const struct vault_new_root new_root = {.key_file = form.key_file,
                                            .passphrase_file = form.passphrase_file};
    return start(request, VAULT_CHANGE_ROOT_KEY, &new_root, err);
}

int handle_vault_cancel_root(struct request *request, struct err *err) {
    return start(request, VAULT_CANCEL_ROOT_KEY_CHANGE, NULL, err);
}

/* ---- backup ---- */

struct backup {
    int fd; /* -1 = none, or the answer's */
    struct err err;
};

static void backup_cleanup(struct request *request) {
    struct backup *backup = request->work;
    if (backup->fd >= 0) {
        close(backup->fd);
    }
}

static bool go_on(void *arg) {
    const struct serving *serving = arg;
    return !atomic_load(&serving->stopping);
}

static void backup_job(struct request *request) {
    struct backup *backup = request->work;
    if (state_backup(request->serving->state, go_on, request->serving, &backup->fd, &backup->err) == 0) {
        backup->err.code = ERR_NONE;
    }
}

static int backup_answer(struct request *request, struct err *err) {
    struct backup *backup = request->work;
    struct stat status;
    if (backup->err.code != ERR_NONE) {
        *err = backup->err;
        return -1;
    }
    if (fstat(backup->fd, &status) != 0) {
        return err_set(err, ERR_UNAVAILABLE, "the size of the backup cannot be told; try again");
    }
    static const struct reply_head HEAD = {.type = "application/octet-stream",
                                           .cache_control = "no-store",
                                           .disposition = "attachment; filename=\"bgppeerd.backup\""};
    int fd = backup->fd;
    backup->fd = -1; /* the answer closes it */
    trail_vault(request, "backup");
    return reply_file(request, fd, (uint64_t)status.st_size, &HEAD, err);
}

int handle_backup(struct request *request, struct err *err) {
    struct backup *backup = arena_alloc(&request->arena, sizeof(*backup));
    if (backup == NULL) {
        return err_no_memory(err);
    }
    *backup = (struct backup){.fd = -1, .err = ERR_INIT};
    request->work = backup;
    request->cleanup = backup_cleanup;
    return worker_run(request->serving->slow_worker, request, backup_job, backup_answer, err);
}
