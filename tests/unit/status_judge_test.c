/*
 * The verdict table, whole: every combination of what each end wants, has, has applied and says, against what
 * must hold of any verdict; and each sentence that an operator can get, once, as it reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "status.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define LONG_MS         (STATUS_SETTLE_MS + STATUS_HALF_UP_MS + 1000)

/* ---- every combination ---- */

enum want_form { WANT_NOTHING, WANT_PLAIN, WANT_WITHHELD, WANT_OTHER_AS, WANT_OTHER_PASSWORD, WANT_FORMS };
enum hearing { HEARD_NEVER, HEARD_LONG_AGO, HEARD_POLLS_ONLY, HEARD_REPORTS, HEARINGS };
enum version { VERSION_OLD, VERSION_FAILED, VERSION_FRESH, VERSION_SETTLED, VERSIONS };

/* One end of a case; the memory behind its pointers. */
struct end_case {
    enum want_form form;
    enum hearing hearing;
    enum version version;
    enum session_state state;
    struct status_want want;
    struct status_session has;
    struct status_end end;
};

static void end_make(struct end_case *c, const char *name, bool far) {
    c->want = (struct status_want){
        .port = 179,
        .as_number = c->form == WANT_OTHER_AS ? 64999 : 64512,
        .local_as_number = 64512,
        .has_password = true,
        .password = c->form == WANT_OTHER_PASSWORD ? 2 : 1,
        .withheld = c->form == WANT_WITHHELD,
        .passive = far,
    };
    c->has = (struct status_session){.port = 179, .state = (uint8_t)c->state, .hold_time_s = -1};
    c->end = (struct status_end){
        .node = name,
        .heard_age_ms = c->hearing == HEARD_NEVER      ? -1
                        : c->hearing == HEARD_LONG_AGO ? STATUS_SILENT_MS + 1
                                                       : 1000,
        .reports = c->hearing == HEARD_REPORTS,
        .knows_list = true,
        .applied = c->version == VERSION_FRESH || c->version == VERSION_SETTLED,
        .applied_age_ms = c->version == VERSION_SETTLED ? LONG_MS : 1000,
        .apply_error = c->version == VERSION_FAILED ? "line 3: syntax error" : NULL,
        .want = c->form == WANT_NOTHING ? NULL : &c->want,
        .has = c->state == SESSION_ABSENT ? NULL : &c->has,
        .has_age_ms = LONG_MS,
    };
}

static bool is_up(const struct end_case *c) {
    return c->state == SESSION_ESTABLISHED;
}

/* What must hold of the verdict, whatever the rules are. */
static void check_case(const struct end_case *here, const struct end_case *there,
                       const struct status_judgement *j) {
    bool both_up = is_up(here) && (there == NULL || is_up(there));
    bool fits = there == NULL || (there->form == WANT_PLAIN && here->form == WANT_PLAIN);
    bool both_heard = here->hearing == HEARD_REPORTS && (there == NULL || there->hearing == HEARD_REPORTS);
    bool both_applied = here->end.applied && (there == NULL || there->end.applied);
    assert_true(j->verdict < VERDICT_COUNT);
    assert_int_equal(j->message[0] == '\0', j->verdict == VERDICT_UP);
    if (here->hearing != HEARD_REPORTS) {
        assert_int_equal(j->verdict, VERDICT_UNKNOWN); /* silence is never Up and never Down */
        return;
    }
    switch (j->verdict) {
    case VERDICT_UP:
        assert_true(both_up && both_heard && both_applied && here->form != WANT_NOTHING &&
                    here->form != WANT_WITHHELD);
        break;
    case VERDICT_HALF_UP:
        assert_true(there != NULL && is_up(here) != is_up(there) && both_heard && both_applied);
        break;
    case VERDICT_DOWN:
        assert_false(both_up && both_heard && both_applied);
        break;
    case VERDICT_CONVERGING:
        assert_true(!both_applied || here->end.applied_age_ms < STATUS_SETTLE_MS ||
                    (there != NULL && there->end.applied_age_ms < STATUS_SETTLE_MS));
        break;
    case VERDICT_WITHHELD:
        assert_true(here->form == WANT_WITHHELD);
        break;
    case VERDICT_INCOMPATIBLE:
        assert_true(there != NULL && !fits);
        break;
    case VERDICT_UNEXPECTED:
        assert_true(here->end.applied &&
                    (here->form == WANT_NOTHING || (here->form == WANT_WITHHELD && is_up(here))));
        break;
    case VERDICT_MISSING:
        assert_true(here->state == SESSION_ABSENT && here->form != WANT_NOTHING && both_heard &&
                    both_applied);
        break;
    case VERDICT_UNKNOWN:
        assert_true(there != NULL && there->hearing != HEARD_REPORTS);
        break;
    case VERDICT_COUNT:
        fail();
    }
    /* And the other way round: what is clear must be said. */
    if (both_heard && both_applied && fits && both_up && here->form != WANT_NOTHING &&
        here->form != WANT_WITHHELD) {
        assert_int_equal(j->verdict, VERDICT_UP);
    }
    bool settled = here->version == VERSION_SETTLED && (there == NULL || there->version == VERSION_SETTLED);
    if (both_heard && settled && fits && here->form == WANT_PLAIN && !both_up) {
        assert_true(j->verdict == VERDICT_DOWN || j->verdict == VERDICT_HALF_UP ||
                    j->verdict == VERDICT_MISSING);
    }
}

