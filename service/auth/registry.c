/*
 * Registry: all tokens in a hash table by their number, looked up by each request. One reader-writer lock
 * guards the table and its tokens; the time of last use is an atomic of its own, written at most once per
 * TOKEN_USED_STEP_MS, so that authenticating writes to no shared memory but the lock. Writers are preferred:
 * a busy service must not keep a revocation waiting.
 */
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "token_internal.h"

#define SLOTS_FIRST 64 /* a power of two */

_Static_assert(TOKEN_MAC_BYTES == crypto_shorthash_siphashx24_BYTES, "SipHash-2-4 with 128 bits");

struct entry {
    uint64_t number;
    struct token token; /* its last_used_ms is what is stored */
    struct principal principal;
    _Atomic int64_t used_ms;
};

struct token_registry {
    pthread_rwlock_t lock;
    struct entry **slots; /* open addressing, linear; NULL = free */
    size_t slot_count;    /* a power of two, at least twice `count` */
    size_t count;
    struct entry *spare; /* for the next token_registry_put */
    unsigned char mac_key[crypto_shorthash_siphashx24_KEYBYTES];
    _Atomic uint64_t generation; /* moves with every change of the table, before the lock is given back */
};

int token_registry_new(struct token_registry **ret, struct err *err) {
    struct token_registry *registry = base_calloc(1, sizeof *registry);
    pthread_rwlockattr_t attributes;

    if (registry == NULL) {
        return err_no_memory(err);
    }
    crypto_shorthash_keygen(registry->mac_key);
    atomic_init(&registry->generation, 1);
    registry->slot_count = SLOTS_FIRST;
    registry->slots = base_calloc(registry->slot_count, sizeof(struct entry *));
    if (registry->slots == NULL || pthread_rwlockattr_init(&attributes) != 0) {
        free(registry->slots);
        free(registry);
        return err_no_memory(err);
    }
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&registry->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    *ret = registry;
    return 0;
}

void token_registry_free(struct token_registry *registry) {
    if (registry == NULL) {
        return;
    }
    for (size_t i = 0; i < registry->slot_count; i++) {
        free(registry->slots[i]);
    }
    free(registry->slots);
    free(registry->spare);
    pthread_rwlock_destroy(&registry->lock);
    free(registry);
}

/* Numbers are random, so they are their own hash. The slot of `number`, or the free one where it belongs. */
static size_t find_slot(struct entry *const *slots, size_t slot_count, uint64_t number) {
    size_t at = (size_t)number & (slot_count - 1);

    while (slots[at] != NULL && slots[at]->number != number) {
        at = (at + 1) & (slot_count - 1);
    }
    return at;
}

static struct entry *find(const struct token_registry *registry, const char *id) {
    uint64_t number;

    if (!token_id_number(id, &number)) {
        return NULL;
    }
    return registry->slots[find_slot(registry->slots, registry->slot_count, number)];
}

/* ---- changing ---- */

int token_registry_reserve(struct token_registry *registry, struct err *err) {
    struct entry **slots = NULL;
    size_t slot_count = registry->slot_count * 2;
    int rc = 0;

    pthread_rwlock_wrlock(&registry->lock);
    if (registry->count >= TOKENS_MAX) {
        rc = err_set(err, ERR_UNAVAILABLE, "there are %d tokens, the most this service keeps; revoke some",
                     TOKENS_MAX);
    }
    if (rc == 0 && registry->spare == NULL) {
        registry->spare = base_calloc(1, sizeof *registry->spare);
        rc = registry->spare == NULL ? err_no_memory(err) : 0;
    }
    if (rc == 0 && (registry->count + 1) * 2 > registry->slot_count) {
        slots = base_calloc(slot_count, sizeof(struct entry *));
        rc = slots == NULL ? err_no_memory(err) : 0;
    }
    if (slots != NULL) {
        for (size_t i = 0; i < registry->slot_count; i++) {
            if (registry->slots[i] != NULL) {
                slots[find_slot(slots, slot_count, registry->slots[i]->number)] = registry->slots[i];
            }
        }
        free(registry->slots);
        registry->slots = slots;
        registry->slot_count = slot_count;
    }
    pthread_rwlock_unlock(&registry->lock);
    return rc;
}

