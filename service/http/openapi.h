/* The API's description, generated at build time from the field tables. */
#ifndef BGPPEERD_HTTP_OPENAPI_H
#define BGPPEERD_HTTP_OPENAPI_H

#include <stddef.h>

extern const char openapi_json[];
extern const size_t openapi_json_len;

#endif
