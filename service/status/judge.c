/*
 * The verdict on one session. Pure: two ends in, a verdict and a sentence out.
 *
 * The rules, in their order; the first that fits decides:
 *
 *  1. Unknown       this end's agent does not report: nothing is claimed, whatever it said last.
 *  2. Converging    the list has no such session, the daemon has it, and the newest list is not applied yet.
 *     Unexpected    … and it is applied.
 *  3. Unexpected    the session is withheld, and is Established all the same.
 *     Withheld      the session is withheld.
 *  4. Converging    the two lists do not fit together, but the far end has not applied its newest one.
 *     Incompatible  the two lists do not fit together: it cannot come up.
 *  5. Down          this end could not apply its list.
 *     Converging    this end has not applied this session's newest form yet.
 *  6. Unknown       the far node's agent does not report.
 *  7. Down          the far end could not apply its list, and the session is not Established at both ends.
 *     Converging    the far end has not applied this session's newest form yet.
 *  8. Up            Established at both ends (at this end, when the far end is not one of our nodes).
 *  9. Converging    an end has applied it less than STATUS_SETTLE_MS ago; it was not up since, and no error
 * since then names a cause.
 * 10. Missing       this daemon does not have the session.
 * 11. Converging    one end is Established, the other is not, for less than STATUS_HALF_UP_MS.
 *     HalfUp        … for longer.
 * 12. Down          none of them is.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "status.h"

/* The two ends, and where the answer goes. */
struct judge {
    const struct status_end *here;
    const struct status_end *there; /* NULL: not one of ours */
    struct status_judgement *out;
};

