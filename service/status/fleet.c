/*
 * The nodes: their places, their polls, their lists.
 *
 * Places are in chunks that are made when first needed and stay until the end, so that a place can be found
 * without a lock. Every list that a node got is kept as what it wants, with the two before it: an agent that
 * is late may still be on one of them, and what both say alike needs no waiting.
 */
#include "fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/resources.h"

int status_new(uint64_t first, struct fleet_status **ret, struct err *err) {
    struct fleet_status *status = base_calloc(1, sizeof(*status));
    if (status == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < FLEET_STRIPES; i++) {
        pthread_mutex_init(&status->stripes[i], NULL);
    }
    pthread_mutex_init(&status->grow, NULL);
    pthread_mutex_init(&status->sweep, NULL);
    news_init(&status->news, first);
    *ret = status;
    return 0;
}

/* ---- names ---- */

struct fleet_name *fleet_name_ref(struct fleet_name *name) {
    if (name != NULL) {
        atomic_fetch_add_explicit(&name->refs, 1, memory_order_relaxed);
    }
    return name;
}

void fleet_name_unref(struct fleet_name *name) {
    if (name != NULL && atomic_fetch_sub_explicit(&name->refs, 1, memory_order_acq_rel) == 1) {
        free(name);
    }
}

static struct fleet_name *name_new(const char *text, struct err *err) {
    size_t size = strnlen(text, FLEET_NAME_MAX - 1) + 1;
    struct fleet_name *name = base_malloc(sizeof(*name) + size);
    if (name == NULL) {
        (void)err_no_memory(err);
        return NULL;
    }
    atomic_init(&name->refs, 1);
    memcpy(name->text, text, size - 1);
    name->text[size - 1] = '\0';
    return name;
}

static void node_clear(struct fleet_status *status, struct fleet_node *node) {
    for (size_t i = 0; i < FLEET_LISTS; i++) {
        wants_unref(status, node->lists[i]);
        node->lists[i] = NULL;
    }
    report_unref(status, node->report);
    node->report = NULL;
    fleet_name_unref(node->name);
    node->name = NULL;
    node->known = false;
    node->waits = false;
    node->fetched[0] = '\0';
    node->polled_ms = -1;
    node->reported_ms = -1;
    node->other_boot_ms = -1;
    node->two_agents_ms = -1;
    node->other_boot[0] = '\0';
    node->sequence = 0;
    node->list_revision = 0;
    node->life++;
    node->dirty = true;
}

void status_free(struct fleet_status *status) {
    if (status == NULL) {
        return;
    }
    for (size_t c = 0; c < atomic_load(&status->chunk_count); c++) {
        struct fleet_chunk *chunk = atomic_load(&status->chunks[c]);
        for (size_t i = 0; chunk != NULL && i < FLEET_CHUNK; i++) {
            node_clear(status, &chunk->nodes[i]);
            fleet_name_unref(chunk->nodes[i].judged_name);
            free(chunk->nodes[i].judged);
        }
        free(chunk);
    }
    for (size_t i = 0; i < FLEET_STRIPES; i++) {
        pthread_mutex_destroy(&status->stripes[i]);
    }
    pthread_mutex_destroy(&status->grow);
    pthread_mutex_destroy(&status->sweep);
    news_done(&status->news);
    free(status);
}

/* ---- places ---- */

struct fleet_node *fleet_node(struct fleet_status *status, uint32_t slot) {
    size_t c = slot / FLEET_CHUNK;
    struct fleet_chunk *chunk =
        c < FLEET_CHUNKS_MAX ? atomic_load_explicit(&status->chunks[c], memory_order_acquire) : NULL;
    return chunk == NULL ? NULL : &chunk->nodes[slot % FLEET_CHUNK];
}

pthread_mutex_t *fleet_stripe(struct fleet_status *status, uint32_t slot) {
    return &status->stripes[slot % FLEET_STRIPES];
}

