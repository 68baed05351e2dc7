/* What every program of ours does to its process before it begins. */
#ifndef BGPPEERD_BASE_PROCESS_H
#define BGPPEERD_BASE_PROCESS_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Whoever starts a program with standard input, output or error closed lets the next file that is opened
 * take its number: log lines would end up in the data directory's lock, or in a client's connection. The null
 * device takes their places; opened for reading, so that what is written there fails as it should. False:
 * that is not possible.
 */
bool process_hold_standard_files(void);
/* Before anything secret is read: no core dumps, no debugger, files for us alone. */
int process_harden(struct err *err) MUST_CHECK;

#endif
