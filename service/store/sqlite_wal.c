/*
 * Taking a failed commit out of the write-ahead log.
 *
 * A commit appends its pages to the log as frames, the last one marked as a commit, syncs the log, and
 * only then enters the frames into the log's shared index. When the sync fails (or the index cannot grow),
 * SQLite reports the failure, the index keeps its old end, and this process will overwrite those frames
 * with the next commit. But until then they are in the file with valid checksums: if the process is
 * killed now, recovery reads the log, not the index, and the write that was answered with an error comes
 * to life. So the first frame behind the committed end gets its header zeroed: a frame for page 0 is
 * invalid, recovery stops there, and since checksums are cumulative nothing behind it can match again.
 *
 * The committed end is read from the index's header, whose layout is part of SQLite's documented file
 * format (sqlite.org/walformat.html, "The WAL-Index Header"), through the file methods that SQLite gives
 * out for that purpose.
 *
 * What remains: if the disk refuses this write too and then the power fails, either outcome is possible.
 *
 * No state, no locks: called by the one thread that commits.
 */
#include "sqlite_wal.h"

#include <stdbool.h>
#include <string.h>

enum {
    WAL_INDEX_VERSION = 3007000,
    WAL_INDEX_REGION = 32768, /* size of the mapping that SQLite itself uses */
    WAL_INDEX_HEADER = 48,    /* two copies of this begin the index */
    WAL_FILE_HEADER = 32,
    WAL_FRAME_HEADER = 24,
};

/* Offsets in the index's header; numbers are in the machine's byte order. */
enum { INDEX_VERSION = 0, INDEX_READY = 12, INDEX_PAGE_SIZE = 14, INDEX_FRAMES = 16 };

/* The byte in the log where its committed frames end; false: the index cannot be trusted. */
static bool committed_end(sqlite3_file *database, sqlite3_int64 *ret) {
    if (database == NULL || database->pMethods == NULL || database->pMethods->iVersion < 2) {
        return false;
    }
    volatile void *region = NULL;
    if (database->pMethods->xShmMap(database, 0, WAL_INDEX_REGION, 0, &region) != SQLITE_OK ||
        region == NULL) {
        return false;
    }
    unsigned char copies[2][WAL_INDEX_HEADER];
    const volatile unsigned char *bytes = region;
    for (size_t i = 0; i < sizeof(copies); i++) {
        copies[i / WAL_INDEX_HEADER][i % WAL_INDEX_HEADER] = bytes[i];
    }
    uint32_t version = 0;
    uint32_t frames = 0;
    uint16_t page_size = 0;
    memcpy(&version, &copies[0][INDEX_VERSION], sizeof(version));
    memcpy(&frames, &copies[0][INDEX_FRAMES], sizeof(frames));
    memcpy(&page_size, &copies[0][INDEX_PAGE_SIZE], sizeof(page_size));
    if (memcmp(copies[0], copies[1], WAL_INDEX_HEADER) != 0 || version != WAL_INDEX_VERSION ||
        copies[0][INDEX_READY] == 0) {
        return false;
    }
    /* 64 KiB does not fit into 16 bits and is kept as 1. A log that has no frame yet has no page size. */
    sqlite3_int64 page = page_size == 1 ? 65536 : page_size;
    if (page == 0 && frames > 0) {
        return false;
    }
    *ret = WAL_FILE_HEADER + (sqlite3_int64)frames * (WAL_FRAME_HEADER + page);
    return true;
}

int wal_discard_tail(struct connection *writer, struct err *err) {
    static const unsigned char zero[WAL_FRAME_HEADER];
    const char *action = "take a failed write out of the log";
    sqlite3_file *database = NULL;
    sqlite3_file *log = NULL;
    int code = sqlite3_file_control(writer->db, "main", SQLITE_FCNTL_FILE_POINTER, &database);
    if (code == SQLITE_OK) {
        code = sqlite3_file_control(writer->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    }
    if (code != SQLITE_OK) {
        return connection_fail(writer, code, action, err);
    }
    if (log == NULL || log->pMethods == NULL) {
        return 0; /* never opened, so nothing was written to it */
    }
    sqlite3_int64 end = 0;
    sqlite3_int64 size = 0;
    if (!committed_end(database, &end)) {
        return err_set(err, ERR_UNAVAILABLE, "cannot %s of %s: its index is not readable", action,
                       writer->path);
    }
    code = log->pMethods->xFileSize(log, &size);
    if (code == SQLITE_OK && size <= end) {
        return 0;
    }
    if (code == SQLITE_OK) {
        code = log->pMethods->xWrite(log, zero, WAL_FRAME_HEADER, end);
    }
    if (code == SQLITE_OK) {
        code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
    }
    return code == SQLITE_OK ? 0 : connection_fail(writer, code, action, err);
}
