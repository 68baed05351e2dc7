/*
 * See query.h. Pure functions over the tables below. A parameter of a request is judged by the first of these
 * rules that fits:
 *
 *   1. A name that differs from a known one only by case or by characters that are no letters or digits
 *      (`dryrun`, `dry_run`, `dry-run`, `dryRun[]`) is refused on every path.
 *   2. One that the route takes is taken; `pretty` is taken everywhere.
 *   3. One that would mean something to Kubernetes here, and is not served, is refused with the reason.
 *   4. On a path that Kubernetes has, one that Kubernetes knows is taken and says nothing.
 *   5. Everything else is refused where it could do harm: on paths of our own, and with every method that
 *      writes; also a known one of ours on a path that it is not for, and what is near to one that is taken.
 *   6. What is left is ignored, as Kubernetes does.
 *
 * What is taken may come twice only with the same value both times.
 */
#include "request/query.h"

#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "request/router.h"

#define SHOWN_MAX 400 /* of the list of what a path takes */

/* Kubernetes knows it as well: on its paths it may come without a meaning here. */
#define KUBERNETES true
#define OURS       false

static const struct {
    const char *text;
    bool kubernetes;
} NAMES[QUERY_COUNT] = {
    [QUERY_PRETTY] = {"pretty", KUBERNETES},
    [QUERY_TIMEOUT] = {"timeout", KUBERNETES},
    [QUERY_DRY_RUN] = {"dryRun", KUBERNETES},
    [QUERY_FIELD_MANAGER] = {"fieldManager", KUBERNETES},
    [QUERY_FIELD_VALIDATION] = {"fieldValidation", KUBERNETES},
    [QUERY_FORCE] = {"force", KUBERNETES},
    [QUERY_GRACE_PERIOD] = {"gracePeriodSeconds", KUBERNETES},
    [QUERY_ORPHANS] = {"orphanDependents", KUBERNETES},
    [QUERY_PROPAGATION] = {"propagationPolicy", KUBERNETES},
    [QUERY_IGNORE_READ_ERROR] = {"ignoreStoreReadErrorWithClusterBreakingPotential", KUBERNETES},
    [QUERY_LABELS] = {"labelSelector", KUBERNETES},
    [QUERY_FIELDS] = {"fieldSelector", KUBERNETES},
    [QUERY_LIMIT] = {"limit", KUBERNETES},
    [QUERY_CONTINUE] = {"continue", KUBERNETES},
    [QUERY_VERSION] = {"resourceVersion", KUBERNETES},
    [QUERY_VERSION_MATCH] = {"resourceVersionMatch", KUBERNETES},
    [QUERY_INCLUDE_OBJECT] = {"includeObject", KUBERNETES},
    [QUERY_WATCH] = {"watch", KUBERNETES},
    [QUERY_TIMEOUT_SECONDS] = {"timeoutSeconds", KUBERNETES},
    [QUERY_BOOKMARKS] = {"allowWatchBookmarks", KUBERNETES},
    [QUERY_INITIAL_EVENTS] = {"sendInitialEvents", KUBERNETES},
    [QUERY_VERBOSE] = {"verbose", KUBERNETES},
    [QUERY_EXCLUDE] = {"exclude", KUBERNETES},
    [QUERY_HASH] = {"hash", KUBERNETES},
    [QUERY_PREVIEW] = {"preview", OURS},
    [QUERY_WAIT] = {"wait", OURS},
    [QUERY_FORMAT] = {"format", OURS},
    [QUERY_EXPLAIN] = {"explain", OURS},
    [QUERY_PASSWORDS] = {"passwords", OURS},
    [QUERY_EVENT] = {"event", OURS},
    [QUERY_USER] = {"user", OURS},
    [QUERY_RESOURCE] = {"resource", OURS},
    [QUERY_KIND] = {"kind", OURS},
    [QUERY_NAME] = {"name", OURS},
    [QUERY_SINCE] = {"since", OURS},
    [QUERY_UNTIL] = {"until", OURS},
    [QUERY_VERDICT] = {"verdict", OURS},
    [QUERY_STATE] = {"state", OURS},
    [QUERY_NODE] = {"node", OURS},
    [QUERY_BGP_PEER] = {"bgpPeer", OURS},
    [QUERY_PEER] = {"peer", OURS},
    [QUERY_VIEW] = {"view", OURS},
    [QUERY_AFTER] = {"after", OURS},
    [QUERY_SOURCE] = {"source", OURS},
    [QUERY_SKIP_BAD] = {"skipBad", OURS},
    [QUERY_REVISION] = {"revision", OURS},
    [QUERY_AT] = {"at", OURS},
    [QUERY_FROM] = {"from", OURS},
    [QUERY_TO] = {"to", OURS},
    [QUERY_ACTOR] = {"actor", OURS},
};

/* What Kubernetes would heed and this service does not serve, by the route's verb. */
static const struct {
    const char *verb;
    enum query_name name;
    const char *why;
} REFUSED[] = {
    {"deletecollection", QUERY_LIMIT, "everything that the selectors match is deleted, in no pages"},
    {"deletecollection", QUERY_CONTINUE, "everything that the selectors match is deleted, in no pages"},
    {"deletecollection", QUERY_VERSION, "what is deleted is what is there now"},
    {"deletecollection", QUERY_VERSION_MATCH, "what is deleted is what is there now"},
    {"delete", QUERY_VERSION, "send the version in If-Match, or in the body's preconditions.resourceVersion"},
    {"delete", QUERY_LABELS, "one object is deleted by its name, whatever its labels"},
    {"delete", QUERY_FIELDS, "one object is deleted by its name, whatever its fields"},
    {"update", QUERY_VERSION, "send the version in If-Match, or in metadata.resourceVersion"},
    {"patch", QUERY_VERSION, "send the version in If-Match, or in metadata.resourceVersion"},
};