static bool end_next(struct end_case *c) {
    if (++c->state < SESSION_STATE_COUNT) {
        return true;
    }
    c->state = SESSION_ABSENT;
    if (++c->version < VERSIONS) {
        return true;
    }
    c->version = VERSION_OLD;
    if (++c->hearing < HEARINGS) {
        return true;
    }
    c->hearing = HEARD_NEVER;
    return ++c->form < WANT_FORMS;
}

static void test_every_combination(void **state) {
    (void)state;
    size_t cases = 0;
    size_t seen[VERDICT_COUNT] = {0};
    struct end_case here = {.form = WANT_NOTHING};
    do {
        end_make(&here, "here", false);
        if (here.end.want == NULL && here.end.has == NULL) {
            continue; /* no session at all */
        }
        struct status_judgement judgement;
        status_judge(&here.end, NULL, &judgement);
        check_case(&here, NULL, &judgement);
        struct end_case there = {.form = WANT_NOTHING};
        do {
            end_make(&there, "there", true);
            status_judge(&here.end, &there.end, &judgement);
            check_case(&here, &there, &judgement);
            seen[judgement.verdict]++;
            cases++;
        } while (end_next(&there));
    } while (end_next(&here));
    assert_true(cases > 200000);
    for (size_t i = 0; i < VERDICT_COUNT; i++) {
        assert_true(seen[i] > 0);
    }
}

/* ---- every sentence ---- */

/* A settled session between two nodes that report, both Active; each case changes something of it. */
struct pair {
    struct end_case here;
    struct end_case there;
    bool external;
};

static struct pair pair_make(void) {
    struct pair pair = {
        .here = {.form = WANT_PLAIN,
                 .hearing = HEARD_REPORTS,
                 .version = VERSION_SETTLED,
                 .state = SESSION_ACTIVE},
    };
    pair.there = pair.here;
    return pair;
}

static void pair_finish(struct pair *pair) {
    end_make(&pair->here, "rack1-host1", false);
    end_make(&pair->there, "rack2-host1", true);
    pair->here.want.passive = pair->there.want.passive = false;
}

struct sentence {
    void (*change)(struct pair *pair);
    enum status_verdict verdict;
    const char *message;
};

