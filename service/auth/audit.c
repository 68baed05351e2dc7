/*
 * Audit: the newest events in rings, one for each class of events, so that what anybody can cause at will
 * (refusals, hand-outs of passwords) pushes no write out, and what a node writes about itself none of a
 * person's. Each entry is one allocation that holds its texts. The lock guards the rings; entries are freed
 * under it when their place is taken, so readers copy.
 *
 * What waits for the disk is part of the rings, so a disk that fails costs no memory: an entry that is pushed
 * out before it was stored would have been beyond the retention on the disk as well. One that is stored
 * already leaves its number among those to be dropped there.
 */
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "base/alloc.h"

#define REPEATS                                                                                              \
    4096 /* events that are remembered, so that the next of the same kind is counted with them               \
          */

enum audit_class {
    CLASS_ACTS,  /* what people did */
    CLASS_NODES, /* what nodes wrote about themselves */
    CLASS_TRIES, /* what was refused, tried or read */
    CLASS_COUNT
};

static const struct {
    const char *name;
    enum audit_class class;
} EVENTS[AUDIT_EVENT_COUNT] = {
    [AUDIT_WRITE] = {"write", CLASS_ACTS},
    [AUDIT_DENIED] = {"denied", CLASS_TRIES},
    [AUDIT_UNAUTHORIZED] = {"unauthorized", CLASS_TRIES},
    [AUDIT_PASSWORDS] = {"passwords", CLASS_TRIES},
    [AUDIT_TOKEN] = {"token", CLASS_ACTS},
    [AUDIT_VAULT] = {"vault", CLASS_ACTS},
    [AUDIT_FREEZE] = {"freeze", CLASS_ACTS},
    [AUDIT_TRIED] = {"tried", CLASS_TRIES},
};

enum standing {
    STAGED,  /* its write is not on the disk yet: nobody may see it */
    WAITING, /* seen, to be stored */
    STORED,
    GONE, /* its write has failed, or it could not be read: holds its place only */
};

struct place {
    struct audit_entry entry; /* first; its texts are behind this struct */
    enum standing standing;
    bool again;   /* has changed since it was taken for storing */
    bool on_disk; /* perhaps an older form of it */
};

/* Ascending sequences. */
struct ring {
    struct place **places; /* `keep` of them; place i of `count` is at (first + i) % keep */
    size_t first;
    size_t count;
    uint64_t waiting_from; /* nothing before this sequence is WAITING */
};

struct repeat {
    uint64_t key; /* 0 = free */
    uint64_t sequence;
    int64_t since_ms;
};

struct audit {
    pthread_mutex_t lock;
    struct ring rings[CLASS_COUNT];
    size_t keep;
    uint64_t next;
    size_t waiting;    /* entries that are */
    uint64_t *dropped; /* sequences of entries that are stored and no longer kept */
    size_t dropped_count;
    size_t dropped_cap;
    unsigned char seed[crypto_shorthash_KEYBYTES]; /* so that nobody can choose what a repeat is taken for */
    struct repeat repeats[REPEATS];
};

const char *audit_event_name(enum audit_event event) {
    return EVENTS[event].name;
}

bool audit_event_parse(const char *text, enum audit_event *ret) {
    for (enum audit_event event = 0; event < AUDIT_EVENT_COUNT; event++) {
        if (strcmp(text, EVENTS[event].name) == 0) {
            *ret = event;
            return true;
        }
    }
    return false;
}

int audit_new(size_t keep, struct audit **ret, struct err *err) {
    struct audit *audit = base_calloc(1, sizeof(*audit));

    if (audit == NULL) {
        return err_no_memory(err);
    }
    pthread_mutex_init(&audit->lock, NULL);
    crypto_shorthash_keygen(audit->seed);
    audit->keep = keep == 0 ? 1 : keep;
    audit->next = 1;
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        audit->rings[i].waiting_from = 1;
        audit->rings[i].places = base_calloc(audit->keep, sizeof(struct place *));
        if (audit->rings[i].places == NULL) {
            audit_free(audit);
            return err_no_memory(err);
        }
    }
    *ret = audit;
    return 0;
}

static struct place **ring_at(const struct audit *audit, const struct ring *ring, size_t index) {
    return &ring->places[(ring->first + index) % audit->keep];
}

void audit_free(struct audit *audit) {
    if (audit == NULL) {
        return;
    }
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        for (size_t k = 0; k < audit->rings[i].count; k++) {
            free(*ring_at(audit, &audit->rings[i], k));
        }
        free(audit->rings[i].places);
    }
    free(audit->dropped);
    pthread_mutex_destroy(&audit->lock);
    free(audit);
}

static bool by_node(const struct audit_entry *entry) {
    return entry->user != NULL && strncmp(entry->user, AUTH_NODE_USER, strlen(AUTH_NODE_USER)) == 0;
}

static enum audit_class class_of(const struct audit_entry *entry) {
    enum audit_class class = EVENTS[entry->event].class;

    return class == CLASS_ACTS && by_node(entry) ? CLASS_NODES : class;
}

