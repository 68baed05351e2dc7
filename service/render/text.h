/*
 * Inside the render room: pieces of text, and what a resource's text becomes in a comment.
 */
#ifndef BGPPEERD_RENDER_TEXT_H
#define BGPPEERD_RENDER_TEXT_H

#include "base/buf.h"

/* Several texts, one after the other: PUT(out, "neighbor ", address, " passive\n"). */
#define PUT(out, ...) text_put((out), (const char *const[]){__VA_ARGS__, NULL})
void text_put(struct buf *out, const char *const *texts);
/* A number between two texts. */
void text_number(struct buf *out, const char *before, uint64_t number, const char *after);

/*
 * Text of a resource as a part of a comment or a description: every byte that is not printable ASCII, and
 * those that mean something to a daemon's reader even there (quotes, backslash, braces, #), becomes '?'; what
 * is longer than TEXT_PLAIN_MAX is cut.
 */
#define TEXT_PLAIN_MAX 255
void text_plain(struct buf *out, const char *text);
/* The same without blanks, for lines of key=value; "-" for "" and NULL. */
void text_word(struct buf *out, const char *text);

#endif
