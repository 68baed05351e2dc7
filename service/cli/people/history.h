/* One change in detail, for the command that lists them. */
#ifndef BGPPEERD_CLI_PEOPLE_HISTORY_H
#define BGPPEERD_CLI_PEOPLE_HISTORY_H

#include <jansson.h>

struct people;

/* The answer of GET …/changes/{txn} as text. */
void history_show_change(struct people *people, const json_t *answer);

#endif