/* Every text of an entry, for what treats them alike. */
#define TEXTS 7
static const char **entry_text(struct audit_entry *entry, size_t index) {
    const char **texts[TEXTS] = {&entry->user, &entry->source,  &entry->verb, &entry->resource,
                                 &entry->name, &entry->request, &entry->force};

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

/* Under the lock, as all that follows. Without memory the row stays on the disk until the next start. */
static void drop_later(struct audit *audit, uint64_t sequence) {
    uint64_t *dropped =
        base_grow(audit->dropped, audit->dropped_count, &audit->dropped_cap, 64, sizeof(*dropped));

    if (dropped != NULL) {
        audit->dropped = dropped;
        audit->dropped[audit->dropped_count++] = sequence;
    }
}

/* `place` is the newest of its class. Returns whose place it has taken, to be freed. */
static struct place *ring_push(struct audit *audit, struct place *place) {
    struct ring *ring = &audit->rings[class_of(&place->entry)];
    struct place *old = NULL;

    if (ring->count == audit->keep) {
        old = *ring_at(audit, ring, 0);
        audit->waiting -= old->standing == WAITING;
        if (old->on_disk) {
            drop_later(audit, old->entry.sequence);
        }
        ring->first = (ring->first + 1) % audit->keep;
        ring->count--;
    }
    audit->waiting += place->standing == WAITING;
    *ring_at(audit, ring, ring->count++) = place;
    return old;
}

static struct place *find_in(const struct audit *audit, const struct ring *ring, uint64_t sequence,
                             size_t *ret_below) {
    size_t low = 0, high = ring->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if ((*ring_at(audit, ring, middle))->entry.sequence < sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_below = low; /* entries before the sequence */
    struct place *place = low < ring->count ? *ring_at(audit, ring, low) : NULL;
    return place != NULL && place->entry.sequence == sequence ? place : NULL;
}

static struct place *find(struct audit *audit, uint64_t sequence) {
    struct place *place = NULL;
    size_t ignored;

    for (size_t i = 0; i < CLASS_COUNT && place == NULL; i++) {
        place = find_in(audit, &audit->rings[i], sequence, &ignored);
    }
    return place;
}

/* Returns what is to be freed. `place` may be NULL: only its number is used up. */
static struct place *add_place(struct audit *audit, struct place *place, uint64_t *ret_sequence) {
    *ret_sequence = audit->next++;
    if (place == NULL) {
        return NULL;
    }
    place->entry.sequence = *ret_sequence;
    return ring_push(audit, place);
}

static uint64_t add(struct audit *audit, const struct audit_entry *entry, enum standing standing) {
    struct place *place = place_new(entry, standing);
    uint64_t sequence;

    pthread_mutex_lock(&audit->lock);
    struct place *old = add_place(audit, place, &sequence);
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

/* Count one more; it has to be stored again. */
static void count_again(struct audit *audit, struct place *place, int64_t time_ms) {
    struct ring *ring = &audit->rings[class_of(&place->entry)];

    place->entry.count++;
    place->entry.last_ms = time_ms;
    place->again = true;
    if (place->standing == STORED) {
        place->standing = WAITING;
        audit->waiting++;
    }
    if (place->entry.sequence < ring->waiting_from) {
        ring->waiting_from = place->entry.sequence;
    }
}

static struct place *find_repeated(struct audit *audit, const struct repeat *repeat, uint64_t key,
                                   int64_t time_ms) {
    return repeat->key == key && time_ms >= repeat->since_ms && time_ms - repeat->since_ms < AUDIT_REPEAT_MS
               ? find(audit, repeat->sequence)
               : NULL;
}

bool audit_add_repeated(struct audit *audit, const struct audit_entry *entry, const void *what,
                        size_t what_len) {
    struct audit_entry first = *entry;
    struct place *fresh, *known, *old = NULL;
    unsigned char hash[crypto_shorthash_BYTES];
    uint64_t key, sequence;

    (void)crypto_shorthash(hash, what, what_len, audit->seed);
    memcpy(&key, hash, sizeof(key));
    key = key == 0 ? 1 : key;
    first.count = 1;
    first.last_ms = entry->time_ms;
    fresh = place_new(&first, WAITING);
    pthread_mutex_lock(&audit->lock);
    struct repeat *repeat = &audit->repeats[key % REPEATS];
    known = find_repeated(audit, repeat, key, entry->time_ms);
    if (known != NULL) {
        count_again(audit, known, entry->time_ms);
    } else {
        old = add_place(audit, fresh, &sequence);
        *repeat = (struct repeat){.key = key, .sequence = sequence, .since_ms = entry->time_ms};
    }
    pthread_mutex_unlock(&audit->lock);
    free(known != NULL ? fresh : old);
    return known == NULL;
}

void audit_settle(struct audit *audit, uint64_t sequence, bool stored) {
    pthread_mutex_lock(&audit->lock);
    struct place *place = find(audit, sequence);
    if (place == NULL && stored) {
        drop_later(audit, sequence); /* pushed out meanwhile */
    } else if (place != NULL && place->standing != GONE) {
        place->on_disk = place->on_disk || stored;
        if (place->standing == STAGED) {
            place->standing = stored ? STORED : GONE;
        } else if (place->standing == WAITING && stored && !place->again) {
            audit->waiting--;
            place->standing = STORED;
        }
    }
    pthread_mutex_unlock(&audit->lock);
}

static void restore(struct audit *audit, const struct audit_entry *entry, enum standing standing) {
    struct place *place = place_new(entry, standing), *old = NULL;

    pthread_mutex_lock(&audit->lock);
    if (entry->sequence >= audit->next) {
        audit->next = entry->sequence + 1;
        if (place != NULL) {
            place->on_disk = true;
            old = ring_push(audit, place);
            place = NULL;
        }
    }
    pthread_mutex_unlock(&audit->lock);
    free(old);
    free(place);
}

void audit_restore(struct audit *audit, const struct audit_entry *entry) {
    restore(audit, entry, STORED);
}

void audit_restore_unreadable(struct audit *audit, uint64_t sequence) {
    restore(audit, &(struct audit_entry){.sequence = sequence, .event = AUDIT_WRITE}, GONE);
}

void audit_skip(struct audit *audit, uint64_t sequence) {
    pthread_mutex_lock(&audit->lock);
    if (sequence >= audit->next) {
        audit->next = sequence + 1;
    }
    pthread_mutex_unlock(&audit->lock);
}

size_t audit_waiting(struct audit *audit) {
    pthread_mutex_lock(&audit->lock);
    size_t waiting = audit->waiting;
    pthread_mutex_unlock(&audit->lock);
    return waiting;
}

size_t audit_take_dropped(struct audit *audit, uint64_t *ret, size_t max) {
    pthread_mutex_lock(&audit->lock);
    size_t count = audit->dropped_count < max ? audit->dropped_count : max;
    if (count > 0) {
        audit->dropped_count -= count;
        memcpy(ret, audit->dropped + audit->dropped_count, count * sizeof(*ret));
    }
    pthread_mutex_unlock(&audit->lock);
    return count;
}

size_t audit_dropped(struct audit *audit) {
    pthread_mutex_lock(&audit->lock);
    size_t count = audit->dropped_count;
    pthread_mutex_unlock(&audit->lock);
    return count;
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

/* The newest place before the ends of the rings that `ends` tells, which goes down with it; NULL: there is
 * none. */
static const struct place *step_down(const struct audit *audit, size_t ends[CLASS_COUNT]) {
    const struct place *newest = NULL;
    size_t from = 0;

    for (size_t i = 0; i < CLASS_COUNT; i++) {
        const struct place *place = ends[i] == 0 ? NULL : *ring_at(audit, &audit->rings[i], ends[i] - 1);

        if (place != NULL && (newest == NULL || place->entry.sequence > newest->entry.sequence)) {
            newest = place;
            from = i;
        }
    }
    ends[from] -= newest != NULL;
    return newest;
}

int audit_read(struct audit *audit, const struct audit_filter *filter, uint64_t below, size_t max,
               struct arena *arena, struct audit_entry **ret, size_t *ret_count, bool *ret_more,
               struct err *err) {
    struct audit_entry *entries = arena_array(arena, max, sizeof(*entries));
    size_t count = 0, ends[CLASS_COUNT];
    const struct place *place;
    bool more = false;

    if (entries == NULL) {
        return err_no_memory(err);
    }
    pthread_mutex_lock(&audit->lock);
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        (void)find_in(audit, &audit->rings[i], below == 0 ? UINT64_MAX : below, &ends[i]);
    }
    while (!more && (place = step_down(audit, ends)) != NULL) {
        if (place->standing == STAGED || place->standing == GONE || !matches(filter, &place->entry)) {
            continue;
        }
        more = count == max;
        if (!more) {
            entries[count] = place->entry;
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

/* Of one ring. Returns how many there are now in `entries`. */
static size_t take_from(struct audit *audit, struct ring *ring, struct audit_entry *entries, size_t count,
                        size_t max, struct arena *arena) {
    size_t from, before = count;

    (void)find_in(audit, ring, ring->waiting_from, &from);
    for (size_t i = from; i < ring->count && count < max; i++) {
        struct place *place = *ring_at(audit, ring, i);

        if (place->standing == WAITING) {
            place->again = false;
            entries[count] = place->entry;
            entries[count].stored = place->on_disk;
            copy_texts(&entries[count++], arena);
        } else if (count == before && place->standing != STAGED) {
            ring->waiting_from = place->entry.sequence + 1;
        }
    }
    return count;
}

int audit_take_waiting(struct audit *audit, size_t max, struct arena *arena, struct audit_entry **ret,
                       size_t *ret_count, struct err *err) {
    struct audit_entry *entries = arena_array(arena, max, sizeof(*entries));
    size_t count = 0;

    if (entries == NULL) {
        return err_no_memory(err);
    }
    pthread_mutex_lock(&audit->lock);
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        count = take_from(audit, &audit->rings[i], entries, count, max, arena);
    }
    pthread_mutex_unlock(&audit->lock);
    if (arena->failed) {
        return err_no_memory(err);
    }
    *ret = entries;
    *ret_count = count;
    return 0;
}
