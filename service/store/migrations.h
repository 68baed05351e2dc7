/*
 * The schema migrations, embedded at build time from migrations/NNNN-name.sql by
 * embed-migrations.sh, in ascending order: migrations[i].number == i + 1.
 */
#ifndef BGPPEERD_STORE_MIGRATIONS_H
#define BGPPEERD_STORE_MIGRATIONS_H

#include <stddef.h>

struct migration {
    unsigned number;
    const char *name;
    const char *checksum; /* SHA-256 of the file, 64 hex digits */
    const char *sql;
};

extern const struct migration migrations[];
extern const size_t migration_count;

#endif
