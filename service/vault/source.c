/*
 * Root key files. Everything secret goes from the file into guarded memory and nowhere else: no stdio, whose
 * buffers we could not wipe. Checks are made on the open file, not on its name, so that nobody can
 * exchange it in between. New key files appear whole or not at all: temporary file, fsync, rename that
 * refuses to replace, fsync of the directory.
 */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"

#define KEY_HEX_DIGITS (FORMAT_KEY_BYTES * 2)
#define TEMP_SUFFIX    ".tmp"
/* The longest file that makes sense: a passphrase, "\r\n", and one byte to see that there is more. */
#define FILE_MAX (SOURCE_PASSPHRASE_MAX + 3)

/* From errno, for a sentence that begins with what was attempted. */
static int set_file_error(struct err *err, const char *what, const char *path) {
    enum err_code code = ERR_UNAVAILABLE;
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case EACCES:
    case EPERM:
    case ELOOP:
    case EROFS:
    case ENAMETOOLONG:
        code = ERR_USAGE;
        break;
    case ENOSPC:
    case EDQUOT:
        code = ERR_STORAGE_FULL;
        break;
    case ENOMEM:
        code = ERR_NO_MEMORY;
        break;
    default:
        break;
    }
    return err_set(err, code, "%s %s failed: %m", what, path);
}

static char *join(const char *first, const char *second, const char *third) {
    size_t len = strlen(first) + strlen(second) + strlen(third) + 1;
    char *text = base_malloc(len);
    if (text != NULL) {
        snprintf(text, len, "%s%s%s", first, second, third);
    }
    return text;
}

int vault_source_init(struct source *source, enum vault_source kind, const char *path, struct err *err) {
    static const char *const what[] = {
        [VAULT_SOURCE_KEY_FILE] = "key file ",
        [VAULT_SOURCE_CREDENTIAL] = "systemd credential ",
        [VAULT_SOURCE_PASSPHRASE] = "passphrase file ",
        [VAULT_SOURCE_DATA_DIR] = "key file ",
    };
    struct source made = {.kind = kind, .path = join(path, "", ""), .text = join(what[kind], path, "")};
    if (made.path == NULL || made.text == NULL) {
        vault_source_done(&made);
        return err_no_memory(err);
    }
    *source = made;
    return 0;
}

void vault_source_done(struct source *source) {
    free(source->path);
    free(source->text);
    *source = (struct source){.path = NULL};
}

bool vault_source_exists(const char *path) {
    struct stat status;
    return stat(path, &status) == 0;
}

static int init_in_dir(struct source *source, enum vault_source kind, const char *dir, struct err *err) {
    char *path = join(dir, "/", VAULT_KEY_FILE);
    if (path == NULL) {
        return err_no_memory(err);
    }
    int status = vault_source_init(source, kind, path, err);
    free(path);
    return status;
}

int vault_source_choose(const struct vault_options *options, struct source *ret, struct err *err) {
    if (options->key_file != NULL) {
        return vault_source_init(ret, VAULT_SOURCE_KEY_FILE, options->key_file, err);
    }
    if (options->credentials_dir != NULL) {
        struct source credential;
        if (init_in_dir(&credential, VAULT_SOURCE_CREDENTIAL, options->credentials_dir, err) != 0) {
            return -1;
        }
        /* Only a credential that is not there is passed over: one that cannot be read must be reported. */
        struct stat status;
        if (stat(credential.path, &status) == 0 || errno != ENOENT) {
            *ret = credential;
            return 0;
        }
        vault_source_done(&credential);
    }
    if (options->passphrase_file != NULL) {
        return vault_source_init(ret, VAULT_SOURCE_PASSPHRASE, options->passphrase_file, err);
    }
    return init_in_dir(ret, VAULT_SOURCE_DATA_DIR, options->data_dir, err);
}

bool vault_source_beside(const char *path, const char *data_dir) {
    char *file = realpath(path, NULL);
    char *dir = realpath(data_dir, NULL);
    bool beside = false;
    if (file != NULL && dir != NULL) {
        size_t len = strlen(dir);
        beside = strncmp(file, dir, len) == 0 && (file[len] == '/' || (len > 0 && dir[len - 1] == '/'));
    }
    free(file);
    free(dir);
    return beside;
}

/* ---- reading ---- */

