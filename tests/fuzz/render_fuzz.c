/*
 * Fuzzes rendering with whole PeeringList documents: what is read is written for every daemon, twice the
 * same, as lines that cannot be read as anything else than they are meant. A withheld session is never
 * opened, and without a password shown, no session that has one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

/* The state that a session's own line of comment tells; those lines come in the order of the sessions. */
static bool next_is_on(const char **at) {
    static const char MARK[] = " session peerIP=";
    const char *line = strstr(*at, MARK);
    require(line != NULL);
    const char *end = strchr(line, '\n');
    require(end != NULL);
    const char *on = strstr(line, " state=on ");
    *at = end;
    return on != NULL && on < end;
}

static void check_format(const struct render_format *format, const struct peering_list *list,
                         const struct peering_reveal *reveal) {
    const struct render_options options = {.revision = 1, .reveal = reveal};
    struct render_report report;
    struct buf once = BUF_INIT, again = BUF_INIT;
    struct arena arena;
    struct err err = ERR_INIT;
    arena_init(&arena, 0);
    require(render_config(format, list, &options, &arena, &once, &report, &err) == 0);
    require(render_config(format, list, &options, &arena, &again, &report, &err) == 0);
    require(once.len == again.len && memcmp(once.data, again.data, once.len) == 0);
    require(strlen(once.data) == once.len);
    if (format->writer != NULL) {
        require(once.data[once.len - 1] == '\n');
        const char *at = once.data;
        for (size_t i = 0; i < list->entry_count; i++) {
            const struct peering_entry *entry = &list->entries[i];
            bool on = next_is_on(&at);
            require(!on || entry->password != PASSWORD_WITHHELD);
            require(!on || entry->password != PASSWORD_VALUE || reveal != NULL);
        }
        require(strstr(at, " session peerIP=") == NULL);
    }
    buf_done(&once);
    buf_done(&again);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool started;
    struct peering_list list;
    struct peering_reveal reveal;
    uint64_t revision;
    struct arena arena;
    struct err err = ERR_INIT;
    if (!started) {
        require(codec_start(&err) == 0);
        started = true;
    }
    arena_init(&arena, 0);
    if (render_read_list((const char *)data, size, &arena, &list, &revision, &reveal, &err) == 0) {
        size_t count;
        const struct render_format *formats = render_formats(&count);
        for (size_t i = 0; i < count; i++) {
            check_format(&formats[i], &list, reveal.password != NULL ? &reveal : NULL);
            check_format(&formats[i], &list, NULL);
        }
    }
    arena_done(&arena);
    return 0;
}
