/*
 * History: the newest changes in memory, as many as the change log keeps (fewer when they are large), for
 * watches. Watches pull from it with a revision as their place, so a watch costs no memory here and a slow
 * one holds nothing back. One lock for the ring and the armed watchers; a watcher's `wake` is called without
 * it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "state_internal.h"

int history_init(struct history *history, size_t cap, struct err *err) {
    *history = (struct history){.cap = cap, .bytes_max = cap * STATE_CHANGE_BYTES};
    history->ring = base_calloc(cap, sizeof *history->ring);
    if (history->ring == NULL) {
        return err_no_memory(err);
    }
    pthread_mutex_init(&history->lock, NULL);
    return 0;
}

static struct state_event *history_at(const struct history *history, size_t i) {
    return &history->ring[(history->first + i) % history->cap];
}

void history_done(struct history *history) {
    if (history->ring == NULL) {
        return;
    }
    for (size_t i = 0; i < history->count; i++) {
        record_unref(history_at(history, i)->before);
        record_unref(history_at(history, i)->after);
    }
    free(history->ring);
    history->ring = NULL;
    pthread_mutex_destroy(&history->lock);
}

static void history_drop_oldest(struct history *history) {
    struct state_event *oldest = history_at(history, 0);

    history->compacted = oldest->revision;
    history->bytes -= oldest->after->json_len;
    record_unref(oldest->before);
    record_unref(oldest->after);
    history->first = (history->first + 1) % history->cap;
    history->count--;
}

void history_forget(struct history *history, uint64_t upto) {
    pthread_mutex_lock(&history->lock);
    while (history->count > 0) {
        history_drop_oldest(history);
    }
    history->compacted = upto;
    history->upto = upto;
    pthread_mutex_unlock(&history->lock);
}

void history_add(struct history *history, const struct state_event *events, size_t count, uint64_t upto) {
    pthread_mutex_lock(&history->lock);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = events[i].after->json_len;

        while (history->count == history->cap ||
               (history->count > 0 && history->bytes + bytes > history->bytes_max)) {
            history_drop_oldest(history);
        }
        *history_at(history, history->count) = events[i];
        if (events[i].before != NULL) {
            record_ref(events[i].before);
        }
        record_ref(events[i].after);
        history->bytes += bytes;
        history->count++;
    }
    history->upto = upto;
    pthread_mutex_unlock(&history->lock);
}

size_t history_kept(struct history *history) {
    size_t count;

    pthread_mutex_lock(&history->lock);
    count = history->count;
    pthread_mutex_unlock(&history->lock);
    return count;
}

/* Index of the first event with revision > after. */
static size_t history_find(const struct history *history, uint64_t after) {
    size_t low = 0, high = history->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (history_at(history, middle)->revision <= after) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int state_events(struct state *state, enum kind kind, uint64_t after, struct state_event *events, size_t max,
                 size_t *ret_count, uint64_t *ret_upto, struct err *err) {
    struct history *history = &state->history;
    size_t count = 0;
    uint64_t upto;

    pthread_mutex_lock(&history->lock);
    if (after < history->compacted) {
        uint64_t oldest = history->compacted;

        pthread_mutex_unlock(&history->lock);
        return err_set(err, ERR_EXPIRED,
                       "too old resource version: %llu (changes up to %llu are no longer kept); list again "
                       "and watch from the list's resourceVersion",
                       (unsigned long long)after, (unsigned long long)oldest);
    }
    upto = history->upto > after ? history->upto : after;
    for (size_t i = history_find(history, after); i < history->count; i++) {
        const struct state_event *event = history_at(history, i);

        if (event->kind != kind) {
            continue;
        }
        if (count == max) {
            upto = events[count - 1].revision;
            break;
        }
        events[count] = *event;
        if (event->before != NULL) {
            record_ref(event->before);
        }
        record_ref(event->after);
        count++;
    }
    pthread_mutex_unlock(&history->lock);
    *ret_count = count;
    *ret_upto = upto;
    return 0;
}

void state_watch_arm(struct state *state, struct watcher *watcher, uint64_t after, bool *ret_ready) {
    struct history *history = &state->history;
    bool ready;

    pthread_mutex_lock(&history->lock);
    ready = after < history->compacted;
    for (size_t i = history_find(history, after); !ready && i < history->count; i++) {
        ready = history_at(history, i)->kind == watcher->kind;
    }
    if (!ready) {
        watcher->prev = NULL;
        watcher->next = history->armed[watcher->kind];
        if (watcher->next != NULL) {
            watcher->next->prev = watcher;
        }
        history->armed[watcher->kind] = watcher;
        watcher->linked = true;
    }
    pthread_mutex_unlock(&history->lock);
    *ret_ready = ready;
}

bool state_watch_disarm(struct state *state, struct watcher *watcher) {
    struct history *history = &state->history;
    bool linked;

    pthread_mutex_lock(&history->lock);
    linked = watcher->linked;
    if (linked) {
        if (watcher->prev != NULL) {
            watcher->prev->next = watcher->next;
        } else {
            history->armed[watcher->kind] = watcher->next;
        }
        if (watcher->next != NULL) {
            watcher->next->prev = watcher->prev;
        }
        watcher->linked = false;
    }
    pthread_mutex_unlock(&history->lock);
    return linked;
}

/* Taken out all at once, so that those which arm themselves again meanwhile are not called twice. */
static struct watcher *history_take(struct history *history, enum kind kind) {
    struct watcher *taken;

    pthread_mutex_lock(&history->lock);
    taken = history->armed[kind];
    history->armed[kind] = NULL;
    for (struct watcher *watcher = taken; watcher != NULL; watcher = watcher->next) {
        watcher->linked = false;
    }
    pthread_mutex_unlock(&history->lock);
    return taken;
}

void history_wake(struct history *history, unsigned kinds) {
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        struct watcher *next;

        if ((kinds & 1u << kind) == 0) {
            continue;
        }
        for (struct watcher *watcher = history_take(history, (enum kind)kind); watcher != NULL;
             watcher = next) {
            next = watcher->next; /* the watcher may be gone after the call */
            watcher->wake(watcher);
        }
    }
}
