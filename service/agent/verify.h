/* Seeing from the running daemon that a change was taken, and that what it runs is safe. */
#ifndef BGPPEERD_AGENT_VERIFY_H
#define BGPPEERD_AGENT_VERIFY_H

#include "driver.h"

/*
 * Ask the daemon until it runs the change: every session of the file is there, those that the change does not
 * touch are as they were, none that is disabled is up, none runs without its key. ERR_UNAVAILABLE when that
 * is not so within the settings' confirm_seconds, or when a session had to be shut down, and why.
 */
int verify_change(struct host *host, const struct change *change, struct err *err) MUST_CHECK;

/*
 * Sessions that run in a way they must not: without the key or the GTSM that the file demands. They are shut
 * down; ERR_INVALID names the first. 0: there is none.
 */
int verify_guard(struct host *host, const struct expected *expected, const struct session_list *sessions,
                 struct err *err) MUST_CHECK;

#endif
