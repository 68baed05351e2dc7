/*
 * Numbered batches: what a store holds after batch b is known from b alone, so a store can be asked whether
 * it holds the batches 1 … b completely and no part of any other. For tests that end a process, or a machine.
 */
#ifndef BGPPEERD_TESTS_FAULT_STORE_BATCHES_H
#define BGPPEERD_TESTS_FAULT_STORE_BATCHES_H

#include "store.h"

/* Commit batch `b` (≥ 1, in order); now and then the change log is compacted as well. */
int batches_commit(struct store *store, uint64_t b, struct err *err) MUST_CHECK;

/* Which batch came last? -1: the store does not hold exactly the batches up to one that is `acknowledged` or
 * the next. */
int batches_check(struct store *store, uint64_t acknowledged, uint64_t *ret_last, struct err *err) MUST_CHECK;

#endif
