/*
 * The freeze: a time in which nobody changes a session. One setting of the store, so that it outlives
 * restarts and is in backups; setting and lifting it is a task on the committer's thread, which also asks it
 * about writes: a write that began after the answer to a freeze is judged by it. Its lock guards the copy in
 * memory.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "state_internal.h"

#define FREEZE_SETTING "freeze/current"

static void freeze_put(struct state *state, const struct freeze *freeze) {
    pthread_mutex_lock(&state->frozen.lock);
    state->frozen.freeze = *freeze;
    pthread_mutex_unlock(&state->frozen.lock);
}

void state_freeze(struct state *state, struct freeze *ret) {
    pthread_mutex_lock(&state->frozen.lock);
    *ret = state->frozen.freeze;
    pthread_mutex_unlock(&state->frozen.lock);
    ret->on = ret->on && (ret->until_ms == 0 || clock_realtime_ms() < ret->until_ms);
}

int freeze_refuse(const struct freeze *freeze, struct err *err) {
    char since[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX] = "";
    clock_format_seconds(freeze->since_ms, since);
    if (freeze->until_ms != 0) {
        clock_format_seconds(freeze->until_ms, until);
    }
    return err_set(
        err, ERR_FROZEN,
        "the fleet is frozen by %s since %s%s%s: %s. This write would change sessions, so nothing is "
        "changed; writes that change no session go on. Wait until the freeze %s, lift it (DELETE "
        "/apis/bgppeerd.io/v1/freeze), or, as an admin, say force=frozen",
        freeze->user, since, until[0] != '\0' ? " until " : "", until, freeze->reason,
        until[0] != '\0' ? "ends" : "is lifted");
}

/* ---- in the store ---- */

bool freeze_setting_wanted(const struct store_setting *setting) {
    return strcmp(setting->name, FREEZE_SETTING) == 0;
}

static void add_time(struct buf *out, const char *key, int64_t time_ms) {
    char text[CLOCK_TEXT_MAX];
    if (time_ms != 0) {
        clock_format_millis(time_ms, text);
        buf_json_member_str(out, key, text);
    }
}

static void encode(const struct freeze *freeze, struct buf *out) {
    buf_add_char(out, '{');
    buf_json_member_str(out, "reason", freeze->reason);
    buf_json_member_str(out, "user", freeze->user);
    add_time(out, "since", freeze->since_ms);
    add_time(out, "until", freeze->until_ms);
    buf_add_char(out, '}');
}

static bool read_time(const char *text, int64_t *ret) {
    return text == NULL || clock_parse(text, strlen(text), ret);
}

static int decode(const struct store_setting *setting, struct freeze *ret, struct err *err) {
    struct freeze_form form;
    struct arena arena;
    arena_init(&arena, 1024);
    struct freeze freeze = {.on = true};
    int result = codec_decode_stored_freeze(setting->value, setting->value_len, &arena, &form, err);
    if (result == 0 && (form.reason == NULL || strlen(form.reason) > FREEZE_REASON_MAX || form.user == NULL ||
                        strlen(form.user) >= AUTH_USER_MAX || !read_time(form.since, &freeze.since_ms) ||
                        !read_time(form.until, &freeze.until_ms))) {
        result = err_set(err, ERR_CORRUPT, "the stored freeze cannot be read");
    }
    if (result == 0) {
        memcpy(freeze.reason, form.reason, strlen(form.reason) + 1);
        memcpy(freeze.user, form.user, strlen(form.user) + 1);
        *ret = freeze;
    }
    arena_done(&arena);
    return result;
}

/* One that cannot be read is one all the same: whoever set it wanted nothing to change. */
static void take_setting(struct state *state, const struct store_setting *setting) {
    struct freeze freeze = {.on = false};
    struct err damage = ERR_INIT;
    if (setting->value != NULL && decode(setting, &freeze, &damage) != 0) {
        log_event(LOG_ERROR, "freeze-unreadable", LOG_STR("error", damage.text));
        freeze = (struct freeze){.on = true,
                                 .reason = "it is not known why: what is stored of it cannot be read",
                                 .user = "somebody",
                                 .since_ms = clock_realtime_ms()};
    }
    freeze_put(state, &freeze);
}

void freeze_follow(struct state *state, const struct store_setting *setting) {
    take_setting(state, setting);
}

struct loading {
    struct state *state;
    bool found;
};

static int load_setting(void *arg, const struct store_setting *setting, struct err *err) {
    struct loading *loading = arg;
    (void)err;
    if (freeze_setting_wanted(setting)) {
        take_setting(loading->state, setting);
        loading->found = true;
    }
    return 0;
}

int freeze_load(struct state *state, struct err *err) {
    struct loading loading = {.state = state};
    const struct store_reader reader = {.setting = load_setting, .arg = &loading};
    if (store_load(state->store, &reader, err) != 0) {
        return -1;
    }
    if (!loading.found) {
        freeze_put(state, &(struct freeze){.on = false});
    }
    return 0;
}

/* ---- setting and lifting ---- */

static int task_freeze(struct state *state, struct task *task, struct err *err) {
    struct freeze_write *write = (struct freeze_write *)task; /* its first member */
    struct freeze now;
    struct buf text = BUF_INIT;
    state_freeze(state, &now);
    if (now.on && !write->may_replace && strcmp(now.user, write->freeze.user) != 0) {
        return err_set(err, ERR_FORBIDDEN,
                       "the fleet is frozen by %s, and only that user and admins may alter that", now.user);
    }
    struct freeze next = {.on = false};
    struct store_setting setting = {.name = FREEZE_SETTING};
    if (!write->lift) {
        next = write->freeze;
        next.on = true;
        next.since_ms = clock_realtime_ms();
        encode(&next, &text);
        setting.value = text.data;
        setting.value_len = text.len;
    }
    int result =
        buf_failed(&text)
            ? err_no_memory(err)
            : state_commit(state, &(struct store_batch){.settings = &setting, .setting_count = 1}, err);
    if (result == 0) {
        freeze_put(state, &next);
        write->freeze = next;
    }
    buf_done(&text);
    return result;
}

int state_submit_freeze(struct state *state, struct freeze_write *write, struct err *err) {
    write->task.run = task_freeze;
    return committer_submit(state, &write->task, err);
}