static void up(struct pair *p) {
    p->here.has.state = p->there.has.state = SESSION_ESTABLISHED;
}
static void never_heard(struct pair *p) {
    p->here.end.heard_age_ms = -1;
    p->here.end.reports = false;
}
static void silent(struct pair *p) {
    p->here.end.heard_age_ms = 140000;
    p->here.end.reports = false;
}
static void polls_only(struct pair *p) {
    p->there.end.heard_age_ms = 3000;
    p->there.end.reports = false;
}
static void unwanted_old(struct pair *p) {
    p->here.end.want = NULL;
    p->here.end.applied = false;
}
static void unwanted(struct pair *p) {
    p->here.end.want = NULL;
}
static void withheld(struct pair *p) {
    p->here.want.withheld = true;
}
static void withheld_but_up(struct pair *p) {
    p->here.want.withheld = true;
    p->here.has.state = SESSION_ESTABLISHED;
}
static void no_far_side(struct pair *p) {
    p->there.end.want = NULL;
}
static void other_as(struct pair *p) {
    p->there.want.local_as_number = 64999;
}
static void as_expected_there(struct pair *p) {
    p->there.want.as_number = 64999;
}
static void far_withheld(struct pair *p) {
    p->there.want.withheld = true;
}
static void far_password(struct pair *p) {
    p->there.want.password = 7;
}
static void far_no_password(struct pair *p) {
    p->there.want.has_password = false;
}
static void both_passive(struct pair *p) {
    p->here.want.passive = p->there.want.passive = true;
}
static void apply_failed(struct pair *p) {
    p->here.end.applied = false;
    p->here.end.apply_error = "bird.conf:12:5 syntax error";
}
static void far_not_applied(struct pair *p) {
    p->there.end.applied = false;
}
static void missing(struct pair *p) {
    p->here.end.has = NULL;
}
static void far_missing(struct pair *p) {
    p->there.end.has = NULL;
}
static void half_up(struct pair *p) {
    p->here.has.state = SESSION_ESTABLISHED;
}
static void bad_as(struct pair *p) {
    p->here.has.error = SESSION_ERROR_BAD_PEER_AS;
}
static void bad_as_says_remote(struct pair *p) {
    p->here.has.error = SESSION_ERROR_BAD_PEER_AS;
    p->here.has.error_from_remote = true;
}
static void bad_as_at_once(struct pair *p) {
    bad_as(p);
    p->here.end.applied_age_ms = 500;
    p->here.end.error_is_new = true;
}
static void md5_there(struct pair *p) {
    p->there.has.error = SESSION_ERROR_MD5_DIFFERS;
}
static void ttl(struct pair *p) {
    p->here.has.state = SESSION_OPEN_CONFIRM;
    p->here.want.ttl_security = 1;
}
static void ttl_counted(struct pair *p) {
    p->here.has.error = SESSION_ERROR_TTL;
}
static void connecting(struct pair *p) {
    p->here.has.state = SESSION_CONNECT;
}
static void refused(struct pair *p) {
    p->here.has.error = SESSION_ERROR_REFUSED;
}
static void reset_guess(struct pair *p) {
    p->here.has.error = SESSION_ERROR_RESET;
}
static void shut_down_there(struct pair *p) {
    p->there.has.shut_down = true;
}
static void external_passive(struct pair *p) {
    p->external = true;
    p->here.want.passive = true;
    p->here.has.state = SESSION_ACTIVE;
}
static void unchanged(struct pair *p) {
    (void)p;
}

