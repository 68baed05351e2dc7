/*
 * YAML 1.2 block style of a JSON value, for people to read: part of the build-time program openapi-gen.
 */
#ifndef BGPPEERD_API_YAML_WRITER_H
#define BGPPEERD_API_YAML_WRITER_H

#include <jansson.h>
#include <stdio.h>

/* Members keep their order. Errors of the stream stay with the stream (ferror). */
void yaml_write(json_t *value, FILE *out);

#endif
