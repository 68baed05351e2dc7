/*
 * Fuzz target: what the vault reads back from a database that someone else may have written. The input is a
 * list of settings and sealed values; the root key is fixed. Whatever they hold, opening must end with a
 * vault or an error, and no value that was not sealed under the fixed keys may open.
 *
 * Input: records of u8 kind, u16 length (network order), bytes. Kind & 7: 0 root record, 1 fingerprint key,
 * 2-4 data key of that number less one, 5 a setting whose name is the bytes, 6 ciphertext behind a nonce, 7
 * root record of another key.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "vault.h"

#define ROOT_ID  "6e2cbfed5f7386ce" /* of the key 00 01 … 1f */
#define OTHER_ID "533f75c76f3738a7"

enum { SETTINGS_MAX = 16, NAME_SIZE = 64 };

static char dir[64];

static void remove_files(void) {
    char path[96];
    snprintf(path, sizeof path, "%s/" VAULT_KEY_FILE, dir);
    unlink(path);
    rmdir(dir);
}

static void make_files(void) {
    char path[96];
    uint8_t key[32];
    snprintf(dir, sizeof dir, "/tmp/vault_fuzz.XXXXXX");
    if (mkdtemp(dir) == NULL) {
        abort();
    }
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)i;
    }
    snprintf(path, sizeof path, "%s/" VAULT_KEY_FILE, dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || write(fd, key, sizeof key) != (ssize_t)sizeof key) {
        abort();
    }
    close(fd);
    atexit(remove_files);
}

struct input {
    struct vault_setting settings[SETTINGS_MAX];
    char names[SETTINGS_MAX][NAME_SIZE];
    size_t count;
    struct vault_sealed sealed;
};

static void add_setting(struct input *input, unsigned kind, const uint8_t *bytes, size_t len) {
    if (input->count == SETTINGS_MAX) {
        return;
    }
    char *name = input->names[input->count];
    switch (kind) {
    case 0:
        snprintf(name, NAME_SIZE, "vault/root/" ROOT_ID);
        break;
    case 1:
        snprintf(name, NAME_SIZE, "vault/fingerprint/" ROOT_ID);
        break;
    case 5:
        snprintf(name, NAME_SIZE, "%.*s", (int)(len < NAME_SIZE ? len : NAME_SIZE - 1), (const char *)bytes);
        break;
    case 7:
        snprintf(name, NAME_SIZE, "vault/root/" OTHER_ID);
        break;
    default:
        snprintf(name, NAME_SIZE, "vault/key/" ROOT_ID "/%u", kind - 1);
        break;
    }
    input->settings[input->count++] = (struct vault_setting){.name = name, .value = bytes, .value_len = len};
}

static void parse(struct input *input, const uint8_t *data, size_t size) {
    while (size >= 3) {
        size_t len = (size_t)data[1] << 8 | data[2];
        unsigned kind = data[0] & 7;
        data += 3;
        size -= 3;
        len = len < size ? len : size;
        if (kind != 6) {
            add_setting(input, kind, data, len);
        } else {
            size_t nonce_len = len < VAULT_NONCE_BYTES ? len : VAULT_NONCE_BYTES;
            input->sealed = (struct vault_sealed){.key_id = 1,
                                                  .nonce = data,
                                                  .nonce_len = nonce_len,
                                                  .ciphertext = data + nonce_len,
                                                  .ciphertext_len = len - nonce_len};
        }
        data += len;
        size -= len;
    }
}

static void use(struct vault *vault, const struct input *input) {
    static const char genuine[] = "correct horse battery staple";
    struct vault_place place = {
        .secret_namespace = "default", .secret_name = "tor-secrets", .item = "rack1", .version = 7};
    struct vault_status status;
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    vault_status(vault, &status);
    if (status.key_count == 0 || strcmp(status.root_id, ROOT_ID) != 0) {
        abort();
    }
    if (vault_unseal(vault, &place, &input->sealed, &out, &err) == 0 && strcmp(out.data, genuine) != 0) {
        abort();
    }
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (dir[0] == '\0') {
        make_files();
    }
    struct input input = {.count = 0};
    struct vault *vault;
    struct vault_settings to_write;
    struct err err = ERR_INIT;
    char roots[VAULT_ROOTS_MAX][VAULT_ROOT_ID_MAX];
    parse(&input, data, size);
    if (vault_list_roots(input.settings, input.count, roots) > VAULT_ROOTS_MAX) {
        abort();
    }
    struct vault_options options = {.data_dir = dir, .must_exist = true};
    if (vault_open(&options, input.settings, input.count, &vault, &to_write, &err) != 0) {
        if (err.code == ERR_NONE || err.text[0] == '\0') {
            abort();
        }
        return 0;
    }
    vault_apply(vault);
    use(vault, &input);
    vault_close(vault);
    return 0;
}
