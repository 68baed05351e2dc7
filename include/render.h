/*
 * Render: a node's peering list as the configuration file of a BGP daemon.
 *
 * A pure function of the list: no I/O, no locks, no clock. Equal lists give equal bytes. What a daemon cannot
 * express is reported, and the session is disabled where going without it would be less safe. Nothing that a
 * resource says can end its string, its line or its comment. A withheld session is never opened.
 *
 * By default a node announces its own prefixes only, and a route reflector passes on what it has learned to
 * its internal peers. The `Accept` of a BGPFilter may announce more, as in Calico.
 */
#ifndef BGPPEERD_RENDER_H
#define BGPPEERD_RENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "peering.h"

/* Part of every ETag: it moves when the same list is written differently than before. */
#define RENDER_VERSION 1

/* Those that have a column of their own in the table of fields. */
enum render_daemon { RENDER_BIRD, RENDER_FRR, RENDER_GOBGP, RENDER_OPENBGPD, RENDER_DAEMON_COUNT };

struct render_writer;

/* A format that a list can be had in. */
struct render_format {
    const char *name;                   /* what format= says: "bird2" */
    const char *media_type;             /* what Accept says: "text/vnd.bgppeerd.bird2" */
    const char *title;                  /* for people: "BIRD 2" */
    const char *tag;                    /* what entity tags of this format end in */
    const struct render_writer *writer; /* the room's own; NULL: the list itself, as JSON */
};

/* There are never more. */
#define RENDER_FORMATS_MAX 8
/* All of them, in the order in which they are told to people; JSON is the first. Static. */
const struct render_format *render_formats(size_t *ret_count);
/* NULL: there is none of that name, or of that media type (in any case, without parameters). */
const struct render_format *render_format_by_name(const char *name);
const struct render_format *render_format_by_media_type(const char *type, size_t len);

/* ---- what a daemon can express ---- */

enum render_support {
    RENDER_OK,
    RENDER_LEFT_OUT, /* the session goes without it, or with the nearest value */
    RENDER_DISABLED, /* the session is disabled: without it, it would be less safe */
};
struct render_cell {
    enum render_support usual;
    enum render_support beyond; /* what happens to values that the daemon cannot take */
    const char *reason;         /* which those are, or why not; NULL: nothing to say */
};
struct render_field {
    const char *name; /* as in the list: "ttlSecurity", "local.listenPort" */
    struct render_cell on[RENDER_DAEMON_COUNT];
};
/* Every field of the list on every daemon. Static. */
const struct render_field *render_fields(size_t *ret_count);
/* The same as a table in Markdown, for people. */
void render_fields_table(struct buf *out);

/* ---- a list in a format ---- */

struct render_problem {
    const char *reason;  /* "NotExpressible", "PasswordNotShown", "VaultError" */
    const char *field;   /* as in struct render_field */
    const char *peer_ip; /* NULL: about the node, not about a session */
    uint16_t port;       /* 0 = absent */
    bool disabled;       /* the session is disabled for it */
    const char *message; /* one sentence */
};
struct render_report {
    size_t count;
    const struct render_problem *problems; /* the node's first, then in the order of the sessions */
};

struct render_options {
    uint64_t revision;                   /* the list's resourceVersion, for the first line */
    const char *etag;                    /* for the first line, without quotes; NULL = not said */
    const struct peering_reveal *reveal; /* NULL: the sessions that have a password are disabled */
};

/*
 * Appends the list in `format` to `out`, which is made a wiping buffer when passwords are in it. The report
 * and its texts live in `arena`. Uses memory in proportion to the list. ERR_NO_MEMORY.
 */
int render_config(const struct render_format *format, const struct peering_list *list,
                  const struct render_options *options, struct arena *arena, struct buf *out,
                  struct render_report *ret_report, struct err *err) MUST_CHECK;

/*
 * Which of the daemons `which` (bits 1 << enum render_daemon) would keep the session of the list shut,
 * because they cannot express its filters. Of the session only its address, AS numbers and filters count.
 * Uses `arena` in proportion to the filters, and can be asked of each session of a fleet. Without memory:
 * none.
 */
unsigned render_refuse_filters(const struct peering_list *list, const struct peering_entry *entry,
                               unsigned which, struct arena *arena);

/*
 * Reads a PeeringList document, so that render_config can be used where there is no service; codec_start
 * comes first. Everything lives in `arena`, which is made a wiping one. `ret_reveal` gives out the passwords
 * of the document; its function is NULL when it shows none: then `reveal` of the options is NULL.
 * ERR_BAD_REQUEST, ERR_NO_MEMORY.
 */
int render_read_list(const char *json, size_t len, struct arena *arena, struct peering_list *ret,
                     uint64_t *ret_revision, struct peering_reveal *ret_reveal, struct err *err) MUST_CHECK;

#define RENDER_ETAG_MAX 96
/* The entity tag, without quotes, of a list in a format: of the list's digest, the format, its version, and
 * whether passwords are shown. Returns its length. */
size_t render_etag(const struct render_format *format, const char *digest, bool passwords,
                   char out[RENDER_ETAG_MAX]);

#endif
