/* The list of drivers: whatever --daemon may name. Constant; no locks. */
#include "driver.h"

#include <string.h>

static const struct driver *const DRIVERS[] = {&DRIVER_BIRD, &DRIVER_FRR, &DRIVER_GOBGP, &DRIVER_OPENBGPD,
                                               &DRIVER_COMMAND};

const char *const DRIVER_NAMES[] = {"bird", "frr", "gobgp", "openbgpd", "command", NULL};

const struct driver *driver_find(const char *name) {
    for (size_t i = 0; i < sizeof(DRIVERS) / sizeof(DRIVERS[0]); i++) {
        if (strcmp(DRIVERS[i]->name, name) == 0) {
            return DRIVERS[i];
        }
    }
    return NULL;
}
