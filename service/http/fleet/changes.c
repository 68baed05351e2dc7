/*
 * What was changed, by whom and why: the store's change log as history, the newest first, in pages that go on
 * below a revision.
 *
 * It is read from the disk, so on a worker's thread. A page looks at no more than CHANGES_ROWS_MAX rows and
 * CHANGES_BYTES_MAX bytes of bodies, however few of them are wanted: a page may be empty and go on. Bodies
 * are never shown.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "fleet/change_rows.h"
#include "fleet/change_totals.h"
#include "fleet/handlers.h"
#include "fleet/moment.h"
#include "machine/worker.h"
#include "request/media.h"
#include "request/params.h"
#include "request/reply.h"
#include "request/serving.h"

#define CHANGES_PAGE      100
#define CHANGES_PAGE_MAX  1000
#define CHANGES_ROWS_MAX  2000
#define CHANGES_BYTES_MAX ((size_t)16 << 20)

/* What was changed together, as far as it is wanted and on this page. */
struct change_item {
    struct change_head head; /* `last` is of the newest of its objects */
    bool has_first;          /* its first row was seen, which is the one with request and reason */
    size_t count;
    struct change_totals totals;
    struct buf objects;      /* the elements of a JSON array */
    const char *kind, *name; /* of the newest of them */
    enum store_op op;
};

struct changes {
    const char *kind, *name, *actor; /* NULL: all */
    struct moment since, until;
    uint64_t below; /* the page's; 0: none */
    size_t limit;
    bool table;

    struct arena *arena;
    struct change_item *items; /* room for `limit` */
    size_t count;
    size_t rows, bytes; /* looked at */
    uint64_t last;      /* the last row that was looked at and is told or unwanted */
    bool full;          /* there may be more below `last` */
    uint64_t revision;  /* the store's */
};

/* ---- parameters ---- */

static int read_changes_query(struct request *request, struct changes *changes, struct err *err) {
    enum media_answer answer;
    uint64_t limit = CHANGES_PAGE;
    if (media_accept(request_header(request, HEADER_ACCEPT), &answer, err) != 0 ||
        moment_read(request, QUERY_SINCE, &changes->since, err) != 0 ||
        moment_read(request, QUERY_UNTIL, &changes->until, err) != 0 ||
        param_number(request, QUERY_LIMIT, CHANGES_PAGE_MAX, &limit, err) != 0 ||
        param_number(request, QUERY_CONTINUE, INT64_MAX, &changes->below, err) != 0) {
        return -1;
    }
    changes->limit = (size_t)limit;
    changes->table = answer == MEDIA_TABLE;
    changes->name = param_text(request, QUERY_NAME);
    changes->kind = param_text(request, QUERY_KIND);
    changes->actor = param_text(request, QUERY_ACTOR);
    if (changes->kind != NULL && kind_by_name(changes->kind) == NULL) {
        return err_set(err, ERR_BAD_REQUEST,
                       "kind=%.50s is not one of Node, BGPPeer, BGPConfiguration, BGPFilter, Secret",
                       changes->kind);
    }
    return 0;
}

/* ---- reading, on the worker ---- */

static bool is_wanted(const struct changes *changes, const struct store_change *change) {
    return (changes->kind == NULL || strcmp(changes->kind, change->kind) == 0) &&
           (changes->name == NULL || strcmp(changes->name, change->name) == 0) &&
           (changes->actor == NULL || strcmp(changes->actor, change->actor) == 0);
}

static int note_first(struct changes *changes, struct change_item *item, const struct store_change *change,
                      struct err *err) {
    item->has_first = true;
    item->head.request = arena_strdup(changes->arena, change->request);
    item->head.reason = arena_strdup(changes->arena, change->reason);
    return item->head.request == NULL || item->head.reason == NULL ? err_no_memory(err) : 0;
}

static struct change_item *add_item(struct changes *changes, const struct store_change *change) {
    struct change_item *item = &changes->items[changes->count];
    *item = (struct change_item){.head = {.txn = change->txn,
                                          .last = change->revision,
                                          .time_ms = change->time_ms,
                                          .actor = arena_strdup(changes->arena, change->actor),
                                          .request = "",
                                          .reason = ""},
                                 .objects = BUF_INIT,
                                 .kind = arena_strdup(changes->arena, change->kind),
                                 .name = arena_strdup(changes->arena, change->name),
                                 .op = change->op};
    if (item->head.actor == NULL || item->kind == NULL || item->name == NULL) {
        return NULL;
    }
    changes->count++;
    return item;
}

