/*
 * The daemons' own parsers as judges of what is rendered. A machine without a daemon skips its judgement.
 */
#ifndef BGPPEERD_TESTS_UNIT_RENDER_JUDGE_H
#define BGPPEERD_TESTS_UNIT_RENDER_JUDGE_H

#include <stdbool.h>
#include <unistd.h>

#include "base/buf.h"

/* Does the daemon of this format accept the text? What it says else is in `complaint` (NUL-terminated). */
enum verdict { VERDICT_ACCEPTED, VERDICT_REFUSED, VERDICT_NO_DAEMON };
enum verdict judge(const char *format, const struct buf *text, struct buf *complaint);

#endif
