/*
 * What a YAML scalar means. kubectl reads YAML with go-yaml v2, which is YAML 1.1 in its booleans (yes,
 * on, y) and octal numbers and 1.2 in the rest; a document must mean the same here and there. Pure
 * functions; the returned value is the caller's.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec_internal.h"

#define CORE_TAG   "tag:yaml.org,2002:"
#define NUMBER_MAX 128 /* characters of a number; longer ones are text */

static bool is_one_of(const char *text, const char *const *words) {
    for (; *words; words++) {
        if (strcmp(text, *words) == 0) {
            return true;
        }
    }
    return false;
}

static const char *const words_null[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const words_true[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                         "True", "TRUE", "on",  "On",  "ON",  NULL};
static const char *const words_false[] = {"n",     "N",     "no",  "No",  "NO",  "false",
                                          "False", "FALSE", "off", "Off", "OFF", NULL};
static const char *const words_not_finite[] = {".nan",  ".NaN",  ".NAN",  ".inf",  ".Inf",  ".INF", "+.inf",
                                               "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", NULL};

/* Go's strconv.ParseInt(text, 0, 64): sign, then 0x, 0b, 0o, 0 (octal) or decimal. */
static bool parse_integer(const char *text, json_int_t *ret) {
    bool negative = *text == '-';
    int base = 10;
    char *end;
    long long value;
    char digits[NUMBER_MAX + 2];

    text += *text == '-' || *text == '+';
    if (text[0] == '0' && text[1] != '\0') {
        char form = text[2] != '\0' ? (char)(text[1] | 0x20) : '\0';

        base = form == 'x' ? 16 : form == 'b' ? 2 : 8;
        text += form == 'x' || form == 'b' || form == 'o' ? 2 : 1;
    }
    /* strtoll would take a second sign, blanks, or a second 0x. */
    if (strspn(text, "0123456789abcdefABCDEF") != strlen(text) || *text == '\0') {
        return false;
    }
    snprintf(digits, sizeof digits, "%s%s", negative ? "-" : "", text);
    errno = 0;
    value = strtoll(digits, &end, base);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *ret = value;
    return true;
}

/* [-+]? digits with an optional point, and an optional exponent. */
static bool looks_real(const char *text) {
    size_t whole, fraction = 0;

    text += *text == '-' || *text == '+';
    whole = strspn(text, "0123456789");
    text += whole;
    if (*text == '.') {
        text++;
        fraction = strspn(text, "0123456789");
        text += fraction;
    }
    if (whole == 0 && fraction == 0) {
        return false;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '-' || *text == '+';
        if (strspn(text, "0123456789") == 0) {
            return false;
        }
        text += strspn(text, "0123456789");
    }
    return *text == '\0';
}

/* On its way kubectl turns numbers into JSON, where 64512.0 is written 64512. */
static json_t *number_from_real(double value) {
    if (fabs(value) < 9007199254740992.0 && !(value < trunc(value)) && !(value > trunc(value))) {
        return json_integer((json_int_t)value);
    }
    return json_real(value);
}

/* The number that `text` is, or false. *ret is NULL when memory is out. */
static bool parse_number(const char *text, size_t len, json_t **ret) {
    char plain[NUMBER_MAX + 1];
    size_t n = 0;
    json_int_t integer;
    bool point_first = text[0] == '.';

    if (len > NUMBER_MAX || !strchr("+-.0123456789", text[0])) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '_' || point_first) {
            plain[n++] = text[i];
        }
    }
    plain[n] = '\0';
    if (!point_first && parse_integer(plain, &integer)) {
        *ret = json_integer(integer);
        return true;
    }
    if (looks_real(plain)) {
        double value = strtod(plain, NULL);

        if (isfinite(value)) {
            *ret = number_from_real(value);
            return true;
        }
    }
    return false;
}

static json_t *plain_value(const char *text, size_t len, char *why, size_t why_len) {
    json_t *number = NULL;

    if (is_one_of(text, words_null)) {
        return json_null();
    }
    if (is_one_of(text, words_true)) {
        return json_true();
    }
    if (is_one_of(text, words_false)) {
        return json_false();
    }
    if (is_one_of(text, words_not_finite)) {
        snprintf(why, why_len, "%s has no JSON form; put it in quotes if it is a text", text);
        return NULL;
    }
    if (parse_number(text, len, &number)) {
        return number;
    }
    return json_stringn_nocheck(text, len);
}

/* Does a resolved value suit the !!tag that was written in front of it? */
static bool suits_tag(const json_t *value, const char *name) {
    return (strcmp(name, "null") == 0 && json_is_null(value)) ||
           (strcmp(name, "bool") == 0 && json_is_boolean(value)) ||
           (strcmp(name, "int") == 0 && json_is_integer(value)) ||
           (strcmp(name, "float") == 0 && json_is_number(value));
}

json_t *yaml_scalar(const char *text, size_t len, bool plain, const char *tag, char *why, size_t why_len) {
    const char *name;
    json_t *value;

    why[0] = '\0';
    if (memchr(text, '\0', len)) {
        snprintf(why, why_len, "\\0 (NUL) cannot be part of a string");
        return NULL;
    }
    if (!tag) {
        return plain ? plain_value(text, len, why, why_len) : json_stringn_nocheck(text, len);
    }
    if (strcmp(tag, "!") == 0 || strcmp(tag, CORE_TAG "str") == 0) {
        return json_stringn_nocheck(text, len);
    }
    name = strncmp(tag, CORE_TAG, strlen(CORE_TAG)) == 0 ? tag + strlen(CORE_TAG) : "";
    if (strcmp(name, "null") != 0 && strcmp(name, "bool") != 0 && strcmp(name, "int") != 0 &&
        strcmp(name, "float") != 0) {
        snprintf(why, why_len,
                 tag[0] == '!'
                     ? "a text that begins with \"!\" must be put in quotes, or YAML takes it for a tag"
                     : "the tag of this value is not supported (!!str, !!int, !!float, !!bool, !!null "
                       "are); remove it");
        return NULL;
    }
    value = plain_value(text, len, why, why_len);
    if (value && !suits_tag(value, name)) {
        json_decref(value);
        snprintf(why, why_len, "this value is not what its tag !!%s says", name);
        return NULL;
    }
    return value;
}
