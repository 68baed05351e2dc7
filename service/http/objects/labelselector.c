/*
 * Label selectors: one pass over the text, without a token list.
 *
 * Pure; everything lives in the caller's arena. Keys and values are held to the syntax that labels
 * themselves have, so a typing error is an error and not an empty list.
 */
#include "objects/labelselector.h"

#include <stdint.h>
#include <string.h>

#include "base/number.h"
#include "model/object.h"

#define SELECTOR_VALUES 256 /* values of one "in (…)" */

struct parser {
    const char *text;
    const char *at;
    struct arena *arena;
    struct err *err;
};

static int expected(struct parser *p, const char *what) {
    size_t offset = (size_t)(p->at - p->text);
    /* Whoever writes these has the selectors of BGPPeers in mind. */
    bool foreign = *p->at != '\0' && strchr("('\"&|", *p->at) != NULL && strcmp(what, "'('") != 0;
    return err_set_offset(
        p->err, ERR_BAD_REQUEST, offset,
        "unable to parse the labelSelector \"%.200s\": expected %s at byte %zu%s", p->text, what, offset,
        foreign ? "; a labelSelector is written rack=a,tier in (x,y): without quotes, has(), "
                  "all(), && and ||"
                : "");
}

static void skip_blanks(struct parser *p) {
    p->at += strspn(p->at, " \t\r\n");
}

/* A run of characters that are not the language's own. */
static size_t word_len(const char *at) {
    return strcspn(at, " \t\r\n,()=!<>");
}

static int parse_key(struct parser *p, const char **ret) {
    skip_blanks(p);
    size_t len = word_len(p->at);
    if (!label_key_is_valid(p->at, len)) {
        return expected(p, "a label key ([prefix/]name: letters, digits, '-', '_', '.', at most 63)");
    }
    *ret = arena_strndup(p->arena, p->at, len);
    if (*ret == NULL) {
        return err_no_memory(p->err);
    }
    p->at += len;
    return 0;
}

static int parse_value(struct parser *p, const char **ret) {
    skip_blanks(p);
    size_t len = word_len(p->at);
    if (!label_value_is_valid(p->at, len)) {
        return expected(p, "a label value (letters, digits, '-', '_', '.', at most 63, or nothing)");
    }
    *ret = arena_strndup(p->arena, p->at, len);
    if (*ret == NULL) {
        return err_no_memory(p->err);
    }
    p->at += len;
    return 0;
}

static int parse_set(struct parser *p, struct label_requirement *requirement) {
    skip_blanks(p);
    if (*p->at != '(') {
        return expected(p, "'('");
    }
    size_t room = 1;
    for (const char *c = p->at; *c != '\0' && *c != ')'; c++) {
        room += *c == ',';
    }
    if (room > SELECTOR_VALUES) {
        return err_set(p->err, ERR_BAD_REQUEST, "the labelSelector lists more than %d values for \"%s\"",
                       SELECTOR_VALUES, requirement->key);
    }
    requirement->values = arena_array(p->arena, room, sizeof(*requirement->values));
    if (requirement->values == NULL) {
        return err_no_memory(p->err);
    }
    do {
        p->at++; /* '(' or ',' */
        if (parse_value(p, &requirement->values[requirement->value_count]) != 0) {
            return -1;
        }
        requirement->value_count++;
        skip_blanks(p);
    } while (*p->at == ',');
    if (*p->at != ')') {
        return expected(p, "',' or ')'");
    }
    p->at++;
    return 0;
}

static int parse_one_value(struct parser *p, struct label_requirement *requirement) {
    requirement->values = arena_array(p->arena, 1, sizeof(*requirement->values));
    if (requirement->values == NULL) {
        return err_no_memory(p->err);
    }
    requirement->value_count = 1;
    return parse_value(p, &requirement->values[0]);
}

static int parse_bound(struct parser *p, struct label_requirement *requirement) {
    skip_blanks(p);
    size_t len = word_len(p->at);
    if (!u64_parse(p->at, len, INT64_MAX, &requirement->bound)) {
        return expected(p, "a whole number, with which > and < compare");
    }
    p->at += len;
    return 0;
}

