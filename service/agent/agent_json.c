/* Members of JSON trees. No state besides jansson's allocator. */
#include "agent_json.h"

#include <string.h>

#include "base/alloc.h"
#include "base/number.h"
#include "session.h"

void agent_json_start(void) {
    json_set_alloc_funcs(base_wiping_malloc, base_wiping_free);
    json_object_seed(0);
}

int agent_json_read(const char *text, size_t len, const char *what, json_t **ret, struct err *err) {
    json_error_t error;
    *ret = json_loadb(text, len, 0, &error);
    if (*ret != NULL) {
        return 0;
    }
    /* jansson's own message quotes the text, which may hold a password. */
    return err_set(err, ERR_UNAVAILABLE, "%s is not JSON (line %d, column %d)", what, error.line,
                   error.column);
}

const json_t *agent_json_member(const json_t *object, const char *key) {
    return json_is_object(object) ? json_object_get(object, key) : NULL;
}

const char *agent_json_text(const json_t *object, const char *key) {
    const char *text = json_string_value(agent_json_member(object, key));
    return text != NULL ? text : "";
}

uint64_t agent_json_number(const json_t *object, const char *key, uint64_t otherwise) {
    const json_t *value = agent_json_member(object, key);
    uint64_t number;
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        return (uint64_t)json_integer_value(value);
    }
    const char *text = json_string_value(value);
    return text != NULL && u64_parse(text, strlen(text), INT64_MAX, &number) ? number : otherwise;
}

bool agent_json_is_set(const json_t *object, const char *key) {
    const json_t *value = agent_json_member(object, key);
    return json_is_true(value) || (json_is_integer(value) && json_integer_value(value) != 0);
}

int expected_read_json(const char *text, size_t len, struct expected *ret, struct err *err) {
    json_t *list = NULL;
    if (agent_json_read(text, len, "the service's answer", &list, err) != 0) {
        err->code = ERR_BAD_REQUEST;
        return -1;
    }
    int result = strcmp(agent_json_text(list, "kind"), "PeeringList") == 0
                     ? 0
                     : err_set(err, ERR_BAD_REQUEST, "the service's answer is no PeeringList");
    if (result == 0) {
        const json_t *metadata = agent_json_member(list, "metadata");
        struct expected expected = {.revision = agent_json_number(metadata, "resourceVersion", 0)};
        const char *node = agent_json_text(metadata, "node");
        if (strlen(node) < sizeof(expected.node)) {
            memcpy(expected.node, node, strlen(node) + 1);
        }
        *ret = expected;
    }
    json_decref(list);
    return result;
}
