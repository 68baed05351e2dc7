/*
 * `bgppeerd backup FILE` and `bgppeerd restore FILE`. A backup of a running service comes over its API, one
 * of a stopped service from its store; either way FILE appears complete and checked, or not at all. A restore
 * needs the service stopped. Main thread only.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api_client.h"
#include "base/log.h"
#include "base/process.h"
#include "base/random.h"
#include "cli_internal.h"
#include "codec.h"
#include "offline.h"

#define BACKUP_PATH "/apis/bgppeerd.io/v1/backup"

struct backup_settings {
    struct offline_options offline;
    const char *token_file;
};
#define MEMBER(name) offsetof(struct backup_settings, name)

#define DATA_DIR_OPTION                                                                                      \
    {                                                                                                        \
        .name = "data-dir", .value = "DIR", .type = OPTION_TEXT, .offset = MEMBER(offline.data_dir),         \
        .default_text = "./data", .help = "The service's data directory"                                     \
    }

static const struct option BACKUP_OPTIONS[] = {
    DATA_DIR_OPTION,
    STORE_OPTIONS(MEMBER(offline.store)),
    {.name = "token-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(token_file),
     .help = "The admin token to ask a running service with; without it, admin.token in the data directory"},
};

static const struct option RESTORE_OPTIONS[] = {
    DATA_DIR_OPTION,
    STORE_OPTIONS(MEMBER(offline.store)),
    {.name = "vault-key-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(offline.vault_key_file),
     .help = "The root key's file, as for serve: to see whether it opens the backup"},
    {.name = "vault-passphrase-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(offline.vault_passphrase_file),
     .help = "The root key's passphrase, as for serve: to see whether it opens the backup"},
};

/* ---- both ---- */

/* "root key 0123456789abcdef", or both of an unfinished change. */
static void print_roots(const struct backup_report *report) {
    if (report->root_count == 0) {
        printf("it holds no vault yet\n");
        return;
    }
    printf("it needs root key %s%s%s, which is not in it\n", report->roots[0],
           report->root_count > 1 ? " or " : "", report->root_count > 1 ? report->roots[1] : "");
}

static void print_content(const char *what, const char *file, const struct backup_report *report) {
    printf("%s %s: version %" PRIu64 ", %" PRIu64 " encrypted values; ", what, file, report->status.revision,
           report->values);
    print_roots(report);
}

/* ---- backup ---- */

static int file_failed(const char *what, const char *file, struct err *err) {
    return errno == EEXIST
               ? err_set(err, ERR_ALREADY_EXISTS,
                         "%s exists and is not overwritten; choose another file name", file)
               : err_set(err, errno == ENOSPC || errno == EDQUOT ? ERR_STORAGE_FULL : ERR_UNAVAILABLE,
                         "cannot %s %s: %s", what, file, strerror(errno));
}

/* So that the new name survives a power loss. */
static int sync_directory_of(const char *file, struct err *err) {
    char dir[PATH_MAX];
    const char *slash = strrchr(file, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - file) + 1;
    int rc = 0, fd;

    if (len >= sizeof dir) {
        errno = ENAMETOOLONG;
        return file_failed("create", file, err);
    }
    snprintf(dir, sizeof dir, "%.*s", (int)(len > 0 ? len : 1), len > 0 ? file : ".");
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) {
        rc = file_failed("sync the directory", dir, err);
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

/* Give the complete file its name, never another's. */
static int publish(const char *temporary, const char *file, struct err *err) {
    int rc = renameat2(AT_FDCWD, temporary, AT_FDCWD, file, RENAME_NOREPLACE);

    if (rc != 0 && (errno == EINVAL || errno == ENOSYS)) {
        /* A file system that cannot do both at once. */
        rc = link(temporary, file);
        if (rc == 0) {
            unlink(temporary);
        }
    }
    return rc == 0 ? sync_directory_of(file, err) : file_failed("create", file, err);
}

static int download(const struct backup_settings *settings, const char *file, struct err *err) {
    char temporary[PATH_MAX];
    struct backup_report unused;
    int rc, fd;

    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", file) >= sizeof temporary) {
        return err_set(err, ERR_USAGE, "the name of the file is too long");
    }
    fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        return file_failed("create", file, err);
    }
    rc = api_download(settings->offline.data_dir, settings->token_file, BACKUP_PATH, fd, err);
    if (rc == 0 && fsync(fd) != 0) {
        rc = file_failed("sync", file, err);
    }
    close(fd);
    if (rc == 0) {
        rc = state_inspect_backup(temporary, NULL, &unused, err);
    }
    if (rc == 0) {
        rc = publish(temporary, file, err);
    }
    if (rc != 0) {
        unlink(temporary);
    }
    return rc;
}

