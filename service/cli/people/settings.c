/*
 * Settings of the commands for people: where the service is and as whom to ask, from a file, the environment
 * and the arguments; the token; and the files that a command sends. Main thread only; what is read once stays
 * for the life of the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "people/people.h"

#define SETTINGS_MAX ((size_t)64 * 1024)
#define BODY_MAX     ((size_t)16 * 1024 * 1024) /* as the service takes at most */
#define PIECE        65536

const char *const PEOPLE_OUTPUTS[] = {"text", "json", "yaml", NULL};

/* All but --config itself, which is the last. */
static const struct option FILE_OPTIONS[PEOPLE_OPTION_COUNT] = {PEOPLE_OPTIONS};
#define FILE_OPTION_COUNT (PEOPLE_OPTION_COUNT - 1)

/* ---- files ---- */

/* What is left of an open file, at most `max` bytes. */
static int read_all(int fd, const char *name, size_t max, struct buf *ret, struct err *err) {
    size_t before = ret->len;
    for (;;) {
        if (buf_reserve(ret, PIECE) != 0) {
            return err_no_memory(err);
        }
        ssize_t got = read(fd, ret->data + ret->len, PIECE);
        if (got < 0 && errno != EINTR) {
            return err_set(err, ERR_USAGE, "cannot read %.200s: %s", name, strerror(errno));
        }
        if (got == 0) {
            ret->data[ret->len] = '\0';
            return 0;
        }
        ret->len += got > 0 ? (size_t)got : 0;
        if (ret->len - before > max) {
            return err_set(err, ERR_TOO_LARGE, "%.200s has more than %zu KiB", name, max >> 10);
        }
    }
}

/* `ret_mode` NULL: nobody asks. */
static int read_file(const char *name, size_t max, struct buf *ret, mode_t *ret_mode, struct err *err) {
    struct stat found;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_USAGE, "cannot open %.200s: %s", name,
                       strerror(errno));
    }
    int result = read_all(fd, name, max, ret, err);
    if (result == 0 && ret_mode != NULL) {
        *ret_mode = fstat(fd, &found) == 0 ? found.st_mode : 0;
    }
    close(fd);
    return result;
}

/* ---- the file of settings ---- */

/* Where it is when nobody says; false: nowhere. */
static bool default_path(char out[PATH_MAX]) {
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int len = -1;
    if (base != NULL && base[0] == '/') {
        len = snprintf(out, PATH_MAX, "%s/bgppeerd/client.conf", base);
    } else if (home != NULL && home[0] == '/') {
        len = snprintf(out, PATH_MAX, "%s/.config/bgppeerd/client.conf", home);
    }
    return len > 0 && len < PATH_MAX;
}

/* A file's path in the file of settings: below the home directory, or beside the file. */
static int resolve(const char *path, const char *config, struct arena *arena, const char **ret,
                   struct err *err) {
    const char *home = getenv("HOME"), *slash = strrchr(config, '/');
    bool at_home = strncmp(path, "~/", 2) == 0 && home != NULL;
    if (path[0] == '/' || (!at_home && slash == NULL)) {
        *ret = path;
        return 0;
    }
    const char *text = at_home ? arena_printf(arena, "%s/%s", home, path + 2)
                               : arena_printf(arena, "%.*s/%s", (int)(slash - config), config, path);
    if (text == NULL) {
        return err_no_memory(err);
    }
    *ret = text;
    return 0;
}

/* The settings point into what is put into the arena. */
static int read_config(struct people_settings *settings, const char *named, struct arena *arena,
                       struct err *err) {
    char path[PATH_MAX];
    struct buf text = BUF_INIT;
    const char **const files[] = {&settings->token_file, &settings->ca, &settings->cert, &settings->key};
    if (named != NULL) {
        int len = snprintf(path, sizeof(path), "%s", named);
        if (len >= (int)sizeof(path)) {
            return err_set(err, ERR_USAGE, "--config: the path is too long");
        }
    } else if (!default_path(path)) {
        return 0;
    }
    if (read_file(path, SETTINGS_MAX, &text, NULL, err) != 0) {
        buf_done(&text);
        if (named == NULL && err->code == ERR_NOT_FOUND) {
            err_clear(err);
            return 0;
        }
        err->code = ERR_USAGE;
        return -1;
    }
    char *kept = arena_strdup(arena, text.data);
    buf_done(&text);
    if (kept == NULL) {
        return err_no_memory(err);
    }
    int result = options_read_file(FILE_OPTIONS, FILE_OPTION_COUNT, kept, path, settings, err);
    for (size_t i = 0; result == 0 && i < sizeof(files) / sizeof(files[0]); i++) {
        result = *files[i] != NULL ? resolve(*files[i], path, arena, files[i], err) : 0;
    }
    return result;
}