static void add_object(struct change_item *item, const struct store_change *change) {
    const struct change_row row = {
        .op = change->op, .kind = change->kind, .name = change->name, .revision = change->revision};
    change_row_write(&row, &item->objects);
    item->count++;
}

/* Stops the reading with a failure when the page is full. */
static int take_row(void *arg, const struct store_change *change, struct err *err) {
    struct changes *changes = arg;
    struct change_item *item = changes->count > 0 ? &changes->items[changes->count - 1] : NULL;
    bool wanted = is_wanted(changes, change);
    if (item != NULL && item->head.txn != change->txn) {
        item = NULL;
    }
    if (changes->rows == CHANGES_ROWS_MAX || changes->bytes >= CHANGES_BYTES_MAX ||
        (wanted && item == NULL && changes->count == changes->limit)) {
        changes->full = true;
        return err_set(err, ERR_TOO_LARGE, "the page is full");
    }
    changes->rows++;
    changes->bytes += change->body_len;
    changes->last = change->revision;
    if (wanted) {
        if (item == NULL && (item = add_item(changes, change)) == NULL) {
            return err_no_memory(err);
        }
        add_object(item, change);
    }
    return item != NULL && change->revision == change->txn ? note_first(changes, item, change, err) : 0;
}

static int take_first(void *arg, const struct store_change *change, struct err *err) {
    struct changes *changes = arg;
    struct change_item *item = &changes->items[changes->count];
    return note_first(changes, item, change, err);
}

/* Request and reason of those whose first row is not wanted, or on a later page. */
static int find_firsts(struct state *state, struct changes *changes, struct err *err) {
    size_t count = changes->count;
    int result = 0;
    for (size_t i = 0; result == 0 && i < count; i++) {
        const struct change_item *item = &changes->items[i];
        if (!item->has_first && item->head.txn > 0) {
            changes->count = i; /* which item take_first fills */
            result =
                state_read_history(state,
                                   &(struct store_history_query){
                                       .after = item->head.txn - 1, .below = item->head.txn + 1, .limit = 1},
                                   take_first, changes, err);
        }
    }
    changes->count = count;
    return result;
}

static int read_page(struct state *state, struct changes *changes, struct err *err) {
    struct store_status status;
    uint64_t after = 0;
    uint64_t upto = 0;
    if (state_store_status(state, &status, err) != 0 ||
        (changes->since.given && moment_before(state, &status, &changes->since, "since", &after, err) != 0) ||
        (changes->until.given && moment_before(state, &status, &changes->until, "until", &upto, err) != 0)) {
        return -1;
    }
    changes->revision = status.revision;
    if (changes->below != 0 && changes->below <= status.past) {
        return moment_gone(&status, "continue", err);
    }
    struct store_history_query query = {
        .after = after, .below = changes->below, .limit = CHANGES_ROWS_MAX + 1};
    if (changes->until.given && (query.below == 0 || upto + 1 < query.below)) {
        query.below = upto + 1;
    }
    if (changes->kind != NULL && changes->name != NULL) {
        query.kind = changes->kind; /* there is an index of both; all others are counted here */
        query.name = changes->name;
    }
    if (state_read_history(state, &query, take_row, changes, err) != 0) {
        if (!changes->full) {
            return -1;
        }
        err_clear(err);
    }
    return find_firsts(state, changes, err);
}

/* What each of them did to sessions. A change that the compaction has just taken is left without. */
static int count_totals(struct state *state, struct changes *changes, struct err *err) {
    struct totals_walk walk = {.picture = NULL};
    int result = 0;
    for (size_t i = 0; result == 0 && i < changes->count; i++) {
        result = totals_count(state, &walk, changes->items[i].head.txn, changes->arena,
                              &changes->items[i].totals, err);
    }
    totals_done(&walk);
    if (result != 0 && err->code == ERR_EXPIRED) {
        err_clear(err);
        result = 0;
    }
    return result;
}

static int find_changes(struct request *request, struct err *err) {
    struct changes *changes = request->work;
    struct state *state = request->serving->state;
    if (read_page(state, changes, err) != 0) {
        return -1;
    }
    return changes->table ? 0 : count_totals(state, changes, err);
}

/* ---- the answer ---- */

static void add_totals(struct buf *out, const struct change_totals *totals) {
    if (!totals->known) {
        return;
    }
    buf_json_key(out, "totals");
    buf_add_char(out, '{');
    buf_json_member_u64(out, "nodes", totals->nodes);
    buf_json_member_u64(out, "added", totals->sum.added);
    buf_json_member_u64(out, "removed", totals->sum.removed);
    buf_json_member_u64(out, "changed", totals->sum.changed);
    buf_json_member_u64(out, "disruptive", totals->sum.disruptive);
    buf_add_char(out, '}');
}