static void fill(struct entry *entry, const struct token *token) {
    entry->token = *token;
    (void)token_id_number(token->id, &entry->number);
    atomic_store_explicit(&entry->used_ms, token->last_used_ms, memory_order_relaxed);
    token_principal(token, &entry->principal);
}

void token_registry_put(struct token_registry *registry, const struct token *token) {
    uint64_t number = 0;
    size_t slot;

    pthread_rwlock_wrlock(&registry->lock);
    (void)token_id_number(token->id, &number);
    slot = find_slot(registry->slots, registry->slot_count, number);
    if (registry->slots[slot] == NULL) {
        registry->slots[slot] = registry->spare;
        registry->spare = NULL;
        registry->count++;
    }
    fill(registry->slots[slot], token);
    atomic_fetch_add_explicit(&registry->generation, 1, memory_order_release);
    pthread_rwlock_unlock(&registry->lock);
}

bool token_registry_remove(struct token_registry *registry, const char *id) {
    struct entry *entry;

    pthread_rwlock_wrlock(&registry->lock);
    entry = find(registry, id);
    if (entry != NULL) {
        size_t mask = registry->slot_count - 1;
        size_t hole = find_slot(registry->slots, registry->slot_count, entry->number);

        /* Close the hole: what stands behind it and would no longer be found moves up. */
        registry->slots[hole] = NULL;
        for (size_t at = (hole + 1) & mask; registry->slots[at] != NULL; at = (at + 1) & mask) {
            struct entry *moved = registry->slots[at];

            registry->slots[at] = NULL;
            registry->slots[find_slot(registry->slots, registry->slot_count, moved->number)] = moved;
        }
        registry->count--;
        atomic_fetch_add_explicit(&registry->generation, 1, memory_order_release);
    }
    pthread_rwlock_unlock(&registry->lock);
    free(entry);
    return entry != NULL;
}

/* ---- reading ---- */

static void copy_out(const struct entry *entry, struct token *ret) {
    *ret = entry->token;
    ret->last_used_ms = atomic_load_explicit(&entry->used_ms, memory_order_relaxed);
}

bool token_registry_get(struct token_registry *registry, const char *id, struct token *ret) {
    const struct entry *entry;

    if (!token_id_is_valid(id)) {
        return false;
    }
    pthread_rwlock_rdlock(&registry->lock);
    entry = find(registry, id);
    if (entry != NULL) {
        copy_out(entry, ret);
    }
    pthread_rwlock_unlock(&registry->lock);
    return entry != NULL;
}

size_t token_registry_count(struct token_registry *registry) {
    size_t count;

    pthread_rwlock_rdlock(&registry->lock);
    count = registry->count;
    pthread_rwlock_unlock(&registry->lock);
    return count;
}

static int by_age(const void *a, const void *b) {
    const struct token *left = a, *right = b;

    if (left->created_ms != right->created_ms) {
        return left->created_ms < right->created_ms ? -1 : 1;
    }
    return strcmp(left->id, right->id);
}

int token_registry_list(struct token_registry *registry, struct token **ret, size_t *ret_count,
                        struct err *err) {
    struct token *tokens;
    size_t count = 0;

    pthread_rwlock_rdlock(&registry->lock);
    tokens = base_calloc(registry->count == 0 ? 1 : registry->count, sizeof *tokens);
    for (size_t i = 0; tokens != NULL && i < registry->slot_count; i++) {
        if (registry->slots[i] != NULL) {
            copy_out(registry->slots[i], &tokens[count++]);
        }
    }
    pthread_rwlock_unlock(&registry->lock);
    if (tokens == NULL) {
        return err_no_memory(err);
    }
    qsort(tokens, count, sizeof *tokens, by_age);
    *ret = tokens;
    *ret_count = count;
    return 0;
}

/* ---- authenticating ---- */

static int refuse(struct err *err) {
    return err_set(
        err, ERR_UNAUTHORIZED,
        "the bearer token is not valid here: it is malformed, unknown or revoked; ask an admin for a "
        "new one");
}

static void note_use(struct entry *entry, int64_t now_ms) {
    int64_t used = atomic_load_explicit(&entry->used_ms, memory_order_relaxed);

    if (now_ms - used >= TOKEN_USED_STEP_MS) {
        atomic_store_explicit(&entry->used_ms, now_ms, memory_order_relaxed);
    }
}