/* ---- all of them ---- */

static int check(const struct people_settings *settings, struct err *err) {
    const char *server = settings->server;
    bool tls = strncmp(server, "https://", 8) == 0;
    if ((!tls && strncmp(server, "http://", 7) != 0) || strpbrk(server, "?# \t\r\n") != NULL ||
        strlen(server) > 512) {
        return err_set(err, ERR_USAGE, "--server: \"%.100s\" is no URL such as https://bgppeerd.example:8443",
                       server);
    }
    if (settings->key != NULL && settings->cert == NULL) {
        return err_set(err, ERR_USAGE, "--key is the key of --cert, which is missing");
    }
    return 0;
}

int people_read_settings(const struct command *command, int argc, char **argv,
                         struct people_settings *settings, size_t settings_size, struct operands *operands,
                         struct arena *arena, struct err *err) {
    const struct option *options = command->options;
    size_t count = command->option_count, max = operands->max;
    const char *config = NULL;
    /* Once to know which file, and then in the order in which the last wins. */
    for (int with_file = 0; with_file < 2; with_file++) {
        memset(settings, 0, settings_size);
        *operands = (struct operands){.max = max};
        if (options_set_defaults(options, count, settings, err) != 0 ||
            (with_file != 0 && read_config(settings, config, arena, err) != 0) ||
            options_read_environment(VARIABLE_PREFIX, options, count, settings, err) != 0 ||
            options_read_arguments(options, count, argc, argv, settings, operands, err) != 0) {
            return -1;
        }
        config = settings->config;
    }
    return check(settings, err);
}

int people_read_token(struct people *people, struct err *err) {
    const char *file = people->settings->token_file;
    struct buf text = {.wipe = true};
    mode_t mode = 0;
    if (file == NULL) {
        return 0;
    }
    int result = read_file(file, TOKEN_TEXT_MAX + 64, &text, &mode, err);
    if (result == 0) {
        text.data[strcspn(text.data, "\r\n")] = '\0';
        if (strlen(text.data) == TOKEN_TEXT_MAX - 1) {
            memcpy(people->token, text.data, TOKEN_TEXT_MAX);
        } else {
            result = err_set(err, ERR_USAGE, "%.200s does not hold a token (bpd_…)", file);
        }
    } else {
        err->code = ERR_USAGE;
        (void)err_wrap(err, "--token-file");
    }
    if (result == 0 && (mode & (S_IROTH | S_IWOTH)) != 0) {
        fprintf(stderr,
                "bgppeerd: warning: everybody on this machine may read the token in %.200s: chmod o= it\n",
                file);
    }
    buf_done(&text);
    return result;
}

/* ---- what is sent ---- */

static bool is_json(const struct buf *body, const char *name) {
    size_t len = strlen(name);
    if (len > 5 && strcmp(name + len - 5, ".json") == 0) {
        return true; /* so that its mistakes are those of JSON */
    }
    json_t *found = json_loadb(body->data != NULL ? body->data : "", body->len, 0, NULL);
    json_decref(found);
    return found != NULL;
}

int people_read_body(struct people *people, size_t first, struct buf *ret, const char **ret_type,
                     struct err *err) {
    const struct operands *operands = &people->operands;
    ret->wipe = true;
    if (operands->count <= first) {
        return err_set(err, ERR_USAGE, "name the files with the documents, or \"-\" for standard input");
    }
    for (size_t i = first; i < operands->count; i++) {
        const char *name = operands->items[i];
        if (i > first) {
            buf_add_str(ret, "\n---\n");
        }
        int result = strcmp(name, "-") == 0 ? read_all(STDIN_FILENO, "standard input", BODY_MAX, ret, err)
                                            : read_file(name, BODY_MAX, ret, NULL, err);
        if (result != 0) {
            err->code = err->code == ERR_NOT_FOUND ? ERR_USAGE : err->code;
            return -1;
        }
    }
    bool one = operands->count == first + 1;
    *ret_type = one && is_json(ret, operands->items[first]) ? "application/json" : "application/yaml";
    return buf_failed(ret) ? err_no_memory(err) : 0;
}