static void add_item_json(struct buf *out, const struct change_item *item) {
    buf_json_comma(out);
    change_head_write(&item->head, out);
    buf_json_key(out, "objects");
    buf_add_char(out, '[');
    buf_add(out, item->objects.data, item->objects.len);
    buf_add_char(out, ']');
    add_totals(out, &item->totals);
    buf_add_char(out, '}');
}

static void add_item_row(struct buf *out, const struct change_item *item) {
    char time[CLOCK_TEXT_MAX];
    clock_format_millis(item->head.time_ms, time);
    buf_json_comma(out);
    buf_printf(out, "{\"cells\":[\"%" PRIu64 "\",\"%s\",", item->head.txn, time);
    buf_add_json_str(out, item->head.actor);
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s %s/%s", change_row_op(item->op), item->kind, item->name);
    if (item->count > 1) {
        buf_printf(&text, " and %zu more", item->count - 1);
    }
    buf_add_char(out, ',');
    buf_add_json(out, text.data, text.len);
    out->failed = out->failed || buf_failed(&text);
    buf_done(&text);
    buf_add_char(out, ',');
    buf_add_json_str(out, item->head.reason);
    buf_add_char(out, ',');
    buf_add_json_str(out, item->head.request);
    buf_printf(out,
               "],\"object\":{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\","
               "\"metadata\":{\"name\":\"%" PRIu64 "\"}}}",
               item->head.txn);
}

static void add_columns(struct buf *out) {
    static const struct {
        const char *name, *description;
        unsigned priority;
    } COLUMNS[] = {
        {"Change", "The revision of the first of what was changed together.", 0},
        {"Time", "When it was stored.", 0},
        {"Actor", "Who did it.", 0},
        {"What", "The newest of its objects, and how many others there are.", 0},
        {"Reason", "Why, in the caller's words.", 0},
        {"Request", "The X-Request-Id of the request.", 1},
    };
    buf_add_char(out, '[');
    for (size_t i = 0; i < sizeof(COLUMNS) / sizeof(COLUMNS[0]); i++) {
        buf_json_comma(out);
        buf_add_char(out, '{');
        buf_json_member_str(out, "name", COLUMNS[i].name);
        buf_json_member_str(out, "type", "string");
        buf_json_member_str(out, "format", "");
        buf_json_member_str(out, "description", COLUMNS[i].description);
        buf_json_member_u64(out, "priority", COLUMNS[i].priority);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

static void write_page(const struct changes *changes, struct buf *out) {
    buf_add_str(out, changes->table
                         ? "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{"
                         : "{\"kind\":\"ChangeList\",\"apiVersion\":\"bgppeerd.io/v1\",\"metadata\":{");
    buf_printf(out, "\"resourceVersion\":\"%" PRIu64 "\"", changes->revision);
    if (changes->full) {
        buf_printf(out, ",\"continue\":\"%" PRIu64 "\"", changes->last);
    }
    buf_add_char(out, '}');
    if (changes->table) {
        buf_json_key(out, "columnDefinitions");
        add_columns(out);
    }
    buf_json_key(out, changes->table ? "rows" : "items");
    buf_add_char(out, '[');
    for (size_t i = 0; i < changes->count; i++) {
        const struct change_item *item = &changes->items[i];
        (changes->table ? add_item_row : add_item_json)(out, item);
        out->failed = out->failed || buf_failed(&item->objects);
    }
    buf_add_str(out, "]}");
}

static void changes_cleanup(struct request *request) {
    struct changes *changes = request->work;
    for (size_t i = 0; i < changes->count; i++) {
        buf_done(&changes->items[i].objects);
    }
}

static int changes_answer(struct request *request, struct err *err) {
    struct changes *changes = request->work;
    struct buf body = BUF_INIT;
    write_page(changes, &body);
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return result;
}

int handle_changes(struct request *request, struct err *err) {
    struct changes *changes = arena_alloc(&request->arena, sizeof(*changes));
    if (changes == NULL) {
        return err_no_memory(err);
    }
    *changes = (struct changes){.arena = &request->arena};
    if (read_changes_query(request, changes, err) != 0) {
        return -1;
    }
    changes->items = arena_array(&request->arena, changes->limit, sizeof(*changes->items));
    if (changes->items == NULL) {
        return err_no_memory(err);
    }
    request->work = changes;
    request->cleanup = changes_cleanup;
    return worker_compute(request->serving->worker, request, find_changes, changes_answer, err);
}
