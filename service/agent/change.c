/*
 * Changes. Everything belongs to the call; files are in their places, or as they were, when it returns.
 *
 * The order makes a crash at any point harmless: the state file says which content the daemon has taken, and
 * is written last. Whatever else is found at the next start is applied again.
 */
#include "change.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "file.h"
#include "verify.h"

#define PREVIOUS_FILE "previous"
#define ORIGINAL_FILE "original"

/* ---- reading ---- */

/* Is it a configuration for this node, in this format? */
static int change_read(struct host *host, const char *text, size_t len, struct expected *ret,
                       struct err *err) {
    const struct agent_settings *settings = host->settings;
    const char *comment = settings->driver->comment;
    int result = comment != NULL
                     ? expected_read(text, len, comment, settings->driver->restart_lines, ret, err)
                     : expected_read_json(text, len, ret, err);
    if (result != 0) {
        return -1;
    }
    if (ret->node[0] != '\0' && strcmp(ret->node, settings->node) != 0) {
        return err_set(err, ERR_BAD_REQUEST, "the service sent the configuration of node %s, not of %s",
                       ret->node, settings->node);
    }
    if (comment != NULL && ret->format[0] != '\0' && strcmp(ret->format, settings->driver->format) != 0) {
        return err_set(err, ERR_BAD_REQUEST, "the service sent a configuration in format %s, not in %s",
                       ret->format, settings->driver->format);
    }
    return 0;
}

/* Nothing is an answer as well. */
static int change_read_file(const char *path, struct buf *ret, struct err *err) {
    if (file_read(path, FILE_TEXT_MAX, ret, err) == 0) {
        return 0;
    }
    if (err->code != ERR_NOT_FOUND) {
        return -1;
    }
    err_clear(err);
    return 0;
}

/*
 * What there is to go back to: the installed file. When that is the new one already, installed but not taken
 * (the daemon was away, or this program ended too early), it is the file kept before.
 */
static int change_read_old(struct host *host, const struct memory *memory, struct change *change,
                           struct buf *ret, struct err *err) {
    char path[PATH_MAX], digest[DIGEST_TEXT_MAX];
    struct buf kept = {.wipe = true};
    if (change_read_file(host->settings->real_config, ret, err) != 0) {
        return -1;
    }
    change->installed =
        ret->len == change->len && ret->len > 0 && memcmp(ret->data, change->text, ret->len) == 0;
    if (!change->installed || memory->digest[0] == '\0' || strcmp(memory->digest, change->digest) == 0) {
        return 0;
    }
    if (file_path(memory->dir, PREVIOUS_FILE, path, err) != 0 || change_read_file(path, &kept, err) != 0) {
        buf_done(&kept);
        return -1;
    }
    digest_hex(kept.data != NULL ? kept.data : "", kept.len, digest);
    if (strcmp(digest, memory->digest) == 0) {
        buf_done(ret);
        *ret = kept;
        return 0;
    }
    buf_done(&kept);
    return 0;
}

/* ---- keeping ---- */

/*
 * Keep what is about to be replaced: as `original` what the agent has not written, once, and as `previous`
 * what the daemon has taken. A file that was installed and never taken is neither.
 */
static int change_keep(const struct memory *memory, const struct change *change, struct err *err) {
    char path[PATH_MAX], digest[DIGEST_TEXT_MAX];
    if (change->old_text == NULL) {
        return 0;
    }
    if (!change->replaces) {
        if (file_path(memory->dir, ORIGINAL_FILE, path, err) != 0) {
            return -1;
        }
        if (access(path, F_OK) == 0) {
            return 0;
        }
        log_event(LOG_WARN, "foreign-configuration-replaced", LOG_STR("kept", path));
        return file_write(path, change->old_text, change->old_len, NULL, 0600, err);
    }
    digest_hex(change->old_text, change->old_len, digest);
    if (memory->digest[0] != '\0' && strcmp(memory->digest, digest) != 0) {
        return 0;
    }
    return file_path(memory->dir, PREVIOUS_FILE, path, err) == 0
               ? file_write(path, change->old_text, change->old_len, NULL, 0600, err)
               : -1;
}

/* ---- applying ---- */

/* The file that was there comes back, or there is none again, and the daemon uses it. */
static void change_take_back(struct host *host, const struct change *change) {
    const struct agent_settings *settings = host->settings;
    struct err err = ERR_INIT;
    int result = 0;
    if (change->old_text == NULL) {
        (void)unlink(settings->real_config);
    } else {
        result = file_write(settings->real_config, change->old_text, change->old_len, settings->group,
                            settings->driver->mode, &err);
    }
    if (result == 0) {
        result = settings->driver->undo(host, change, &err);
    }
    if (result != 0) {
        log_event(LOG_ERROR, "undo-failed", LOG_STR("text", err.text));
    }
}

static enum change_end change_stopped_or(struct host *host, enum change_end otherwise) {
    return host->loop->stopping ? CHANGE_STOPPED : otherwise;
}

/* That the agent stops is no reason to go back: what it stops for is mostly a newer agent. */
static int change_confirm(struct host *host, struct err *err) {
    const struct driver *driver = host->settings->driver;
    loop_grant(host->loop);
    return driver->confirm != NULL ? driver->confirm(host, err) : 0;
}