/* `ret_until_ms`: how long this answer holds if the registry does not change. */
static int authenticate(struct token_registry *registry, const char *text, size_t len, int64_t now_ms,
                        struct principal *ret, int64_t *ret_until_ms, struct err *err) {
    static const uint8_t NO_HASH[TOKEN_HASH_BYTES];
    const size_t prefix = sizeof TOKEN_PREFIX - 1;
    const char *id = text + prefix, *secret = id + TOKEN_ID_LENGTH + 1;
    uint8_t hash[TOKEN_HASH_BYTES];
    char expired[CLOCK_TEXT_MAX] = "";
    struct entry *entry;
    bool good;

    if (len != TOKEN_TEXT_MAX - 1 || memcmp(text, TOKEN_PREFIX, prefix) != 0 || secret[-1] != '_') {
        return refuse(err);
    }
    token_hash(secret, hash);
    pthread_rwlock_rdlock(&registry->lock);
    entry = find(registry, id);
    /* Nothing hashes to zeros, as far as anybody knows; the comparison is made for the time it takes. */
    good =
        sodium_memcmp(hash, entry != NULL ? entry->token.hash : NO_HASH, sizeof hash) == 0 && entry != NULL;
    if (good && entry->token.expires_ms != 0 && entry->token.expires_ms <= now_ms) {
        clock_format_seconds(entry->token.expires_ms, expired);
    } else if (good) {
        ret->role = entry->principal.role;
        memcpy(ret->user, entry->principal.user, sizeof ret->user);
        note_use(entry, now_ms);
        *ret_until_ms = atomic_load_explicit(&entry->used_ms, memory_order_relaxed) + TOKEN_USED_STEP_MS;
        if (entry->token.expires_ms != 0 && entry->token.expires_ms < *ret_until_ms) {
            *ret_until_ms = entry->token.expires_ms;
        }
    }
    pthread_rwlock_unlock(&registry->lock);
    if (expired[0] != '\0') {
        return err_set(err, ERR_UNAUTHORIZED, "the token %.*s expired at %s; ask an admin for a new one",
                       TOKEN_ID_LENGTH, id, expired);
    }
    return good ? 0 : refuse(err);
}

int token_registry_authenticate(struct token_registry *registry, const char *text, size_t len, int64_t now_ms,
                                struct principal *ret, struct err *err) {
    int64_t unused;

    return authenticate(registry, text, len, now_ms, ret, &unused, err);
}

int token_registry_recognize(struct token_registry *registry, struct token_memory *memory, const char *text,
                             size_t len, int64_t now_ms, struct principal *ret, struct err *err) {
    /* Read before the table is: a change in between makes the memory too old, never too young. */
    uint64_t generation = atomic_load_explicit(&registry->generation, memory_order_acquire);
    uint8_t mac[TOKEN_MAC_BYTES];

    (void)crypto_shorthash_siphashx24(mac, (const unsigned char *)text, len, registry->mac_key);
    if (memory->generation == generation && now_ms >= memory->since_ms && now_ms < memory->until_ms &&
        sodium_memcmp(memory->mac, mac, sizeof mac) == 0) {
        *ret = memory->principal;
        return 0;
    }
    memory->generation = 0;
    if (authenticate(registry, text, len, now_ms, ret, &memory->until_ms, err) < 0) {
        return -1;
    }
    memory->since_ms = now_ms;
    memcpy(memory->mac, mac, sizeof mac);
    memory->principal = *ret;
    memory->generation = generation;
    return 0;
}

size_t token_registry_take_used(struct token_registry *registry, struct token *ret, size_t max) {
    size_t count = 0;

    pthread_rwlock_wrlock(&registry->lock);
    for (size_t i = 0; i < registry->slot_count && count < max; i++) {
        struct entry *entry = registry->slots[i];

        if (entry != NULL &&
            atomic_load_explicit(&entry->used_ms, memory_order_relaxed) != entry->token.last_used_ms) {
            copy_out(entry, &ret[count]);
            entry->token.last_used_ms = ret[count++].last_used_ms;
        }
    }
    pthread_rwlock_unlock(&registry->lock);
    return count;
}
