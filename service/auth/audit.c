/*
 * Audit: the newest events in a ring, newest wins. Each entry is one allocation that holds its texts. The
 * lock guards the ring; entries are immutable, but are freed under it when their place is taken, so readers
 * copy.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "base/alloc.h"

static const char *const EVENTS[AUDIT_EVENT_COUNT] = {
    [AUDIT_WRITE] = "write",         [AUDIT_DENIED] = "denied", [AUDIT_UNAUTHORIZED] = "unauthorized",
    [AUDIT_PASSWORDS] = "passwords", [AUDIT_TOKEN] = "token",   [AUDIT_VAULT] = "vault",
};

struct audit {
    pthread_mutex_t lock;
    struct audit_entry **ring; /* sequence s stands at s % keep; NULL: nothing there, or it was dropped */
    size_t keep;
    uint64_t next;
};

const char *audit_event_name(enum audit_event event) {
    return EVENTS[event];
}

bool audit_event_parse(const char *text, enum audit_event *ret) {
    for (enum audit_event event = 0; event < AUDIT_EVENT_COUNT; event++) {
        if (strcmp(text, EVENTS[event]) == 0) {
            *ret = event;
            return true;
        }
    }
    return false;
}

int audit_new(size_t keep, struct audit **ret, struct err *err) {
    struct audit *audit = base_calloc(1, sizeof *audit);

    if (audit == NULL) {
        return err_no_memory(err);
    }
    audit->keep = keep == 0 ? 1 : keep;
    audit->next = 1;
    audit->ring = base_calloc(audit->keep, sizeof(struct audit_entry *));
    if (audit->ring == NULL) {
        free(audit);
        return err_no_memory(err);
    }
    pthread_mutex_init(&audit->lock, NULL);
    *ret = audit;
    return 0;
}

void audit_free(struct audit *audit) {
    if (audit == NULL) {
        return;
    }
    for (size_t i = 0; i < audit->keep; i++) {
        free(audit->ring[i]);
    }
    free(audit->ring);
    pthread_mutex_destroy(&audit->lock);
    free(audit);
}

/* Every text of an entry, for what treats them alike. */
#define TEXTS 6
static const char **entry_text(struct audit_entry *entry, size_t index) {
    const char **texts[TEXTS] = {&entry->user,     &entry->source, &entry->verb,
                                 &entry->resource, &entry->name,   &entry->request};

    return texts[index];
}

/* The entry and its texts in one piece. */
static struct audit_entry *entry_copy(const struct audit_entry *entry) {
    struct audit_entry from = *entry;
    struct audit_entry *copy;
    size_t size = sizeof *copy;
    char *at;

    for (size_t i = 0; i < TEXTS; i++) {
        const char *text = *entry_text(&from, i);

        size += text == NULL ? 0 : strlen(text) + 1;
    }
    copy = base_malloc(size);
    if (copy == NULL) {
        return NULL;
    }
    *copy = from;
    at = (char *)(copy + 1);
    for (size_t i = 0; i < TEXTS; i++) {
        const char *text = *entry_text(&from, i);

        if (text != NULL) {
            size_t len = strlen(text) + 1;

            *entry_text(copy, i) = memcpy(at, text, len);
            at += len;
        }
    }
    return copy;
}

void audit_add(struct audit *audit, const struct audit_entry *entry) {
    struct audit_entry *copy = entry_copy(entry), *old;

    pthread_mutex_lock(&audit->lock);
    if (copy != NULL) {
        copy->sequence = audit->next;
    }
    old = audit->ring[audit->next % audit->keep];
    audit->ring[audit->next % audit->keep] = copy;
    audit->next++;
    pthread_mutex_unlock(&audit->lock);
    free(old);
}

static bool text_matches(const char *wanted, const char *text) {
    return wanted == NULL || (text != NULL && strcmp(wanted, text) == 0);
}

static bool matches(const struct audit_filter *filter, const struct audit_entry *entry) {
    return (filter->event < 0 || (enum audit_event)filter->event == entry->event) &&
           text_matches(filter->user, entry->user) && text_matches(filter->resource, entry->resource) &&
           text_matches(filter->name, entry->name) && entry->time_ms >= filter->since_ms &&
           (filter->until_ms == 0 || entry->time_ms < filter->until_ms);
}

static void copy_texts(struct audit_entry *entry, struct arena *arena) {
    for (size_t i = 0; i < TEXTS; i++) {
        const char **text = entry_text(entry, i);

        *text = arena_strdup(arena, *text);
    }
}

int audit_read(struct audit *audit, const struct audit_filter *filter, uint64_t below, size_t max,
               struct arena *arena, struct audit_entry **ret, size_t *ret_count, bool *ret_more,
               struct err *err) {
    struct audit_entry *entries = arena_array(arena, max, sizeof *entries);
    size_t count = 0;
    bool more = false;
    uint64_t last;

    if (entries == NULL) {
        return err_no_memory(err);
    }
    pthread_mutex_lock(&audit->lock);
    last = audit->next > audit->keep ? audit->next - audit->keep : 1;
    if (below == 0 || below > audit->next) {
        below = audit->next;
    }
    for (uint64_t sequence = below; sequence > last && !more; sequence--) {
        const struct audit_entry *entry = audit->ring[(sequence - 1) % audit->keep];

        if (entry == NULL || !matches(filter, entry)) {
            continue;
        }
        more = count == max;
        if (!more) {
            entries[count] = *entry;
            copy_texts(&entries[count++], arena);
        }
    }
    pthread_mutex_unlock(&audit->lock);
    if (arena->failed) {
        return err_no_memory(err);
    }
    *ret = entries;
    *ret_count = count;
    *ret_more = more;
    return 0;
}
