/*
 * News: what happened to sessions, for those who watch them.
 *
 * The sweep writes them into one ring that all watchers read, each at its own pace; nothing is queued for
 * anybody. Who is so slow that the ring has gone round is told to list again. What happens to a session
 * while one sweep runs is put together into one, so that a storm over a whole fleet takes one place for each
 * session; therefore news are shown to others only when their sweep is done.
 *
 * While nobody has asked for some minutes, only the numbers go on: most fleets are never watched, and a ring
 * for all their sessions would be a large part of what they take.
 *
 * The ring's lock is taken last, and held for a few instructions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "fleet.h"

#define NEWS_RING_MIN 256
#define NEWS_QUIET    600 /* sweeps, twice a second */

void news_init(struct news *news, uint64_t first) {
    pthread_mutex_init(&news->lock, NULL);
    news->first = news->forgotten = news->newest = news->shown = first;
    news->quiet = NEWS_QUIET;
}

static struct news_item *news_at(const struct news *news, uint64_t sequence) {
    return &news->ring[(sequence - news->first - 1) % news->cap];
}

/* Nothing up to the newest can be read any more. */
static void news_forget(struct news *news) {
    for (uint64_t n = news->forgotten + 1; n <= news->newest; n++) {
        fleet_name_unref(news_at(news, n)->name);
    }
    free(news->ring);
    news->ring = NULL;
    news->cap = 0;
    news->first = news->forgotten = news->newest;
}

void news_done(struct news *news) {
    news_forget(news);
    pthread_mutex_destroy(&news->lock);
}

/* ---- writing ---- */

/* Is there a place, without forgetting anything? The ring is only made larger before it has gone round. */
static bool news_grow(struct news *news) {
    uint64_t count = news->newest - news->first;
    if (count < news->cap) {
        return true;
    }
    if (count > news->cap || news->cap == STATUS_NEWS_KEPT) {
        return false;
    }
    size_t cap = news->cap == 0 ? NEWS_RING_MIN : news->cap * 2;
    struct news_item *ring = base_realloc(news->ring, cap * sizeof(*ring));
    if (ring == NULL) {
        return false;
    }
    news->ring = ring;
    news->cap = cap;
    return true;
}

/* Takes over the reference to the item's name. The lock is the caller's. Returns its number. */
static uint64_t news_append(struct news *news, const struct news_item *item) {
    /* Nobody asks, or there is no memory at all: whoever reads must list again. */
    if (news->quiet == NEWS_QUIET || (!news_grow(news) && news->cap == 0)) {
        fleet_name_unref(item->name);
        news->first = news->forgotten = ++news->newest;
        return news->newest;
    }
    if (news->newest - news->forgotten == news->cap) {
        fleet_name_unref(news_at(news, ++news->forgotten)->name);
    }
    *news_at(news, ++news->newest) = *item;
    return news->newest;
}

/* The session's news of the present sweep; NULL: there are none yet. */
static struct news_item *news_pending(struct news *news, uint64_t sequence) {
    return sequence > news->shown && sequence > news->forgotten ? news_at(news, sequence) : NULL;
}

void news_note(struct news *news, const struct fleet_view *view, struct judged *judged,
               const struct status_sight *sight) {
    bool added = judged->news == 0;
    if (!added && memcmp(&judged->sight, sight, sizeof(*sight)) == 0) {
        return;
    }
    pthread_mutex_lock(&news->lock);
    struct news_item *item = news_pending(news, judged->news);
    if (item != NULL) {
        item->after = *sight;
    } else {
        judged->news = news_append(news, &(struct news_item){.name = fleet_name_ref(view->name_ref),
                                                             .slot = view->slot,
                                                             .life = view->life,
                                                             .address = judged->address,
                                                             .port = judged->port,
                                                             .type = added ? STATUS_ADDED : STATUS_CHANGED,
                                                             .before = judged->sight,
                                                             .after = *sight});
    }
    judged->sight = *sight;
    pthread_mutex_unlock(&news->lock);
}

void news_drop(struct news *news, uint32_t slot, const struct fleet_node *node, const struct judged *judged) {
    if (judged->news == 0) {
        return;
    }
    pthread_mutex_lock(&news->lock);
    struct news_item *item = news_pending(news, judged->news);
    if (item != NULL) {
        item->type = STATUS_DELETED;
    } else {
        (void)news_append(news, &(struct news_item){.name = fleet_name_ref(node->judged_name),
                                                    .slot = slot,
                                                    .life = node->judged_life,
                                                    .address = judged->address,
                                                    .port = judged->port,
                                                    .type = STATUS_DELETED,
                                                    .before = judged->sight,
                                                    .after = judged->sight});
    }
    pthread_mutex_unlock(&news->lock);
}

