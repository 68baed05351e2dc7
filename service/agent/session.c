/*
 * Lists of sessions. A list owns its items; no locks.
 */
#include "session.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"

enum session_state session_state_of(const char *text, size_t len) {
    for (size_t i = SESSION_IDLE; i < SESSION_STATE_COUNT; i++) {
        const char *name = session_state_name((enum session_state)i);
        if (strlen(name) == len && strncasecmp(name, text, len) == 0) {
            return (enum session_state)i;
        }
    }
    /* BIRD's word for waiting to be called, which is what the RFC has Active for. */
    return len == 7 && strncasecmp(text, "Passive", len) == 0 ? SESSION_ACTIVE : SESSION_IDLE;
}

void session_list_done(struct session_list *list) {
    free(list->items);
    *list = (struct session_list){.count = 0};
}

struct session *session_list_add(struct session_list *list, const struct ip_addr *peer, uint16_t port) {
    if (list->count == SESSION_COUNT_MAX) {
        return NULL;
    }
    struct session *items = base_grow(list->items, list->count, &list->cap, 16, sizeof(*items));
    if (items == NULL) {
        return NULL;
    }
    list->items = items;
    struct session *session = &items[list->count++];
    *session = (struct session){
        .peer = *peer, .port = port != 0 ? port : BGP_PORT, .state = SESSION_IDLE, .ttl_hops = -1};
    return session;
}

static int session_compare_key(const struct ip_addr *a, uint16_t a_port, const struct ip_addr *b,
                               uint16_t b_port) {
    int order = ip_compare(a, b);
    return order != 0 ? order : (int)a_port - (int)b_port;
}

static int session_compare(const void *left, const void *right) {
    const struct session *a = left, *b = right;
    int order = session_compare_key(&a->peer, a->port, &b->peer, b->port);
    return order != 0 ? order : (int)b->state - (int)a->state;
}

void session_list_sort(struct session_list *list) {
    size_t kept = 0;
    if (list->count > 0) {
        qsort(list->items, list->count, sizeof(*list->items), session_compare);
    }
    for (size_t i = 0; i < list->count; i++) {
        if (kept == 0 || session_compare_key(&list->items[kept - 1].peer, list->items[kept - 1].port,
                                             &list->items[i].peer, list->items[i].port) != 0) {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
}

struct session *session_list_find(const struct session_list *list, const struct ip_addr *peer,
                                  uint16_t port) {
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct session *session = &list->items[middle];
        int order = session_compare_key(&session->peer, session->port, peer, port);
        if (order == 0) {
            return session;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

void session_list_take_ports(struct session_list *list, const struct expected *expected) {
    size_t at = 0;
    /* Both are sorted by address. */
    for (size_t i = 0; i < list->count; i++) {
        while (at < expected->count && ip_compare(&expected->sessions[at].peer, &list->items[i].peer) < 0) {
            at++;
        }
        for (size_t k = at;
             k < expected->count && ip_compare(&expected->sessions[k].peer, &list->items[i].peer) == 0; k++) {
            if (!expected->sessions[k].left_out) {
                list->items[i].port = expected->sessions[k].port;
                break;
            }
        }
    }
}
