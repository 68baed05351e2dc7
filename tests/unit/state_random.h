/*
 * Random writes for the tests of state: as text, so that one can be made twice, and as calls.
 */
#ifndef BGPPEERD_TESTS_UNIT_STATE_RANDOM_H
#define BGPPEERD_TESTS_UNIT_STATE_RANDOM_H

#include "peering_random.h"
#include "state_fixture.h"

#define GROUP_MAX 4

/* One write of a group, as text, so that it can be made twice. */
struct plan {
    enum write_op op;
    enum kind kind;
    char key[64];
    char json[2048]; /* the body, or the merge patch */
};

static inline void plan_secret(struct dice *dice, const char *name, struct buf *out) {
    static const char *const values[] = {"", "pw-1", "pw-2", "pw-3"};
    buf_printf(out, "{\"metadata\":{\"name\":\"%s\"},\"stringData\":{\"%s\":\"%s\"", name, secret_keys[0],
               PICK(dice, values));
    if (dice_chance(dice, 60)) {
        buf_printf(out, ",\"%s\":\"%s\"", secret_keys[1], PICK(dice, values));
    }
    buf_add_str(out, "}}");
}

static inline void plan_body(struct dice *dice, const struct plan *plan, struct buf *out) {
    switch (plan->kind) {
    case KIND_NODE:
        random_node(dice, plan->key, out);
        break;
    case KIND_BGPPEER:
        random_peer(dice, plan->key, out);
        break;
    case KIND_BGPCONFIGURATION:
        random_config(dice, plan->key, out);
        break;
    case KIND_SECRET:
        plan_secret(dice, strchr(plan->key, '/') + 1, out);
        break;
    case KIND_BGPFILTER:
    case KIND_COUNT:
        buf_printf(out, "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"exportV4\":[{\"action\":\"Accept\"}]}}",
                   plan->key);
        break;
    }
}

static inline void plan_patch(struct dice *dice, const struct plan *plan, struct buf *out) {
    static const char *const specs[] = {
        "{\"spec\":{\"maxRestartTime\":\"7s\"}}", "{\"spec\":{\"ttlSecurity\":2,\"password\":null}}",
        "{\"spec\":{\"peerIP\":\"300.0.0.1\"}}", "{\"spec\":{\"filters\":[\"f1\"]}}"};
    static const char *const labels[] = {
        "{\"metadata\":{\"labels\":{\"rack\":\"b\"}}}", "{\"metadata\":{\"labels\":{\"rr\":null}}}",
        "{\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.9/24\"}}}", "{\"spec\":{\"bgp\":null}}"};
    static const char *const configs[] = {"{\"spec\":{\"listenPort\":1790}}",
                                          "{\"spec\":{\"listenPort\":null}}"};
    buf_add_str(out, plan->kind == KIND_BGPPEER  ? PICK(dice, specs)
                     : plan->kind == KIND_NODE   ? PICK(dice, labels)
                     : plan->kind == KIND_SECRET ? "{\"stringData\":{\"a\":\"pw-9\"}}"
                     : plan->kind == KIND_BGPCONFIGURATION
                         ? PICK(dice, configs)
                         : "{\"metadata\":{\"annotations\":{\"note\":\"x\"}}}");
}

static inline void plan_one(struct dice *dice, struct plan *plan) {
    static const enum write_op ops[] = {WRITE_REPLACE, WRITE_REPLACE, WRITE_REPLACE, WRITE_REPLACE,
                                        WRITE_CREATE,  WRITE_PATCH,   WRITE_DELETE};
    struct buf json = BUF_INIT;
    *plan = (struct plan){.op = PICK(dice, ops)};
    plan->kind = random_target(dice, plan->key);
    if (dice_chance(dice, 15)) { /* what they alter is not in any object */
        plan->kind = KIND_SECRET;
        snprintf(plan->key, sizeof(plan->key), "default/%s", PICK(dice, secret_names));
    }
    if (plan->op == WRITE_PATCH) {
        plan_patch(dice, plan, &json);
    } else if (plan->op != WRITE_DELETE) {
        plan_body(dice, plan, &json);
    }
    assert_true(json.len < sizeof(plan->json));
    snprintf(plan->json, sizeof(plan->json), "%s", json.len > 0 ? json.data : "");
    buf_done(&json);
}

/* The write of a plan; false: its body is refused before it becomes one. */
static inline bool call_from(struct call *call, const struct plan *plan) {
    const char *slash = strchr(plan->key, '/');
    struct codec_options options = {.kind = plan->kind,
                                    .name = slash == NULL ? plan->key : slash + 1,
                                    .name_space = slash == NULL ? NULL : "default"};
    struct causes causes;
    struct advice advice;
    struct err err = ERR_INIT;
    call_init(call, plan->op, plan->kind, plan->op == WRITE_CREATE ? NULL : plan->key);
    call->write.upsert = plan->op == WRITE_REPLACE;
    if (plan->op == WRITE_PATCH) {
        call->write.patch = plan->json;
        call->write.patch_len = strlen(plan->json);
        return true;
    }
    causes_init(&causes, &call->arena);
    advice_init(&advice, &call->arena);
    return plan->op == WRITE_DELETE ||
           codec_decode(&options, plan->json, strlen(plan->json), &call->object_arena, &call->write.object,
                        &causes, &advice, &err) == 0;
}

static inline void calls_end(struct call *calls, size_t count) {
    for (size_t i = 0; i < count; i++) {
        call_end(&calls[i]);
    }
}

static inline bool calls_from(struct call *calls, const struct plan *plans, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!call_from(&calls[i], &plans[i])) {
            calls_end(calls, i + 1);
            return false;
        }
        if (i > 0) {
            calls[i - 1].write.also = &calls[i].write;
        }
    }
    return true;
}

#endif
