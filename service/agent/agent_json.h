/*
 * JSON from outside, by jansson: reading members that may not be there, or of another type. Trees may hold
 * passwords; agent_json_start gives jansson memory that is wiped.
 */
#ifndef BGPPEERD_AGENT_JSON_H
#define BGPPEERD_AGENT_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Once, before the first use. */
void agent_json_start(void);
/* A tree, for json_decref. `what` names the text in messages. ERR_UNAVAILABLE: it is not JSON. */
int agent_json_read(const char *text, size_t len, const char *what, json_t **ret, struct err *err) MUST_CHECK;
/* A member of an object; NULL: there is none, or `object` is none. */
const json_t *agent_json_member(const json_t *object, const char *key);
/* The value of a string member, or "". */
const char *agent_json_text(const json_t *object, const char *key);
/* The value of a number that is not negative, or of a string of digits; else `otherwise`. */
uint64_t agent_json_number(const json_t *object, const char *key, uint64_t otherwise);
/* True, or a number that is not 0. */
bool agent_json_is_set(const json_t *object, const char *key);

#endif