const char *query_name_text(enum query_name name) {
    return NAMES[name].text;
}

enum query_name query_find(const char *text) {
    enum query_name name = 0;
    while (name < QUERY_COUNT && strcmp(NAMES[name].text, text) != 0) {
        name++;
    }
    return name;
}

/* The next letter or digit, letters in lower case; 0: none is left. */
static char next_plain(const char **at) {
    for (; **at != '\0'; (*at)++) {
        char c = **at;
        if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            (*at)++;
            return c;
        }
    }
    return '\0';
}

static bool is_nearly(const char *text, const char *name) {
    char a, b;
    do {
        a = next_plain(&text);
        b = next_plain(&name);
    } while (a == b && a != '\0');
    return a == b;
}

/* Rule 1. QUERY_COUNT: it is like none. */
static enum query_name find_nearly(const char *text) {
    enum query_name name = 0;
    while (name < QUERY_COUNT && !is_nearly(text, NAMES[name].text)) {
        name++;
    }
    return name;
}

static bool takes(const struct route *route, enum query_name name) {
    return name == QUERY_PRETTY || (route->query & QUERY_SET(name)) != 0;
}

/* "a, b, c", or "none". */
static void list_taken(const struct route *route, char out[SHOWN_MAX]) {
    size_t len = 0;
    out[0] = '\0';
    for (enum query_name name = 0; name < QUERY_COUNT; name++) {
        if (takes(route, name) && len < SHOWN_MAX) {
            len +=
                (size_t)snprintf(out + len, SHOWN_MAX - len, "%s%s", len > 0 ? ", " : "", NAMES[name].text);
        }
    }
}

static const char *find_meant(const struct route *route, const char *text) {
    struct suggest suggest = suggest_begin(text, strlen(text));
    for (enum query_name name = 0; name < QUERY_COUNT; name++) {
        if (takes(route, name)) {
            suggest_consider(&suggest, NAMES[name].text);
        }
    }
    return suggest.meant;
}

static const char *find_refusal(const struct route *route, const struct query_item *item) {
    for (size_t i = 0; i < sizeof(REFUSED) / sizeof(REFUSED[0]); i++) {
        if (REFUSED[i].name == item->name && strcmp(REFUSED[i].verb, route->verb) == 0 &&
            item->value[0] != '\0') {
            return REFUSED[i].why;
        }
    }
    return NULL;
}

/* Rules 5 and 6. */
static int check_stranger(const struct route *route, const struct query_item *item, struct err *err) {
    const char *meant = find_meant(route, item->text);
    bool harmless = (route->flags & ROUTE_OWN) == 0 && route->method == METHOD_GET;
    if (item->name == QUERY_COUNT && meant != NULL) {
        return err_set(err, ERR_BAD_REQUEST,
                       "there is no query parameter \"%.60s\" on this path, did you mean \"%s\"?", item->text,
                       meant);
    }
    if (item->name == QUERY_COUNT && harmless) {
        return 0;
    }
    char taken[SHOWN_MAX];
    list_taken(route, taken);
    return err_set(err, ERR_BAD_REQUEST,
                   "the query parameter \"%.60s\" means nothing on this path, which takes: %s; leave it out",
                   item->text, taken);
}

static int check_one(const struct route *route, const struct query_item *item, struct err *err) {
    enum query_name nearly = item->name == QUERY_COUNT ? find_nearly(item->text) : QUERY_COUNT;
    if (nearly != QUERY_COUNT) {
        return err_set(err, ERR_BAD_REQUEST,
                       "there is no query parameter \"%.60s\", did you mean \"%s\"? Names are to be written "
                       "exactly",
                       item->text, NAMES[nearly].text);
    }
    if (item->name != QUERY_COUNT && takes(route, item->name)) {
        return 0;
    }
    const char *why = find_refusal(route, item);
    if (why != NULL) {
        return err_set(err, ERR_BAD_REQUEST, "the query parameter %s is not served with this method: %s",
                       item->text, why);
    }
    if (item->name != QUERY_COUNT && NAMES[item->name].kubernetes && (route->flags & ROUTE_OWN) == 0) {
        return 0;
    }
    return check_stranger(route, item, err);
}

int query_check(const struct route *route, const struct query_item *items, size_t count, struct err *err) {
    const char *values[QUERY_COUNT] = {NULL};
    for (size_t i = 0; i < count; i++) {
        const struct query_item *item = &items[i];
        if (check_one(route, item, err) != 0) {
            return -1;
        }
        if (item->name == QUERY_COUNT) {
            continue;
        }
        if (values[item->name] != NULL && strcmp(values[item->name], item->value) != 0) {
            return err_set(err, ERR_BAD_REQUEST,
                           "the query has %s more than once, with different values; send it once",
                           item->text);
        }
        values[item->name] = item->value;
    }
    return 0;
}