static const struct sentence SENTENCES[] = {
    {up, VERDICT_UP, ""},
    {never_heard, VERDICT_UNKNOWN,
     "nothing was heard of rack1-host1 since the service started; is its agent running?"},
    {silent, VERDICT_UNKNOWN, "agent of rack1-host1 silent for 140 s; look at the agent on that host"},
    {polls_only, VERDICT_UNKNOWN,
     "rack2-host1 polls its list but does not report what its sessions do; does its agent report?"},
    {unwanted_old, VERDICT_CONVERGING, "no longer in the list, which rack1-host1 has not applied yet"},
    {unwanted, VERDICT_UNEXPECTED,
     "the daemon of rack1-host1 has this session, its list does not; another configuration must be its "
     "source"},
    {withheld, VERDICT_WITHHELD,
     "withheld: its password cannot be had; `problems` of the list of rack1-host1 says why"},
    {withheld_but_up, VERDICT_UNEXPECTED,
     "withheld for want of its password, yet Established on rack1-host1; stop that session there"},
    {no_far_side, VERDICT_INCOMPATIBLE,
     "far side has no such peer: the list of rack2-host1 has no session to here"},
    {other_as, VERDICT_INCOMPATIBLE,
     "AS numbers differ: AS 64512 is expected of rack2-host1, which is AS 64999"},
    {as_expected_there, VERDICT_INCOMPATIBLE,
     "AS numbers differ: rack2-host1 expects AS 64999, this end is AS 64512"},
    {far_withheld, VERDICT_INCOMPATIBLE,
     "withheld at the far end: `problems` of the list of rack2-host1 says why"},
    {far_password, VERDICT_INCOMPATIBLE,
     "passwords differ: the fingerprints in the two lists are not the same"},
    {far_no_password, VERDICT_INCOMPATIBLE,
     "passwords differ: rack2-host1 has no password, this end has one"},
    {both_passive, VERDICT_INCOMPATIBLE, "both ends are passive: neither connects"},
    {apply_failed, VERDICT_DOWN, "rack1-host1 could not apply its list: bird.conf:12:5 syntax error"},
    {far_not_applied, VERDICT_CONVERGING, "list not yet applied by rack2-host1"},
    {missing, VERDICT_MISSING, "the daemon of rack1-host1 does not have this session, though its list does"},
    {far_missing, VERDICT_DOWN, "the daemon of rack2-host1 does not have the session"},
    {half_up, VERDICT_HALF_UP, "not Established: Established here, there Active"},
    {bad_as, VERDICT_DOWN, "wrong AS at the far end, as rack1-host1 sees it (Bad Peer AS)"},
    {bad_as_says_remote, VERDICT_DOWN,
     "wrong AS: the far end does not accept the AS of rack1-host1 (Bad Peer AS)"},
    {bad_as_at_once, VERDICT_DOWN, "wrong AS at the far end, as rack1-host1 sees it (Bad Peer AS)"},
    {md5_there, VERDICT_DOWN, "passwords differ: rack2-host1 drops segments whose signature does not match"},
    {ttl, VERDICT_DOWN, "connected, but no answer to OPEN: TTL too low for ttlSecurity is likely"},
    {ttl_counted, VERDICT_DOWN,
     "TTL too low: rack1-host1 drops segments that come from too far away (ttlSecurity)"},
    {connecting, VERDICT_DOWN,
     "no answer to the connection: the passwords differ, or the far end cannot be reached"},
    {refused, VERDICT_DOWN,
     "connection from rack1-host1 refused: no BGP daemon listens at the far end, or on another port"},
    {reset_guess, VERDICT_DOWN, "connection of rack1-host1 closed by the far end: it may have no such peer"},
    {shut_down_there, VERDICT_DOWN, "shut down on rack2-host1, though its list wants it"},
    {external_passive, VERDICT_DOWN, "passive: the far end has not connected"},
    {unchanged, VERDICT_DOWN, "not Established: Active here, there Active"},
};

static void test_sentences(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(SENTENCES); i++) {
        struct pair pair = pair_make();
        pair_finish(&pair);
        SENTENCES[i].change(&pair);
        struct status_judgement judgement;
        status_judge(&pair.here.end, pair.external ? NULL : &pair.there.end, &judgement);
        assert_string_equal(judgement.message, SENTENCES[i].message);
        assert_int_equal(judgement.verdict, SENTENCES[i].verdict);
    }
}

/* Each error that an agent can name has its own sentence, and names the node once. */
static void test_every_error_is_told(void **state) {
    (void)state;
    char told[SESSION_ERROR_COUNT][2][STATUS_MESSAGE_MAX];
    for (int error = SESSION_ERROR_NONE + 1; error < SESSION_ERROR_COUNT; error++) {
        for (int remote = 0; remote < 2; remote++) {
            struct pair pair = pair_make();
            pair_finish(&pair);
            pair.here.has.error = (uint8_t)error;
            pair.here.has.error_from_remote = remote == 1;
            struct status_judgement judgement;
            status_judge(&pair.here.end, &pair.there.end, &judgement);
            assert_int_equal(judgement.verdict, VERDICT_DOWN);
            assert_non_null(strstr(judgement.message, "rack1-host1"));
            snprintf(told[error][remote], sizeof(told[error][remote]), "%s", judgement.message);
        }
        for (int other = SESSION_ERROR_NONE + 1; other < error; other++) {
            assert_string_not_equal(told[error][0], told[other][0]);
        }
    }
}

static void test_names(void **state) {
    (void)state;
    for (int v = 0; v < VERDICT_COUNT; v++) {
        enum status_verdict verdict;
        assert_true(verdict_by_name(verdict_name((enum status_verdict)v), &verdict));
        assert_int_equal(verdict, v);
    }
    enum status_verdict untouched = VERDICT_MISSING;
    assert_false(verdict_by_name("up", &untouched));
    assert_int_equal(untouched, VERDICT_MISSING);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_combination),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_every_error_is_told),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
