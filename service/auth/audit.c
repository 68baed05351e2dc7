/*
 * Audit: the newest events in a ring, newest wins. Each entry is one allocation that holds its texts. The
 * lock guards the ring; entries are immutable, but are freed under it when their place is taken, so readers
 * copy.
 *
 * What waits for the disk is part of the ring, so a disk that fails costs no memory: an entry that is pushed
 * out before it was stored would have been beyond the retention on the disk as well.
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

enum standing {
    STAGED,  /* its write is not on the disk yet: nobody may see it */
    WAITING, /* seen, to be stored */
    STORED,
};

struct place {
    struct audit_entry entry; /* first; its texts are behind this struct */
    enum standing standing;
};

struct audit {
    pthread_mutex_t lock;
    struct place **ring; /* sequence s stands at s % keep; NULL: nothing there, or it was dropped */
    size_t keep;
    uint64_t next;
    uint64_t waiting_from; /* nothing before this sequence is WAITING */
    size_t waiting;        /* entries that are */
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
    audit->next = audit->waiting_from = 1;
    audit->ring = base_calloc(audit->keep, sizeof(struct place *));
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
static struct place *place_new(const struct audit_entry *entry, enum standing standing) {
    struct audit_entry from = *entry;
    struct place *place;
    size_t size = sizeof *place;
    char *at;

    for (size_t i = 0; i < TEXTS; i++) {
        const char *text = *entry_text(&from, i);

        size += text == NULL ? 0 : strlen(text) + 1;
    }
    place = base_malloc(size);
    if (place == NULL) {
        return NULL;
    }
    *place = (struct place){.entry = from, .standing = standing};
    at = (char *)(place + 1);
    for (size_t i = 0; i < TEXTS; i++) {
        const char *text = *entry_text(&from, i);

        if (text != NULL) {
            size_t len = strlen(text) + 1;

            *entry_text(&place->entry, i) = memcpy(at, text, len);
            at += len;
        }
    }
    return place;
}

/* Under the lock: `place` (NULL: none) is the newest. Returns whose place it has taken, to be freed. */
static struct place *push(struct audit *audit, uint64_t sequence, struct place *place) {
    struct place **at = &audit->ring[sequence % audit->keep], *old = *at;

    audit->waiting -= old != NULL && old->standing == WAITING;
    if (place != NULL) {
        place->entry.sequence = sequence;
        audit->waiting += place->standing == WAITING;
    }
    *at = place;
    audit->next = sequence + 1;
    return old;
}

static uint64_t add(struct audit *audit, const struct audit_entry *entry, enum standing standing) {
    struct place *place = place_new(entry, standing), *old;
    uint64_t sequence;

    pthread_mutex_lock(&audit->lock);
    sequence = audit->next;
    old = push(audit, sequence, place);
    pthread_mutex_unlock(&audit->lock);
    free(old);
    return sequence;
}

void audit_add(struct audit *audit, const struct audit_entry *entry) {
    (void)add(audit, entry, WAITING);
}

uint64_t audit_stage(struct audit *audit, const struct audit_entry *entry) {
    return add(audit, entry, STAGED);
}

/* Under the lock: the entry of that number, if it (still) has its place. */
static struct place **find(struct audit *audit, uint64_t sequence) {
    struct place **at = &audit->ring[sequence % audit->keep];

    return *at != NULL && (*at)->entry.sequence == sequence ? at : NULL;
}

void audit_settle(struct audit *audit, uint64_t sequence, bool stored) {
    struct place **at, *gone = NULL;

    pthread_mutex_lock(&audit->lock);
    at = find(audit, sequence);
    if (at != NULL && stored) {
        audit->waiting -= (*at)->standing == WAITING;
        (*at)->standing = STORED;
    } else if (at != NULL && (*at)->standing == STAGED) {
        gone = *at;
        *at = NULL;
    }
    pthread_mutex_unlock(&audit->lock);
    free(gone);
}

void audit_restore(struct audit *audit, const struct audit_entry *entry) {
    struct place *place = place_new(entry, STORED), *old = NULL;

    pthread_mutex_lock(&audit->lock);
    if (entry->sequence >= audit->next) {
        old = push(audit, entry->sequence, place);
        place = NULL;
    }
    pthread_mutex_unlock(&audit->lock);
    free(old);
    free(place);
}

void audit_skip(struct audit *audit, uint64_t sequence) {
    pthread_mutex_lock(&audit->lock);
    if (sequence >= audit->next) {
        audit->next = sequence + 1;
    }
    pthread_mutex_unlock(&audit->lock);
}

size_t audit_waiting(struct audit *audit) {
    size_t waiting;

    pthread_mutex_lock(&audit->lock);
    waiting = audit->waiting;
    pthread_mutex_unlock(&audit->lock);
    return waiting;
}

uint64_t audit_oldest(struct audit *audit) {
    uint64_t next;

    pthread_mutex_lock(&audit->lock);
    next = audit->next;
    pthread_mutex_unlock(&audit->lock);
    return next > audit->keep ? next - audit->keep : 1;
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
        struct place **at = find(audit, sequence - 1);

        if (at == NULL || (*at)->standing == STAGED || !matches(filter, &(*at)->entry)) {
            continue;
        }
        more = count == max;
        if (!more) {
            entries[count] = (*at)->entry;
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

int audit_take_waiting(struct audit *audit, size_t max, struct arena *arena, struct audit_entry **ret,
                       size_t *ret_count, struct err *err) {
    struct audit_entry *entries = arena_array(arena, max, sizeof *entries);
    uint64_t oldest = audit_oldest(audit);
    size_t count = 0;

    if (entries == NULL) {
        return err_no_memory(err);
    }
    pthread_mutex_lock(&audit->lock);
    if (audit->waiting_from < oldest) {
        audit->waiting_from = oldest;
    }
    for (uint64_t sequence = audit->waiting_from; sequence < audit->next && count < max; sequence++) {
        struct place **at = find(audit, sequence);

        if (at != NULL && (*at)->standing == WAITING) {
            entries[count] = (*at)->entry;
            copy_texts(&entries[count++], arena);
        } else if (count == 0 && (at == NULL || (*at)->standing == STORED)) {
            audit->waiting_from = sequence + 1;
        }
    }
    pthread_mutex_unlock(&audit->lock);
    if (arena->failed) {
        return err_no_memory(err);
    }
    *ret = entries;
    *ret_count = count;
    return 0;
}
