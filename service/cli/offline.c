/*
 * Opening a stopped service's data: whether it is stopped is known by the data directory's lock, which is
 * then held until the end. Main thread only; everything opened belongs to struct offline.
 */
#include "offline.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct vault_options offline_vault_options(const struct offline_options *options) {
    return (struct vault_options){.key_file = options->vault_key_file,
                                  .credentials_dir = getenv("CREDENTIALS_DIRECTORY"),
                                  .passphrase_file = options->vault_passphrase_file,
                                  .data_dir = options->data_dir};
}

int offline_open_store(const struct offline_options *options, struct store **ret, struct err *err) {
    struct store_options store = store_settings_options(&options->store, options->data_dir);
    store.must_exist = true;

    *ret = NULL;
    if (store_open(&store, ret, err) == 0) {
        return 0;
    }
    if (err->code != ERR_CONFLICT) {
        return -1;
    }
    err_clear(err);
    return 0;
}

int offline_open(const struct offline_options *options, struct store *store, struct offline *ret,
                 struct err *err) {
    struct vault_options vault = offline_vault_options(options);
    /* Only keys are worked on: in which namespace secretKeyRef resolves does not matter. */
    struct state_options state = {.secret_namespace = "default"};
    struct offline offline = {.store = store};

    vault.must_exist = true;
    if (state_open_vault(store, &vault, &offline.vault, err) == 0) {
        state.vault = offline.vault;
        if (state_open(store, &state, &offline.state, err) == 0) {
            *ret = offline;
            return 0;
        }
    }
    offline_close(&offline);
    return -1;
}

void offline_close(struct offline *offline) {
    state_close(offline->state);
    vault_close(offline->vault);
    store_close(offline->store);
    *offline = (struct offline){.store = NULL};
}

const char *offline_user(char ret[OFFLINE_USER_MAX]) {
    const struct passwd *user = getpwuid(getuid());

    if (user != NULL) {
        snprintf(ret, OFFLINE_USER_MAX, "local:%s", user->pw_name);
    } else {
        snprintf(ret, OFFLINE_USER_MAX, "local:%u", (unsigned)getuid());
    }
    return ret;
}
