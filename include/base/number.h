/*
 * Number text: AS numbers (RFC 5396 asplain and asdot+ as Calico's Go type reads them), Go durations,
 * plain unsigned decimals. All functions are pure and thread-safe.
 */
#ifndef BGPPEERD_BASE_NUMBER_H
#define BGPPEERD_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The text of a JSON string holding an AS number: decimal digits 0–4294967295 (leading zeros
 * allowed), or "high.low", each 0–65535. No sign, no space. Source: Calico numorstring.ASNumber.
 */
bool asn_parse(const char *text, size_t len, uint32_t *ret);

/*
 * Go's time.ParseDuration: [-+] then decimal numbers with optional fraction and a unit of ns, us,
 * µs, ms, s, m, h; or "0". Nanoseconds; out of int64 range is refused.
 */
bool duration_parse(const char *text, size_t len, int64_t *ret_ns);
/* Whole seconds, rounded half up (half away from zero never arises: negatives are refused upstream). */
int64_t duration_round_seconds(int64_t ns);

/* All of `text` is decimal digits (1–20 of them) and ≤ max. */
bool u64_parse(const char *text, size_t len, uint64_t max, uint64_t *ret);

#endif
