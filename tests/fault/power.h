/*
 * Power loss. The functions that change files are replaced for the whole test program: while it records,
 * every write, truncation, creation, renaming, deletion and sync below one directory is kept, in order. From
 * that, power_image makes directories as a machine could have left them that lost power at some moment.
 *
 * What had been synced is there. Of what had not, anything may be there: each sector of 512 bytes of each
 * write by itself, truncations, and of the directory's entries any number in their order. A file's sync says
 * nothing about its name, which wants the directory's.
 *
 * Recording is thread-safe; all else is the test's one thread.
 */
#ifndef BGPPEERD_TESTS_FAULT_POWER_H
#define BGPPEERD_TESTS_FAULT_POWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Record what happens in `dir`, which is empty and has no folders. Forgets what was recorded before. */
void power_record(const char *dir);
void power_stop(void);
void power_forget(void);
/* How much was recorded; moments are 0 … power_moments(). */
size_t power_moments(void);

/* Note that `number` has been acknowledged. */
void power_acknowledge(uint64_t number);
/* The newest number that was acknowledged before `moment`; 0 = none. */
uint64_t power_acknowledged(size_t moment);

/* Pretend that the program had never synced files, or directories: what must then be lost shows that the test
 * would notice. */
extern bool power_without_file_syncs;
extern bool power_without_directory_syncs;

enum power_luck {
    POWER_NOTHING, /* nothing that was not synced */
    POWER_ALL,     /* everything */
    POWER_PREFIX,  /* of each file's changes, those up to some moment */
    POWER_SECTORS, /* any sectors */
    POWER_LUCK_COUNT
};
/* Make the files in the existing, empty directory `dir` as they could be after a loss at `moment`. */
void power_image(const char *dir, size_t moment, enum power_luck luck, uint64_t seed);

#endif