/* With an ACL the group bits are its mask, and 0440 of a root-owned credential says nothing about groups. */
static bool is_credential_with_acl(const struct source *source, int fd, const struct stat *status) {
    return source->kind == VAULT_SOURCE_CREDENTIAL && status->st_uid == 0 &&
           (status->st_mode & 07777) == 0440 && fgetxattr(fd, "system.posix_acl_access", NULL, 0) > 0;
}

static int check_file(const struct source *source, int fd, struct err *err) {
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return set_file_error(err, "examining", source->text);
    }
    if (!S_ISREG(status.st_mode)) {
        return err_set(err, ERR_USAGE, "%s is not a regular file", source->text);
    }
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        return err_set(err, ERR_USAGE, "%s belongs to user %ld: it must belong to user %ld or to root",
                       source->text, (long)status.st_uid, (long)geteuid());
    }
    if ((status.st_mode & 07777 & ~(mode_t)0600) != 0 && !is_credential_with_acl(source, fd, &status)) {
        return err_set(err, ERR_USAGE,
                       "%s has mode %04o, so others than its owner may use it: it must be 0600 or "
                       "stricter (chmod 600 '%s')",
                       source->text, (unsigned)(status.st_mode & 07777), source->path);
    }
    return 0;
}

/* Up to FILE_MAX bytes. */
static int read_all(const struct source *source, int fd, uint8_t *out, size_t *ret_len, struct err *err) {
    size_t len = 0;
    while (len < FILE_MAX) {
        ssize_t got = read(fd, out + len, FILE_MAX - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return set_file_error(err, "reading", source->text);
        }
        if (got == 0) {
            break;
        }
        len += (size_t)got;
    }
    *ret_len = len;
    return 0;
}

/* The file's bytes, FILE_MAX of them allocated. */
static int read_file(const struct source *source, uint8_t **ret, size_t *ret_len, struct err *err) {
    /* O_NONBLOCK: a FIFO in its place must not hang the start; it has no effect on regular files. */
    int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return set_file_error(err, "opening", source->text);
    }
    uint8_t *bytes = sodium_malloc(FILE_MAX);
    int status = bytes == NULL ? err_no_memory(err) : check_file(source, fd, err);
    if (status == 0) {
        status = read_all(source, fd, bytes, ret_len, err);
    }
    close(fd);
    if (status != 0) {
        sodium_free(bytes);
        return -1;
    }
    *ret = bytes;
    return 0;
}

static size_t without_newline(const uint8_t *bytes, size_t len) {
    if (len > 0 && bytes[len - 1] == '\n') {
        len--;
        if (len > 0 && bytes[len - 1] == '\r') {
            len--;
        }
    }
    return len;
}

static bool all_equal(const uint8_t *key) {
    uint8_t differs = 0;
    for (size_t i = 1; i < FORMAT_KEY_BYTES; i++) {
        differs |= key[i] ^ key[0];
    }
    return differs == 0;
}

static int decode_key(const struct source *source, const uint8_t *bytes, size_t len, uint8_t *key,
                      struct err *err) {
    size_t line = without_newline(bytes, len);
    size_t decoded = 0;
    if (len == FORMAT_KEY_BYTES) {
        memcpy(key, bytes, FORMAT_KEY_BYTES);
    } else if (line != KEY_HEX_DIGITS ||
               sodium_hex2bin(key, FORMAT_KEY_BYTES, (const char *)bytes, line, NULL, &decoded, NULL) != 0) {
        return err_set(err, ERR_USAGE,
                       "%s does not hold a root key: it must be exactly 32 bytes, or 64 hexadecimal "
                       "digits and a newline (make one with: umask 077; openssl rand -hex 32 >FILE)",
                       source->text);
    }
    if (all_equal(key)) {
        return err_set(err, ERR_USAGE,
                       "%s holds one byte repeated, not a random key: make one with: "
                       "umask 077; openssl rand -hex 32 >FILE",
                       source->text);
    }
    return 0;
}

int vault_source_read_key(const struct source *source, uint8_t **ret_key, struct err *err) {
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (read_file(source, &bytes, &len, err) != 0) {
        return -1;
    }
    uint8_t *key = sodium_malloc(FORMAT_KEY_BYTES);
    int status = key == NULL ? err_no_memory(err) : decode_key(source, bytes, len, key, err);
    sodium_free(bytes);
    if (status != 0) {
        sodium_free(key);
        return -1;
    }
    *ret_key = key;
    return 0;
}