static int make_backup(const struct backup_settings *settings, const char *file, struct err *err) {
    struct backup_report report;
    struct store *store = NULL;
    struct stat status;
    int rc;

    if (lstat(file, &status) == 0) {
        errno = EEXIST;
        return file_failed("create", file, err);
    }
    if (offline_open_store(&settings->offline, &store, err) != 0) {
        return -1;
    }
    rc = store != NULL ? store_backup(store, file, err) : download(settings, file, err);
    store_close(store);
    if (rc == 0) {
        rc = state_inspect_backup(file, NULL, &report, err);
    }
    if (rc == 0) {
        print_content("backup", file, &report);
    }
    return rc;
}

/* ---- restore ---- */

static int restore(const struct backup_settings *settings, const char *file, struct err *err) {
    const struct vault_options vault = offline_vault_options(&settings->offline);
    const char *store =
        settings->offline.store.store != NULL ? settings->offline.store.store : settings->offline.data_dir;
    struct backup_report report;
    char kept[STORE_KEPT_MAX];

    if (state_inspect_backup(file, &vault, &report, err) != 0 || store_restore(store, file, kept, err) != 0) {
        return -1;
    }
    print_content("restored", file, &report);
    if (kept[0] != '\0') {
        printf("the database that was there is now %s/%s\n", store_place(store, NULL), kept);
    }
    if (report.opens) {
        printf("the root key at hand opens it\n");
    } else if (report.root_count > 0) {
        printf("the service will not start yet: %s\n", report.refusal.text);
    }
    return 0;
}

/* ---- the commands ---- */

static int run(const struct command *command, int argc, char **argv,
               int (*action)(const struct backup_settings *settings, const char *file, struct err *err)) {
    struct backup_settings settings = {.token_file = NULL};
    struct err err = ERR_INIT;
    const char *file = NULL;
    bool wants_help = false;
    int rc;

    if (options_parse(VARIABLE_PREFIX, command->options, command->option_count, argc, argv, &settings, &file,
                      &wants_help, &err) != 0) {
        return command_failed(&err);
    }
    if (wants_help) {
        printf("bgppeerd %s FILE\n\n", command->name);
        command_print_help(command);
        return CLI_OK;
    }
    if (file == NULL) {
        err_set(&err, ERR_USAGE, "write \"bgppeerd %s FILE\"", command->name);
        return command_failed(&err);
    }
    log_start(STDERR_FILENO, LOG_ERROR, LOG_KEY_VALUE);
    rc = process_harden(&err) != 0 || random_start(&err) != 0 || codec_start(&err) != 0
             ? -1
             : action(&settings, file, &err);
    log_stop();
    return rc == 0 ? CLI_OK : command_failed(&err);
}

static int run_backup(const struct command *command, int argc, char **argv) {
    return run(command, argc, argv, make_backup);
}

static int run_restore(const struct command *command, int argc, char **argv) {
    return run(command, argc, argv, restore);
}

const struct command command_backup = {
    .name = "backup",
    .summary = "Copy the database of a running or stopped service into a new file",
    .options = BACKUP_OPTIONS,
    .option_count = sizeof(BACKUP_OPTIONS) / sizeof(BACKUP_OPTIONS[0]),
    .run = run_backup,
};

const struct command command_restore = {
    .name = "restore",
    .summary = "Put a backup in place of a stopped service's database",
    .options = RESTORE_OPTIONS,
    .option_count = sizeof(RESTORE_OPTIONS) / sizeof(RESTORE_OPTIONS[0]),
    .run = run_restore,
};