static struct fleet_node *fleet_make(struct fleet_status *status, uint32_t slot, struct err *err) {
    size_t c = slot / FLEET_CHUNK;
    if (c >= FLEET_CHUNKS_MAX) {
        err_set(err, ERR_UNAVAILABLE, "the status of at most %d nodes is kept",
                FLEET_CHUNKS_MAX * FLEET_CHUNK);
        return NULL;
    }
    struct fleet_chunk *chunk = base_calloc(1, sizeof(*chunk));
    if (chunk == NULL) {
        (void)err_no_memory(err);
        return NULL;
    }
    for (size_t i = 0; i < FLEET_CHUNK; i++) {
        struct fleet_node *node = &chunk->nodes[i];
        node->polled_ms = node->reported_ms = node->other_boot_ms = node->two_agents_ms = -1;
    }
    pthread_mutex_lock(&status->grow);
    if (atomic_load(&status->chunks[c]) == NULL) {
        atomic_store_explicit(&status->chunks[c], chunk, memory_order_release);
        chunk = NULL;
        if (c >= atomic_load(&status->chunk_count)) {
            atomic_store(&status->chunk_count, (unsigned)c + 1);
        }
    }
    pthread_mutex_unlock(&status->grow);
    free(chunk);
    return fleet_node(status, slot);
}

struct fleet_node *fleet_lock(struct fleet_status *status, const struct status_node_key *key,
                              struct err *err) {
    struct fleet_node *node = fleet_node(status, key->slot);
    if (node == NULL) {
        node = fleet_make(status, key->slot, err);
    }
    if (node == NULL) {
        return NULL;
    }
    pthread_mutex_lock(fleet_stripe(status, key->slot));
    if (!node->known || strcmp(node->uid, key->uid) != 0) {
        struct fleet_name *name = name_new(key->name, err);
        if (name == NULL) {
            pthread_mutex_unlock(fleet_stripe(status, key->slot));
            return NULL;
        }
        node_clear(status, node);
        node->name = name;
        snprintf(node->uid, sizeof(node->uid), "%s", key->uid);
        node->known = true;
    }
    return node;
}

void status_forget(struct fleet_status *status, uint32_t slot) {
    struct fleet_node *node = fleet_node(status, slot);
    if (node != NULL) {
        pthread_mutex_lock(fleet_stripe(status, slot));
        node_clear(status, node);
        pthread_mutex_unlock(fleet_stripe(status, slot));
    }
}

/* ---- polls ---- */

void status_note_poll(struct fleet_status *status, const struct status_node_key *key, const char *etag,
                      bool waits, int64_t now_ms) {
    struct fleet_node *node = fleet_node(status, key->slot);
    if (node == NULL) {
        return;
    }
    pthread_mutex_lock(fleet_stripe(status, key->slot));
    if (node->known && strcmp(node->uid, key->uid) == 0) {
        node->polled_ms = now_ms;
        node->waits = waits;
        if (etag != NULL && strcmp(node->fetched, etag) != 0) {
            snprintf(node->fetched, sizeof(node->fetched), "%s", etag);
        }
    }
    pthread_mutex_unlock(fleet_stripe(status, key->slot));
}

/* ---- lists ---- */

struct wants *wants_ref(struct wants *wants) {
    if (wants != NULL) {
        atomic_fetch_add_explicit(&wants->refs, 1, memory_order_relaxed);
    }
    return wants;
}

void wants_unref(struct fleet_status *status, struct wants *wants) {
    if (wants != NULL && atomic_fetch_sub_explicit(&wants->refs, 1, memory_order_acq_rel) == 1) {
        atomic_fetch_sub_explicit(&status->memory, wants->size, memory_order_relaxed);
        free(wants);
    }
}

int fleet_compare(const struct ip_addr *a, uint16_t a_port, const struct ip_addr *b, uint16_t b_port) {
    int order = ip_compare(a, b);
    return order != 0 ? order : (a_port > b_port) - (a_port < b_port);
}

