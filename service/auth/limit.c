/*
 * Limiter: token buckets in a fixed table. A key's bucket is looked for in the few places of its own set; a
 * newcomer takes the place of a bucket that is full again (which says nothing any more) or else of the one
 * with most credit. Each stripe of sets has a lock. Owns its table. Credits are whole numbers of billionths,
 * so that what is due in a second is there in a second and not a rounding error later.
 */
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "base/alloc.h"

#define SETS        1024 /* × WAYS keys at one time */
#define WAYS        8
#define STRIPES     64
#define CREDIT      INT64_C(1000000000)
#define RETRY_MAX_S 3600 /* said at most */

struct bucket {
    uint64_t key; /* 0 = free */
    int64_t credit;
    int64_t since_ms; /* when `credit` was right */
};

struct limiter {
    int64_t per_ms; /* ≥ 1 */
    int64_t burst;
    unsigned char seed[crypto_shorthash_KEYBYTES]; /* so that nobody can choose whose place to share */
    pthread_mutex_t locks[STRIPES];
    struct bucket buckets[SETS][WAYS];
};

int limiter_new(double per_second, double burst, struct limiter **ret, struct err *err) {
    struct limiter *limiter = base_calloc(1, sizeof *limiter);

    if (limiter == NULL) {
        return err_no_memory(err);
    }
    double per_ms = per_second * (double)CREDIT / 1000;
    limiter->per_ms = (int64_t)per_ms;
    limiter->per_ms +=
        (double)limiter->per_ms < per_ms; /* up: what was promised for a second is there in a second */
    limiter->burst = (int64_t)(burst * (double)CREDIT);
    crypto_shorthash_keygen(limiter->seed);
    for (size_t i = 0; i < STRIPES; i++) {
        pthread_mutex_init(&limiter->locks[i], NULL);
    }
    *ret = limiter;
    return 0;
}

void limiter_free(struct limiter *limiter) {
    if (limiter == NULL) {
        return;
    }
    for (size_t i = 0; i < STRIPES; i++) {
        pthread_mutex_destroy(&limiter->locks[i]);
    }
    free(limiter);
}

static uint64_t key_number(const struct limiter *limiter, const void *key, size_t len) {
    unsigned char hash[crypto_shorthash_BYTES];
    uint64_t number;

    (void)crypto_shorthash(hash, key, len, limiter->seed);
    memcpy(&number, hash, sizeof number);
    return number == 0 ? 1 : number;
}

/* A caller may have looked at the clock before another one that was served first: time only goes forward
 * here. */
static int64_t credit_now(const struct limiter *limiter, const struct bucket *bucket, int64_t now_ms) {
    int64_t since_ms = now_ms > bucket->since_ms ? now_ms - bucket->since_ms : 0;
    int64_t missing = limiter->burst - bucket->credit;

    /* Divided, not multiplied: after a long time the product would not fit. */
    return bucket->key == 0 || since_ms > missing / limiter->per_ms
               ? limiter->burst
               : bucket->credit + since_ms * limiter->per_ms;
}

/* The key's bucket, or the place it gets. Under the stripe's lock. */
static struct bucket *find_bucket(const struct limiter *limiter, struct bucket *set, uint64_t key,
                                  int64_t now_ms) {
    struct bucket *best = &set[0];

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key) {
            return &set[i];
        }
        if (credit_now(limiter, &set[i], now_ms) > credit_now(limiter, best, now_ms)) {
            best = &set[i];
        }
    }
    /* The newcomer inherits the place's credit: a flood of new keys gains nothing. */
    best->credit = credit_now(limiter, best, now_ms);
    best->since_ms = now_ms;
    best->key = key;
    return best;
}

bool limiter_take(struct limiter *limiter, const void *key, size_t len, int64_t now_ms,
                  unsigned *ret_retry_s) {
    uint64_t number = key_number(limiter, key, len);
    size_t at = (size_t)(number % SETS);
    struct bucket *bucket;
    bool taken;

    pthread_mutex_lock(&limiter->locks[at % STRIPES]);
    bucket = find_bucket(limiter, limiter->buckets[at], number, now_ms);
    bucket->credit = credit_now(limiter, bucket, now_ms);
    bucket->since_ms = now_ms > bucket->since_ms ? now_ms : bucket->since_ms;
    taken = bucket->credit >= CREDIT;
    if (taken) {
        bucket->credit -= CREDIT;
    } else {
        int64_t wait_ms = (CREDIT - bucket->credit + limiter->per_ms - 1) / limiter->per_ms;
        int64_t wait_s = (wait_ms + 999) / 1000;

        *ret_retry_s = (unsigned)(wait_s > RETRY_MAX_S ? RETRY_MAX_S : wait_s);
    }
    pthread_mutex_unlock(&limiter->locks[at % STRIPES]);
    return taken;
}

void limiter_give_back(struct limiter *limiter, const void *key, size_t len, int64_t now_ms) {
    uint64_t number = key_number(limiter, key, len);
    size_t at = (size_t)(number % SETS);

    pthread_mutex_lock(&limiter->locks[at % STRIPES]);
    struct bucket *bucket = find_bucket(limiter, limiter->buckets[at], number, now_ms);
    int64_t credit = credit_now(limiter, bucket, now_ms) + CREDIT;
    bucket->credit = credit < limiter->burst ? credit : limiter->burst;
    bucket->since_ms = now_ms > bucket->since_ms ? now_ms : bucket->since_ms;
    pthread_mutex_unlock(&limiter->locks[at % STRIPES]);
}