static bool take(struct parser *p, const char *token) {
    size_t len = strlen(token);
    if (strncmp(p->at, token, len) != 0) {
        return false;
    }
    p->at += len;
    return true;
}

static int parse_operator(struct parser *p, struct label_requirement *requirement) {
    skip_blanks(p);
    if (*p->at == '\0' || *p->at == ',') {
        requirement->op = LABEL_EXISTS;
        return 0;
    }
    if (take(p, "!=")) {
        requirement->op = LABEL_NOT_IN;
        return parse_one_value(p, requirement);
    }
    if (take(p, "==") || take(p, "=")) {
        requirement->op = LABEL_IN;
        return parse_one_value(p, requirement);
    }
    if (take(p, ">")) {
        requirement->op = LABEL_GREATER;
        return parse_bound(p, requirement);
    }
    if (take(p, "<")) {
        requirement->op = LABEL_LESS;
        return parse_bound(p, requirement);
    }
    size_t len = word_len(p->at);
    if (len == 2 && take(p, "in")) {
        requirement->op = LABEL_IN;
        return parse_set(p, requirement);
    }
    if (len == 5 && take(p, "notin")) {
        requirement->op = LABEL_NOT_IN;
        return parse_set(p, requirement);
    }
    return expected(p, "'=', '==', '!=', '>', '<', 'in', 'notin', ',' or the end");
}

static int parse_requirement(struct parser *p, struct label_requirement *requirement) {
    skip_blanks(p);
    if (*p->at == '!') {
        p->at++;
        requirement->op = LABEL_ABSENT;
        return parse_key(p, &requirement->key);
    }
    if (parse_key(p, &requirement->key) != 0) {
        return -1;
    }
    return parse_operator(p, requirement);
}

int labelselector_parse(const char *text, struct arena *arena, struct labelselector *ret, struct err *err) {
    struct parser parser = {.text = text, .at = text, .arena = arena, .err = err};
    struct label_requirement *first = NULL;
    struct label_requirement **link = &first;
    skip_blanks(&parser);
    while (*parser.at != '\0') {
        struct label_requirement *requirement = arena_alloc(arena, sizeof(*requirement));
        if (requirement == NULL) {
            return err_no_memory(err);
        }
        if (parse_requirement(&parser, requirement) != 0) {
            return -1;
        }
        *link = requirement;
        link = &requirement->next;
        skip_blanks(&parser);
        if (*parser.at == '\0') {
            break;
        }
        if (*parser.at != ',') {
            return expected(&parser, "',' or the end");
        }
        parser.at++;
        skip_blanks(&parser);
        if (*parser.at == '\0') {
            return expected(&parser, "another requirement");
        }
    }
    ret->requirements = first;
    return 0;
}

static bool has_value(const struct label_requirement *requirement, const char *value) {
    for (size_t i = 0; i < requirement->value_count; i++) {
        if (strcmp(requirement->values[i], value) == 0) {
            return true;
        }
    }
    return false;
}

/* A label that is no whole number is neither greater nor less. */
static bool is_beyond(const struct label_requirement *requirement, const char *value) {
    uint64_t number;
    return value != NULL && u64_parse(value, strlen(value), INT64_MAX, &number) &&
           (requirement->op == LABEL_GREATER ? number > requirement->bound : number < requirement->bound);
}

bool labelselector_matches(const struct labelselector *selector, const struct label_set *labels) {
    for (const struct label_requirement *r = selector->requirements; r != NULL; r = r->next) {
        const char *value = label_set_get(labels, r->key);
        bool holds = false;
        switch (r->op) {
        case LABEL_EXISTS:
            holds = value != NULL;
            break;
        case LABEL_ABSENT:
            holds = value == NULL;
            break;
        case LABEL_IN:
            holds = value != NULL && has_value(r, value);
            break;
        case LABEL_NOT_IN:
            holds = value == NULL || !has_value(r, value);
            break;
        case LABEL_GREATER:
        case LABEL_LESS:
            holds = is_beyond(r, value);
            break;
        }
        if (!holds) {
            return false;
        }
    }
    return true;
}