int vault_source_read_passphrase(const struct source *source, uint8_t **ret, size_t *ret_len,
                                 struct err *err) {
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (read_file(source, &bytes, &len, err) != 0) {
        return -1;
    }
    size_t line = without_newline(bytes, len);
    /* A second line is more likely a wrong file than a passphrase, and would be fatal to lose silently. */
    if (line == 0 || line > SOURCE_PASSPHRASE_MAX || memchr(bytes, '\n', line) != NULL) {
        sodium_free(bytes);
        return err_set(err, ERR_USAGE, "%s does not hold a passphrase: it must be one line of 1 to %d bytes",
                       source->text, SOURCE_PASSPHRASE_MAX);
    }
    *ret = bytes;
    *ret_len = line;
    return 0;
}

int vault_source_derive_key(const uint8_t *passphrase, size_t len, const struct format_root *root,
                            uint8_t **ret_key, struct err *err) {
    uint8_t *key = sodium_malloc(FORMAT_KEY_BYTES);
    if (key == NULL) {
        return err_no_memory(err);
    }
    if (crypto_pwhash(key, FORMAT_KEY_BYTES, (const char *)passphrase, len, root->salt, root->opslimit,
                      (size_t)root->memlimit, crypto_pwhash_ALG_ARGON2ID13) != 0) {
        sodium_free(key);
        return err_set(err, ERR_NO_MEMORY,
                       "making the root key from the passphrase failed: it takes %llu MiB of memory, "
                       "which the system or its limits did not give",
                       (unsigned long long)(root->memlimit >> 20));
    }
    *ret_key = key;
    return 0;
}

/* ---- writing ---- */

int vault_source_sync_parent(const char *path, struct err *err) {
    const char *slash = strrchr(path, '/');
    char *dir =
        slash == NULL ? base_strdup(".") : base_strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (dir == NULL) {
        return err_no_memory(err);
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = fd < 0 || fsync(fd) != 0 ? set_file_error(err, "syncing the directory", dir) : 0;
    if (fd >= 0) {
        close(fd);
    }
    free(dir);
    return status;
}

static int write_all(int fd, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t put = write(fd, bytes, len);
        if (put < 0 && errno != EINTR) {
            return -1;
        }
        if (put > 0) {
            bytes += put;
            len -= (size_t)put;
        }
    }
    return 0;
}

/* A random key into an open, empty file. */
static int write_key(int fd, const char *path, struct err *err) {
    uint8_t *key = sodium_malloc(FORMAT_KEY_BYTES);
    char *line = sodium_malloc(KEY_HEX_DIGITS + 1);
    int status;
    if (key == NULL || line == NULL) {
        status = err_no_memory(err);
    } else {
        randombytes_buf(key, FORMAT_KEY_BYTES);
        sodium_bin2hex(line, KEY_HEX_DIGITS + 1, key, FORMAT_KEY_BYTES);
        line[KEY_HEX_DIGITS] = '\n';
        status = write_all(fd, line, KEY_HEX_DIGITS + 1) != 0 || fsync(fd) != 0
                     ? set_file_error(err, "writing the key file", path)
                     : 0;
    }
    sodium_free(key);
    sodium_free(line);
    return status;
}

/* Give the finished file its name. */
static int publish(const char *temp, const char *path, struct err *err) {
    int status = renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE);
    if (status != 0 && (errno == EINVAL || errno == ENOSYS)) {
        /* A file system without that flag: a hard link refuses to replace as well. */
        status = link(temp, path);
        if (status == 0) {
            unlink(temp);
        }
    }
    if (status != 0 && errno == EEXIST) {
        return err_set(err, ERR_CONFLICT, "key file %s exists already and is not replaced", path);
    }
    return status != 0 ? set_file_error(err, "creating the key file", path)
                       : vault_source_sync_parent(path, err);
}

int vault_source_create_key(const char *path, struct err *err) {
    char *temp = join(path, TEMP_SUFFIX, "");
    if (temp == NULL) {
        return err_no_memory(err);
    }
    /* What a crash has left under this name was never used for anything. */
    unlink(temp);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int status;
    if (fd < 0) {
        status = set_file_error(err, "creating the key file", temp);
    } else {
        status = write_key(fd, temp, err);
        close(fd);
        if (status == 0) {
            status = publish(temp, path, err);
        }
        if (status != 0) {
            unlink(temp);
        }
    }
    free(temp);
    return status;
}

int vault_source_replace(const char *from, const char *to, struct err *err) {
    if (rename(from, to) != 0) {
        return set_file_error(err, "putting the new key file in place:", to);
    }
    return vault_source_sync_parent(to, err);
}