void news_show(struct news *news) {
    struct status_watcher *next;
    pthread_mutex_lock(&news->lock);
    bool some = news->shown != news->newest;
    news->quiet = news->asked || news->armed != NULL ? 0 : news->quiet + (news->quiet < NEWS_QUIET);
    news->asked = false;
    if (news->quiet == NEWS_QUIET && news->cap > 0) {
        news_forget(news);
    }
    news->shown = news->newest;
    /* Taken out all at once, so that those which arm themselves again meanwhile are not called twice. */
    struct status_watcher *watcher = some ? news->armed : NULL;
    news->armed = some ? NULL : news->armed;
    for (struct status_watcher *each = watcher; each != NULL; each = each->next) {
        each->linked = false;
    }
    pthread_mutex_unlock(&news->lock);
    for (; watcher != NULL; watcher = next) {
        next = watcher->next; /* the watcher may be gone after the call */
        watcher->wake(watcher->arg);
    }
}

/* ---- reading ---- */

/* From now on they are kept. The lock is the caller's. */
static void news_are_asked_for(struct news *news) {
    news->asked = true;
    news->quiet = 0;
}

uint64_t status_newest(struct fleet_status *status) {
    pthread_mutex_lock(&status->news.lock);
    news_are_asked_for(&status->news);
    struct news *news = &status->news;
    uint64_t newest = news->shown > news->forgotten ? news->shown : news->forgotten;
    news->shown = newest; /* what was not kept in the present sweep is told by the list */
    pthread_mutex_unlock(&status->news.lock);
    return newest;
}

static bool news_are_forgotten(const struct news *news, uint64_t after) {
    return after < news->forgotten || after > news->shown;
}

static void news_tell(const struct news_item *item, uint64_t sequence, struct status_news *ret) {
    *ret = (struct status_news){.sequence = sequence,
                                .type = (enum status_news_type)item->type,
                                .before = item->before,
                                .after = item->after,
                                .slot = item->slot,
                                .life = item->life,
                                .address = item->address,
                                .port = item->port};
    snprintf(ret->node, sizeof(ret->node), "%s", item->name != NULL ? item->name->text : "");
}

int status_read_news(struct fleet_status *status, uint64_t after, struct status_news *items, size_t max,
                     size_t *ret_count, struct err *err) {
    struct news *news = &status->news;
    size_t count = 0;
    pthread_mutex_lock(&news->lock);
    news_are_asked_for(news);
    bool forgotten = news_are_forgotten(news, after);
    for (uint64_t n = after + 1; !forgotten && n <= news->shown && count < max; n++) {
        news_tell(news_at(news, n), n, &items[count++]);
    }
    pthread_mutex_unlock(&news->lock);
    if (forgotten) {
        return err_set(
            err, ERR_EXPIRED,
            "what has happened to sessions since resourceVersion %llu is not known (any more); list "
            "them again and watch from the list's resourceVersion",
            (unsigned long long)after);
    }
    *ret_count = count;
    return 0;
}

void status_watch_arm(struct fleet_status *status, struct status_watcher *watcher, uint64_t after,
                      bool *ret_ready) {
    struct news *news = &status->news;
    pthread_mutex_lock(&news->lock);
    bool ready = news_are_forgotten(news, after) || after < news->shown;
    if (!ready) {
        watcher->prev = NULL;
        watcher->next = news->armed;
        if (watcher->next != NULL) {
            watcher->next->prev = watcher;
        }
        news->armed = watcher;
        watcher->linked = true;
    }
    pthread_mutex_unlock(&news->lock);
    *ret_ready = ready;
}

bool status_watch_disarm(struct fleet_status *status, struct status_watcher *watcher) {
    struct news *news = &status->news;
    pthread_mutex_lock(&news->lock);
    bool linked = watcher->linked;
    if (linked) {
        if (watcher->prev != NULL) {
            watcher->prev->next = watcher->next;
        } else {
            news->armed = watcher->next;
        }
        if (watcher->next != NULL) {
            watcher->next->prev = watcher->prev;
        }
        watcher->linked = false;
    }
    pthread_mutex_unlock(&news->lock);
    return linked;
}
