/*
 * Figures for monitoring: what state counts, and what its parts know anyway, read on demand. The counters are
 * atomics, each on its own; the locks are those of state_internal.h, one after the other.
 */
#include <string.h>

#include "state_internal.h"

static uint64_t load(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void count(_Atomic uint64_t *counter) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ---- counting ---- */

static enum write_result result_of(const struct write *write) {
    if (write->err.code != ERR_NONE) {
        return err_http_status(write->err.code) >= 500 ? WRITE_FAILED : WRITE_REFUSED;
    }
    if (write->dry_run) {
        return WRITE_DRY;
    }
    for (; write != NULL; write = write->also) {
        if (!write->unchanged) {
            return WRITE_STORED;
        }
    }
    return WRITE_UNCHANGED;
}

void meter_refusal(struct meter *meter, enum err_code code) {
    if (code == ERR_TOO_DISRUPTIVE) {
        count(&meter->braked);
    } else if (code == ERR_FROZEN) {
        count(&meter->frozen);
    }
}

void meter_write(struct meter *meter, const struct write *write) {
    enum write_result result = result_of(write);
    count(&meter->writes[result]);
    meter_refusal(meter, write->err.code);
    if (result == WRITE_STORED && write->force != 0) {
        count(&meter->forced);
    }
}

void meter_batch(struct meter *meter, const struct state_event *events, size_t event_count) {
    for (size_t i = 0; i < event_count; i++) {
        count(&meter->changes[events[i].op]);
    }
    histogram_note(&meter->batches, &HISTOGRAM_NUMBERS, event_count);
}

/* ---- reading ---- */

static void read_fleet(struct state *state, struct state_figures *ret) {
    struct picture *picture = state_picture(state);

    ret->revision = snapshot_revision(picture->snapshot);
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        ret->objects[kind] = snapshot_count(picture->snapshot, (enum kind)kind);
    }
    picture_unref(picture);
}

static void read_committer(struct state *state, struct state_figures *ret) {
    struct err ignored = ERR_INIT;

    ret->writable = state_writable(state, &ignored) == 0;
    pthread_mutex_lock(&state->queue.lock);
    ret->queued = state->queue.count;
    pthread_mutex_unlock(&state->queue.lock);
    for (size_t i = 0; i < WRITE_RESULT_COUNT; i++) {
        ret->writes[i] = load(&state->meter.writes[i]);
    }
    for (size_t i = 0; i <= STORE_DELETE; i++) {
        ret->changes[i] = load(&state->meter.changes[i]);
    }
    histogram_read(&state->meter.batches, &ret->batches);
}

static void read_brake(struct state *state, struct state_figures *ret) {
    struct freeze freeze;
    state_freeze(state, &freeze);
    ret->frozen = freeze.on;
    ret->braked = load(&state->meter.braked);
    ret->refused_frozen = load(&state->meter.frozen);
    ret->forced = load(&state->meter.forced);
    ret->brake_lists = load(&state->brake.lists);
}

static void read_lists(struct lists *lists, struct state_figures *ret) {
    ret->lists = load(&lists->kept);
    ret->lists_with_problems = load(&lists->with_problems);
    ret->sessions = load(&lists->sessions);
    ret->sessions_withheld = load(&lists->withheld);
    histogram_read(&lists->computes, &ret->list_computes);
    histogram_read(&lists->fetches, &ret->convergence);
}

static void read_vault(struct vault *vault, struct state_figures *ret) {
    struct vault_status status;

    ret->has_vault = true;
    ret->unseals = vault_unseal_count(vault);
    ret->unseal_failures = vault_unseal_failures(vault);
    vault_status(vault, &status);
    ret->data_keys = status.key_count;
    for (size_t i = 0; i < status.key_count; i++) {
        if (status.keys[i].active) {
            ret->data_key_created_ms = status.keys[i].created_ms;
        }
    }
}

void state_figures(struct state *state, struct state_figures *ret) {
    *ret = (struct state_figures){0};
    read_fleet(state, ret);
    read_committer(state, ret);
    read_brake(state, ret);
    read_lists(&state->lists, ret);
    transitions_figures(&state->transitions, ret);
    store_figures(state->store, &ret->store);
    ret->tokens = token_registry_count(state->tokens.registry);
    if (state->vault != NULL) {
        read_vault(state->vault, ret);
    }
}
