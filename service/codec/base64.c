/*
 * Base64 as a JSON string. Pure; what it returns is the caller's.
 */
#include "codec_internal.h"

json_t *base64_json(const uint8_t *bytes, size_t len) {
    struct buf text = {.wipe = true};
    json_t *json = NULL;

    buf_add_base64(&text, bytes, len);
    if (!buf_failed(&text)) {
        json = json_stringn_nocheck(text.data ? text.data : "", text.len);
    }
    buf_done(&text);
    return json;
}
