/*
 * What differs between two states of the fleet, as answers show it: the change set that makes the later one
 * of the earlier, and the values of Secrets, which no change set can bring back.
 */
#ifndef BGPPEERD_HTTP_FLEET_DIFFERENCE_H
#define BGPPEERD_HTTP_FLEET_DIFFERENCE_H

#include "base/buf.h"
#include "codec.h"
#include "model/change_set.h"
#include "snapshot.h"

/* A ChangeSet, as POST applies takes it. */
void difference_write_set(const struct change_set *set, struct buf *out);

/*
 * An array of {namespace, name, key, from, to} for each value of a Secret whose version differs; a side is
 * null where the value is not there. `only` NULL: of all Secrets.
 */
void difference_write_secrets(const struct snapshot *from, const struct snapshot *to,
                              const struct rollback_scope *only, struct buf *out);

#endif
