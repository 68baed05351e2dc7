/*
 * The file `high-water` beside the database: how far the store had come, kept apart from the store. Damage
 * that looks like an older state of the database (a log that ends too early, a copy put back by hand) is
 * known by it.
 */
#ifndef BGPPEERD_STORE_HIGH_WATER_H
#define BGPPEERD_STORE_HIGH_WATER_H

#include <stdint.h>

#include "base/err.h"

#define HIGH_WATER_FILE "/high-water"
#define STORE_UUID_SIZE 16

struct high_water {
    unsigned char uuid[STORE_UUID_SIZE]; /* of the database */
    uint64_t revision;                   /* the newest that was acknowledged */
    uint64_t commits;                    /* transactions so far, of all kinds */
};

enum high_water_state { HIGH_WATER_NONE, HIGH_WATER_WHOLE, HIGH_WATER_DAMAGED };

/* Look at the one in `dir`. *ret is set when it is whole. */
int high_water_read(const char *dir, struct high_water *ret, enum high_water_state *ret_state,
                    struct err *err) MUST_CHECK;
/* Open it for high_water_raise and make it say `mark`; what is missing or damaged is replaced in one step. */
int high_water_open(const char *dir, const struct high_water *mark, int *ret_fd, struct err *err) MUST_CHECK;
/* Overwrite it, after the transaction is on disk. An errno, 0 = done. */
int high_water_raise(int fd, const struct high_water *mark) MUST_CHECK;

#endif
