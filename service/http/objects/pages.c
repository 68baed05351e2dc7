/*
 * Pages: a small cache of snapshots by revision, and the text of continue tokens.
 *
 * Snapshots share all that has not changed between them, so keeping a few costs little; each holds one
 * reference, dropped when the entry is replaced, has expired, or the server stops.
 */
#include "objects/pages.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/number.h"

struct kept {
    const struct snapshot *snapshot; /* NULL: free place */
    int64_t used_ms;
};

struct pages {
    pthread_mutex_t lock;
    struct kept kept[PAGES_KEPT];
};

int pages_new(struct pages **ret, struct err *err) {
    struct pages *pages = base_calloc(1, sizeof(*pages));
    if (pages == NULL) {
        return err_no_memory(err);
    }
    pthread_mutex_init(&pages->lock, NULL);
    *ret = pages;
    return 0;
}

void pages_free(struct pages *pages) {
    if (pages == NULL) {
        return;
    }
    for (size_t i = 0; i < PAGES_KEPT; i++) {
        snapshot_unref(pages->kept[i].snapshot);
    }
    pthread_mutex_destroy(&pages->lock);
    free(pages);
}

/* The lock is held. */
static struct kept *find(struct pages *pages, uint64_t revision) {
    for (size_t i = 0; i < PAGES_KEPT; i++) {
        struct kept *kept = &pages->kept[i];
        if (kept->snapshot != NULL && snapshot_revision(kept->snapshot) == revision) {
            return kept;
        }
    }
    return NULL;
}

void pages_keep(struct pages *pages, const struct snapshot *snapshot) {
    int64_t now = clock_monotonic_ms();
    const struct snapshot *dropped = NULL;
    pthread_mutex_lock(&pages->lock);
    struct kept *place = find(pages, snapshot_revision(snapshot));
    if (place == NULL) {
        place = &pages->kept[0];
        for (size_t i = 0; i < PAGES_KEPT && place->snapshot != NULL; i++) {
            struct kept *kept = &pages->kept[i];
            if (kept->snapshot == NULL || kept->used_ms < place->used_ms) {
                place = kept;
            }
        }
        dropped = place->snapshot;
        place->snapshot = snapshot_ref(snapshot);
    }
    place->used_ms = now;
    pthread_mutex_unlock(&pages->lock);
    /* Freeing a snapshot may take a while: not under the lock. */
    snapshot_unref(dropped);
}

const struct snapshot *pages_find(struct pages *pages, uint64_t revision) {
    const struct snapshot *snapshot = NULL;
    pthread_mutex_lock(&pages->lock);
    struct kept *kept = find(pages, revision);
    if (kept != NULL) {
        kept->used_ms = clock_monotonic_ms();
        snapshot = snapshot_ref(kept->snapshot);
    }
    pthread_mutex_unlock(&pages->lock);
    return snapshot;
}

void pages_sweep(void *arg) {
    struct pages *pages = arg;
    const struct snapshot *dropped[PAGES_KEPT] = {NULL};
    int64_t oldest = clock_monotonic_ms() - PAGES_KEEP_MS;
    pthread_mutex_lock(&pages->lock);
    for (size_t i = 0; i < PAGES_KEPT; i++) {
        if (pages->kept[i].snapshot != NULL && pages->kept[i].used_ms < oldest) {
            dropped[i] = pages->kept[i].snapshot;
            pages->kept[i].snapshot = NULL;
        }
    }
    pthread_mutex_unlock(&pages->lock);
    for (size_t i = 0; i < PAGES_KEPT; i++) {
        snapshot_unref(dropped[i]);
    }
}

/* ---- tokens: "<revision>.<resource>.<key in hex>" ---- */

const char *pages_token(struct arena *arena, uint64_t revision, enum kind kind, const char *key) {
    static const char DIGITS[] = "0123456789abcdef";
    size_t len = strlen(key);
    char *hex = arena_alloc(arena, 2 * len + 1);
    if (hex == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = DIGITS[(unsigned char)key[i] >> 4];
        hex[2 * i + 1] = DIGITS[(unsigned char)key[i] & 15];
    }
    return arena_printf(arena, "%llu.%s.%s", (unsigned long long)revision, kind_info(kind)->plural, hex);
}

static int hex_digit(char c) {
    const char *at = c != '\0' ? strchr("0123456789abcdef", c) : NULL;
    return at != NULL ? (int)(at - "0123456789abcdef") : -1;
}

static bool decode_key(struct arena *arena, const char *hex, const char **ret) {
    size_t len = strlen(hex);
    char *key = arena_alloc(arena, len / 2 + 1);
    if (key == NULL || len == 0 || len % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_digit(hex[i]);
        int low = hex_digit(hex[i + 1]);
        if (high < 0 || low < 0 || (high == 0 && low == 0)) {
            return false;
        }
        key[i / 2] = (char)(high * 16 + low);
    }
    *ret = key;
    return true;
}

int pages_parse_token(struct arena *arena, const char *token, enum kind kind, uint64_t *ret_revision,
                      const char **ret_key, struct err *err) {
    const char *plural = kind_info(kind)->plural;
    size_t plural_len = strlen(plural);
    size_t revision_len = strcspn(token, ".");
    const char *rest = token + revision_len;
    uint64_t revision;
    if (!u64_parse(token, revision_len, UINT64_MAX, &revision) || rest[0] != '.' ||
        strncmp(rest + 1, plural, plural_len) != 0 || rest[1 + plural_len] != '.' ||
        !decode_key(arena, rest + 2 + plural_len, ret_key)) {
        return arena->failed
                   ? err_no_memory(err)
                   : err_set(err, ERR_BAD_REQUEST,
                             "the continue token is not one that a list of %s has given out; start the "
                             "list again without it",
                             plural);
    }
    *ret_revision = revision;
    return 0;
}