/* The new file is in its place. */
static enum change_end change_apply(struct host *host, const struct change *change, struct err *err) {
    const struct driver *driver = host->settings->driver;
    if (driver->apply(host, change, err) != 0) {
        if (err->code == ERR_NOT_FOUND) {
            return CHANGE_PENDING;
        }
        if (host->loop->stopping) {
            /* The daemon may have taken it, and would go back to a file that is no longer there. */
            struct err late = ERR_INIT;
            (void)change_confirm(host, &late);
            return CHANGE_STOPPED;
        }
        enum change_end end = err->code == ERR_INVALID ? CHANGE_REFUSED : CHANGE_UNDONE;
        change_take_back(host, change);
        return end;
    }
    int result = driver->read != NULL ? verify_change(host, change, err) : 0;
    if (result == 0 || host->loop->stopping) {
        struct err late = ERR_INIT;
        if (change_confirm(host, &late) != 0 && result == 0) {
            *err = late;
            change_take_back(host, change);
            return change_stopped_or(host, CHANGE_UNDONE);
        }
        return result == 0 ? CHANGE_DONE : CHANGE_STOPPED;
    }
    change_take_back(host, change);
    return CHANGE_UNDONE;
}

/* Check, keep and install, unless the file is there already. */
static int change_prepare(struct host *host, const struct memory *memory, const struct change *change,
                          struct err *err) {
    const struct agent_settings *settings = host->settings;
    const struct driver *driver = settings->driver;
    char staged[PATH_MAX];
    if (driver->prepare != NULL && driver->prepare(host, err) != 0) {
        return -1;
    }
    if (change->installed) {
        return driver->check(host, settings->real_config, err);
    }
    if (file_staged_path(settings->real_config, staged, err) != 0 ||
        file_stage(settings->real_config, change->text, change->len, settings->group, driver->mode, err) !=
            0) {
        return -1;
    }
    if (driver->check(host, staged, err) != 0 || change_keep(memory, change, err) != 0) {
        file_abandon(settings->real_config);
        return -1;
    }
    return file_commit(settings->real_config, err);
}

static void change_remember(struct memory *memory, const struct driver *driver, const struct change *change,
                            const char *etag) {
    struct err err = ERR_INIT;
    snprintf(memory->etag, sizeof(memory->etag), "%s", etag);
    snprintf(memory->digest, sizeof(memory->digest), "%s", change->digest);
    snprintf(memory->daemon, sizeof(memory->daemon), "%s", driver->name);
    /* The list itself has the tag that its rendered form names; JSON has only the answer's. */
    if (change->now.list[0] != '\0') {
        snprintf(memory->list, sizeof(memory->list), "%s", change->now.list);
    } else {
        size_t quote = etag[0] == '"' ? 1 : 0;
        snprintf(memory->list, sizeof(memory->list), "%.*s", (int)strcspn(etag + quote, "\""), etag + quote);
    }
    memory->revision = change->now.revision > memory->revision ? change->now.revision : memory->revision;
    memory->applied_ms = clock_realtime_ms();
    if (memory_store(memory, &err) != 0) {
        /* It is applied all the same; after a restart it will be applied once more. */
        log_event(LOG_WARN, "state-not-stored", LOG_STR("text", err.text));
    }
}

static enum change_end change_bring(struct host *host, struct memory *memory, struct change *change,
                                    const char *etag, struct err *err) {
    const struct driver *driver = host->settings->driver;
    if (change->installed && strcmp(memory->digest, change->digest) == 0 &&
        strcmp(memory->daemon, driver->name) == 0) {
        change_remember(memory, driver, change, etag);
        return CHANGE_DONE;
    }
    if (driver->read != NULL) {
        struct err unread = ERR_INIT;
        host->expected = &change->before;
        /* A daemon that cannot be asked now has no sessions that have to stay. */
        if (driver->read(host, &change->sessions, &unread) != 0) {
            session_list_done(&change->sessions);
        }
    }
    if (change_prepare(host, memory, change, err) != 0) {
        return change_stopped_or(host, CHANGE_REFUSED);
    }
    host->expected = &change->now;
    enum change_end end = change_apply(host, change, err);
    if (end == CHANGE_DONE) {
        change_remember(memory, driver, change, etag);
    }
    return end;
}

enum change_end change_run(struct host *host, struct memory *memory, const char *text, size_t len,
                           const char *etag, struct err *err) {
    struct change change = {.text = text, .len = len};
    struct buf old = {.wipe = true};
    enum change_end end = CHANGE_REFUSED;
    digest_hex(text, len, change.digest);
    if (change_read(host, text, len, &change.now, err) == 0 &&
        change_read_old(host, memory, &change, &old, err) == 0) {
        const struct driver *driver = host->settings->driver;
        struct err foreign = ERR_INIT;
        change.old_text = old.data;
        change.old_len = old.len;
        change.replaces =
            old.data != NULL &&
            (driver->comment == NULL || expected_read(old.data, old.len, driver->comment,
                                                      driver->restart_lines, &change.before, &foreign) == 0);
        change.everything_restarts = strcmp(change.now.node_digest, change.before.node_digest) != 0;
        if (driver->mark != NULL && change.replaces) {
            driver->mark(&change);
        }
        end = change_bring(host, memory, &change, etag, err);
    }
    host->expected = NULL;
    expected_done(&change.now);
    expected_done(&change.before);
    session_list_done(&change.sessions);
    buf_done(&old);
    return end;
}