static bool judge_says(struct judge *judge, enum status_verdict verdict, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
static bool judge_says(struct judge *judge, enum status_verdict verdict, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(judge->out->message, sizeof(judge->out->message), fmt, args);
    va_end(args);
    judge->out->verdict = verdict;
    return true;
}

static bool end_is_in(const struct status_end *end, enum session_state state) {
    return end->has != NULL && end->has->state == state;
}

static bool end_is_up(const struct status_end *end) {
    return end_is_in(end, SESSION_ESTABLISHED);
}

static const char *end_state(const struct status_end *end) {
    return end->has == NULL ? "absent" : session_state_name((enum session_state)end->has->state);
}

/* ---- 1, 6: silence ---- */

static bool judge_silence(struct judge *judge, const struct status_end *end) {
    if (end->reports) {
        return false;
    }
    if (end->heard_age_ms < 0) {
        return judge_says(judge, VERDICT_UNKNOWN,
                          "nothing was heard of %s since the service started; is its agent running?",
                          end->node);
    }
    if (end->heard_age_ms < STATUS_SILENT_MS) {
        return judge_says(
            judge, VERDICT_UNKNOWN,
            "%s polls its list but does not report what its sessions do; does its agent report?", end->node);
    }
    return judge_says(judge, VERDICT_UNKNOWN,
                      "agent of %s silent for %" PRId64 " s; look at the agent on that host", end->node,
                      end->heard_age_ms / 1000);
}

/* ---- 2, 3: what this end's list says ---- */

static bool judge_unwanted(struct judge *judge) {
    const struct status_end *here = judge->here;
    if (here->want != NULL) {
        return false;
    }
    if (!here->applied) {
        return judge_says(judge, VERDICT_CONVERGING, "no longer in the list, which %s has not applied yet",
                          here->node);
    }
    return judge_says(
        judge, VERDICT_UNEXPECTED,
        "the daemon of %s has this session, its list does not; another configuration must be its source",
        here->node);
}

static bool judge_withheld(struct judge *judge) {
    const struct status_end *here = judge->here;
    if (!here->want->withheld) {
        return false;
    }
    if (end_is_up(here) && here->applied) {
        return judge_says(judge, VERDICT_UNEXPECTED,
                          "withheld for want of its password, yet Established on %s; stop that session there",
                          here->node);
    }
    return judge_says(judge, VERDICT_WITHHELD,
                      "withheld: its password cannot be had; `problems` of the list of %s says why",
                      here->node);
}

/* ---- 4: do the two lists fit together? ---- */

/* Say why they do not; false: they do. */
static bool judge_mirror(struct judge *judge, enum status_verdict verdict) {
    const struct status_want *here = judge->here->want;
    const struct status_want *there = judge->there->want;
    const char *far = judge->there->node;
    if (there == NULL) {
        return judge_says(judge, verdict, "far side has no such peer: the list of %s has no session to here",
                          far);
    }
    if (here->as_number != there->local_as_number) {
        return judge_says(judge, verdict,
                          "AS numbers differ: AS %" PRIu32 " is expected of %s, which is AS %" PRIu32,
                          here->as_number, far, there->local_as_number);
    }
    if (there->as_number != here->local_as_number) {
        return judge_says(judge, verdict,
                          "AS numbers differ: %s expects AS %" PRIu32 ", this end is AS %" PRIu32, far,
                          there->as_number, here->local_as_number);
    }
    if (there->withheld) {
        return judge_says(judge, verdict, "withheld at the far end: `problems` of the list of %s says why",
                          far);
    }
    if (here->has_password != there->has_password) {
        return judge_says(judge, verdict, "passwords differ: %s has %s password, this end has %s", far,
                          there->has_password ? "a" : "no", here->has_password ? "one" : "none");
    }
    if (here->has_password && here->password != there->password) {
        return judge_says(judge, verdict,
                          "passwords differ: the fingerprints in the two lists are not the same");
    }
    if (here->passive && there->passive) {
        return judge_says(judge, verdict, "both ends are passive: neither connects");
    }
    return false;
}

static bool judge_lists(struct judge *judge) {
    if (judge->there == NULL || !judge->there->knows_list) {
        return false;
    }
    bool far_is_late = judge->there->reports && !judge->there->applied && judge->there->want == NULL;
    return judge_mirror(judge, far_is_late ? VERDICT_CONVERGING : VERDICT_INCOMPATIBLE);
}

/* ---- 5, 7: have the daemons taken their lists? ---- */

static bool judge_application(struct judge *judge, const struct status_end *end) {
    if (end->applied) {
        return false;
    }
    if (end->apply_error != NULL) {
        return judge_says(judge, VERDICT_DOWN, "%s could not apply its list: %s", end->node,
                          end->apply_error);
    }
    return judge_says(judge, VERDICT_CONVERGING, "list not yet applied by %s", end->node);
}

/* ---- 11, 12: why is it not up? ---- */

/* What an error says about its cause, from the view of the end that has it. */
struct error_text {
    bool certain;            /* the error names the cause; otherwise the lists and states may know better */
    const char *text;        /* %s: the node that has it */
    const char *from_remote; /* when the far end said it; NULL: the same */
};

static const struct error_text ERROR_TEXTS[SESSION_ERROR_COUNT] = {
    [SESSION_ERROR_BAD_PEER_AS] = {true, "wrong AS at the far end, as %s sees it (Bad Peer AS)",
                                   "wrong AS: the far end does not accept the AS of %s (Bad Peer AS)"},
    [SESSION_ERROR_BAD_BGP_IDENTIFIER] = {true, "%s refuses the far end's BGP identifier",
                                          "the far end refuses the BGP identifier of %s"},
    [SESSION_ERROR_OPEN] = {true, "%s refuses the far end's OPEN message",
                            "the far end refuses the OPEN message of %s"},
    [SESSION_ERROR_UPDATE] = {true, "%s refuses an UPDATE message of the far end",
                              "the far end refuses an UPDATE message of %s"},
    [SESSION_ERROR_HEADER] = {true, "%s refuses a message header of the far end",
                              "the far end refuses a message header of %s"},
    [SESSION_ERROR_PASSWORD_UNUSABLE] = {true, "the kernel of %s does not take the session's password", NULL},
    [SESSION_ERROR_LINK_DOWN] = {true, "the link to the far end is down on %s", NULL},
    [SESSION_ERROR_HOLD_TIMER] = {false, "hold timer expired on %s: nothing came from the far end",
                                  "hold timer expired at the far end: nothing came from %s"},
    [SESSION_ERROR_FSM] = {false, "%s had a finite state machine error", NULL},
    [SESSION_ERROR_MAX_PREFIXES] = {true, "%s closed it: too many prefixes were received",
                                    "the far end closed it: %s sent too many prefixes"},
    [SESSION_ERROR_ADMIN_SHUTDOWN] = {true, "shut down by hand on %s",
                                      "shut down by hand at the far end of %s"},
    [SESSION_ERROR_PEER_DECONFIGURED] = {true, "%s has removed the session",
                                         "far side has no such peer: it has removed the session with %s"},
    [SESSION_ERROR_ADMIN_RESET] = {false, "reset by hand on %s", "reset by hand at the far end of %s"},
    [SESSION_ERROR_CONNECTION_REJECTED] = {true, "%s rejects the far end's connection",
                                           "the far end rejects the connection of %s"},
    [SESSION_ERROR_CEASE] = {false, "%s closed it", "the far end of %s closed it"},
    [SESSION_ERROR_REFUSED] =
        {true, "connection from %s refused: no BGP daemon listens at the far end, or on another port", NULL},
    [SESSION_ERROR_RESET] = {false, "connection of %s closed by the far end: it may have no such peer", NULL},
    [SESSION_ERROR_NO_ROUTE] = {true, "the far end cannot be reached from %s: no route", NULL},
    [SESSION_ERROR_TIMED_OUT] = {false, "the far end does not answer %s", NULL},
    [SESSION_ERROR_NO_SOURCE_ADDRESS] = {true, "the session's source address is no address of %s", NULL},
    [SESSION_ERROR_DAEMON_AWAY] = {true, "the BGP daemon of %s does not run", NULL},
    [SESSION_ERROR_MD5_DIFFERS] = {true, "passwords differ: %s drops segments whose signature does not match",
                                   NULL},
    [SESSION_ERROR_MD5_MISSING] = {true, "passwords differ: %s has one, the far end does not sign", NULL},
    [SESSION_ERROR_MD5_UNEXPECTED] = {true, "passwords differ: the far end signs, %s has no password for it",
                                      NULL},
    [SESSION_ERROR_TTL] = {true, "TTL too low: %s drops segments that come from too far away (ttlSecurity)",
                           NULL},
    [SESSION_ERROR_OTHER] = {false, "the daemon of %s reports an error that is not classified", NULL},
};

bool status_error_is_certain(enum session_error error) {
    return ERROR_TEXTS[error].certain;
}

/* The error that is to be told of this end: what the kernel has counted names a cause, the daemon may not. */
static enum session_error end_error(const struct status_end *end) {
    if (end->has == NULL || end->has->state == SESSION_ESTABLISHED) {
        return SESSION_ERROR_NONE;
    }
    return end->kernel_error != SESSION_ERROR_NONE ? end->kernel_error : (enum session_error)end->has->error;
}

/* Say what this end's error tells. `certain`: only an error that names the cause. */
static bool judge_error(struct judge *judge, enum status_verdict verdict, const struct status_end *end,
                        bool certain) {
    enum session_error error = end == NULL ? SESSION_ERROR_NONE : end_error(end);
    const struct error_text *text = &ERROR_TEXTS[error];
    if (error == SESSION_ERROR_NONE || (certain && !text->certain)) {
        return false;
    }
    bool remote = error == end->has->error && end->has->error_from_remote && text->from_remote != NULL;
    /* The format is one of the table's; each has exactly one %s. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return judge_says(judge, verdict, remote ? text->from_remote : text->text, end->node);
#pragma GCC diagnostic pop
}

static bool judge_shut_down(struct judge *judge, enum status_verdict verdict, const struct status_end *end) {
    if (end == NULL || end->has == NULL || !end->has->shut_down) {
        return false;
    }
    return judge_says(judge, verdict, "shut down on %s, though its list wants it", end->node);
}

/* What states and lists let one suppose when no daemon names a cause. */
static bool judge_guess(struct judge *judge, enum status_verdict verdict) {
    const struct status_end *here = judge->here;
    const struct status_end *there = judge->there;
    if (there != NULL && there->has == NULL) {
        return judge_says(judge, verdict, "the daemon of %s does not have the session", there->node);
    }
    bool opens = end_is_in(here, SESSION_OPEN_SENT) || end_is_in(here, SESSION_OPEN_CONFIRM);
    if (opens && (here->want->ttl_security != 0 || (there != NULL && there->want->ttl_security != 0))) {
        return judge_says(judge, verdict,
                          "connected, but no answer to OPEN: TTL too low for ttlSecurity is likely");
    }
    bool connects = end_is_in(here, SESSION_CONNECT) || (there != NULL && end_is_in(there, SESSION_CONNECT));
    if (connects && here->want->has_password) {
        return judge_says(
            judge, verdict,
            "no answer to the connection: the passwords differ, or the far end cannot be reached");
    }
    if (there == NULL && here->want->passive) {
        return judge_says(judge, verdict, "passive: the far end has not connected");
    }
    if (there == NULL) {
        return judge_says(
            judge, verdict,
            "not Established: %s here, and the daemon of %s names no cause; compare AS numbers and "
            "addresses with the far end's configuration, and look at that daemon's log",
            end_state(here), here->node);
    }
    return judge_says(judge, verdict, "not Established: %s here, there %s", end_state(here),
                      end_state(there));
}

static bool judge_cause(struct judge *judge, enum status_verdict verdict) {
    return judge_shut_down(judge, verdict, judge->here) || judge_shut_down(judge, verdict, judge->there) ||
           judge_error(judge, verdict, judge->here, true) ||
           judge_error(judge, verdict, judge->there, true) ||
           judge_error(judge, verdict, judge->here, false) ||
           judge_error(judge, verdict, judge->there, false) || judge_guess(judge, verdict);
}

/* ---- 8 to 12 ---- */

/* Is what this end shows more than the beginning of a session? */
static bool end_is_telling(const struct status_end *end) {
    return end->was_up || end->kernel_error != SESSION_ERROR_NONE ||
           (end->error_is_new && ERROR_TEXTS[end_error(end)].certain);
}

/* Have the daemons had the time to bring up what they were given? */
static bool ends_are_settled(const struct status_end *here, const struct status_end *there) {
    if (end_is_telling(here) || (there != NULL && end_is_telling(there))) {
        return true;
    }
    return here->applied_age_ms >= STATUS_SETTLE_MS &&
           (there == NULL || there->applied_age_ms >= STATUS_SETTLE_MS);
}

static bool judge_states(struct judge *judge) {
    const struct status_end *here = judge->here;
    const struct status_end *there = judge->there;
    bool up_here = end_is_up(here);
    bool up_there = there == NULL ? up_here : end_is_up(there);
    if (up_here && up_there) {
        return judge_says(judge, VERDICT_UP, "%s", "");
    }
    if (!ends_are_settled(here, there)) {
        return judge_cause(judge, VERDICT_CONVERGING);
    }
    if (here->has == NULL) {
        return judge_says(judge, VERDICT_MISSING,
                          "the daemon of %s does not have this session, though its list does", here->node);
    }
    if (up_here != up_there) {
        int64_t age_ms = here->has_age_ms;
        if (there->has_age_ms < age_ms) {
            age_ms = there->has_age_ms;
        }
        return judge_cause(judge, age_ms < STATUS_HALF_UP_MS ? VERDICT_CONVERGING : VERDICT_HALF_UP);
    }
    return judge_cause(judge, VERDICT_DOWN);
}

void status_judge(const struct status_end *here, const struct status_end *there,
                  struct status_judgement *ret) {
    struct judge judge = {.here = here, .there = there, .out = ret};
    bool said = judge_silence(&judge, here) || judge_unwanted(&judge) || judge_withheld(&judge) ||
                judge_lists(&judge) || judge_application(&judge, here) ||
                (there != NULL && judge_silence(&judge, there)) ||
                (there != NULL && judge_application(&judge, there)) || judge_states(&judge);
    (void)said; /* the last rule always fits */
}