const struct status_want *wants_find(const struct wants *wants, const struct ip_addr *address,
                                     uint16_t port) {
    size_t low = 0;
    size_t high = wants == NULL ? 0 : wants->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct status_want *want = &wants->items[middle];
        int order = fleet_compare(&want->address, want->port, address, port);
        if (order == 0) {
            return want;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const struct ip_addr *wants_own(const struct wants *wants, uint8_t family) {
    return family == IP_V4 ? &wants->own_v4 : &wants->own_v6;
}

/* A fingerprint is 16 hexadecimal digits: 64 bits. */
static uint64_t fingerprint_number(const char *fingerprint) {
    return fingerprint == NULL ? 0 : strtoull(fingerprint, NULL, 16);
}

static uint16_t port_or_bgp(uint16_t port) {
    return port != 0 ? port : PEERING_BGP_PORT;
}

static void own_address(const char *text, struct ip_addr *ret) {
    *ret = (struct ip_addr){.family = IP_NONE};
    if (text != NULL) {
        (void)ip_parse(text, strlen(text), ret);
    }
}

/* What an entry wants. */
static struct status_want want_of(const struct peering_entry *entry, const struct status_lists *lists) {
    struct status_want want = {
        .address = entry->address,
        .port = port_or_bgp(entry->port),
        .as_number = entry->as_number,
        .local_as_number = entry->local_as_number,
        .remote_slot = STATUS_NO_SLOT,
        .ttl_security = entry->ttl_security,
        .external = entry->external,
        .passive = entry->passive,
        .withheld = entry->password == PASSWORD_WITHHELD,
        .has_password = entry->password == PASSWORD_VALUE,
        .digest = lists->digest_of(lists->arg, entry),
    };
    int64_t slot =
        entry->origin.remote_node == NULL ? -1 : lists->slot_of(lists->arg, entry->origin.remote_node);
    if (slot >= 0) {
        want.remote_slot = (uint32_t)slot;
    }
    if (want.has_password) {
        want.password = fingerprint_number(entry->secret->fingerprint);
    }
    return want;
}

/* Does the entry come from the same BGPPeer as the one before? Then they share its name. */
static bool shares_peer(const struct peering_list *list, size_t i) {
    return i > 0 && list->entries[i - 1].origin.bgp_peer != NULL &&
           strcmp(list->entries[i - 1].origin.bgp_peer, list->entries[i].origin.bgp_peer) == 0;
}

static size_t wants_size(const struct peering_list *list) {
    size_t size = sizeof(struct wants) + list->entry_count * sizeof(struct status_want);
    for (size_t i = 0; i < list->entry_count; i++) {
        const char *peer = list->entries[i].origin.bgp_peer;
        size += peer != NULL && !shares_peer(list, i) ? strlen(peer) + 1 : 0;
    }
    return size;
}

static int wants_new(struct fleet_status *status, const struct peering_list *list, const char *etag,
                     const struct status_lists *lists, struct wants **ret, struct err *err) {
    size_t size = wants_size(list);
    struct wants *wants = base_malloc(size);
    if (wants == NULL) {
        return err_no_memory(err);
    }
    atomic_init(&wants->refs, 1);
    snprintf(wants->etag, sizeof(wants->etag), "%s", etag);
    wants->size = size;
    wants->count = list->entry_count;
    wants->own_port = port_or_bgp(list->local.listen_port);
    own_address(list->local.ipv4_address, &wants->own_v4);
    own_address(list->local.ipv6_address, &wants->own_v6);
    char *text = (char *)&wants->items[wants->count];
    for (size_t i = 0; i < list->entry_count; i++) {
        const char *peer = list->entries[i].origin.bgp_peer;
        wants->items[i] = want_of(&list->entries[i], lists);
        if (peer != NULL && shares_peer(list, i)) {
            wants->items[i].bgp_peer = wants->items[i - 1].bgp_peer;
        } else if (peer != NULL) {
            wants->items[i].bgp_peer = text;
            text = stpcpy(text, peer) + 1;
        }
    }
    atomic_fetch_add_explicit(&status->memory, size, memory_order_relaxed);
    *ret = wants;
    return 0;
}

/* Put the newest list first. The lock is the caller's. */
static void node_push_list(struct fleet_status *status, struct fleet_node *node, struct wants *wants) {
    wants_unref(status, node->lists[FLEET_LISTS - 1]);
    for (size_t i = FLEET_LISTS - 1; i > 0; i--) {
        node->lists[i] = node->lists[i - 1];
    }
    node->lists[0] = wants;
    node->dirty = true;
}

/* Is this list the newest one, or older than that? The lock is the caller's. */
static bool node_has_list(struct fleet_node *node, const char *etag, uint64_t revision) {
    if (node->lists[0] == NULL) {
        return false;
    }
    if (strcmp(node->lists[0]->etag, etag) == 0) {
        node->list_revision = revision > node->list_revision ? revision : node->list_revision;
        return true;
    }
    return revision < node->list_revision;
}

int status_set_list(struct fleet_status *status, const struct status_node_key *key,
                    const struct peering_list *list, const char *etag, const struct status_lists *lists,
                    struct err *err) {
    struct fleet_node *node = fleet_lock(status, key, err);
    if (node == NULL) {
        return -1;
    }
    bool known = node_has_list(node, etag, lists->revision);
    pthread_mutex_unlock(fleet_stripe(status, key->slot));
    if (known) {
        return 0;
    }
    struct wants *wants = NULL;
    if (wants_new(status, list, etag, lists, &wants, err) != 0) {
        return -1;
    }
    node = fleet_lock(status, key, err);
    if (node == NULL) {
        wants_unref(status, wants);
        return -1;
    }
    int result = 0;
    if (node_has_list(node, etag, lists->revision)) { /* meanwhile */
        wants_unref(status, wants);
    } else {
        node_push_list(status, node, wants);
        node->list_revision = lists->revision;
        result = report_link(status, node, err);
    }
    pthread_mutex_unlock(fleet_stripe(status, key->slot));
    return result;
}

/* ---- views ---- */

void fleet_view_take(struct fleet_status *status, uint32_t slot, int64_t now_ms, struct fleet_view *ret) {
    struct fleet_node *node = fleet_node(status, slot);
    *ret = (struct fleet_view){.slot = slot, .name = "the far node"};
    if (node == NULL) {
        return;
    }
    pthread_mutex_lock(fleet_stripe(status, slot));
    ret->known = node->known;
    ret->life = node->life;
    if (node->known) {
        ret->name_ref = fleet_name_ref(node->name);
        ret->name = node->name->text;
        memcpy(ret->fetched, node->fetched, sizeof(ret->fetched));
        for (size_t i = 0; i < FLEET_LISTS; i++) {
            ret->lists[i] = wants_ref(node->lists[i]);
        }
        ret->report = report_ref(node->report);
        ret->polled_ms = node->polled_ms;
        ret->reported_ms = node->reported_ms;
        ret->waits = node->waits;
        ret->two_agents = node->two_agents_ms >= 0 && now_ms - node->two_agents_ms < STATUS_TWO_AGENTS_MS;
    }
    pthread_mutex_unlock(fleet_stripe(status, slot));
}

void fleet_view_done(struct fleet_status *status, struct fleet_view *view) {
    for (size_t i = 0; i < FLEET_LISTS; i++) {
        wants_unref(status, view->lists[i]);
    }
    report_unref(status, view->report);
    fleet_name_unref(view->name_ref);
    *view = (struct fleet_view){.slot = view->slot};
}

int64_t fleet_age(bool waits, int64_t polled_ms, int64_t reported_ms, int64_t now_ms) {
    int64_t heard_ms = polled_ms > reported_ms ? polled_ms : reported_ms;
    if (waits) {
        return 0;
    }
    /* `now` may be a little older: another clock's, or read before. */
    return heard_ms < 0 ? -1 : now_ms > heard_ms ? now_ms - heard_ms : 0;
}

int64_t fleet_heard_age(const struct fleet_view *view, int64_t now_ms) {
    return fleet_age(view->waits, view->polled_ms, view->reported_ms, now_ms);
}

bool fleet_reports(const struct fleet_view *view, int64_t now_ms) {
    return view->report != NULL && view->reported_ms >= 0 && now_ms - view->reported_ms < STATUS_SILENT_MS;
}
