/*
 * Fuzzes the text of addresses, numbers, durations and times. Addresses are held against the C library's
 * parser, which accepts the same language, and against their own canonical text.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/ip.h"
#include "base/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static bool same_address(const struct ip_addr *a, const struct ip_addr *b) {
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0 &&
           ip_compare(a, b) == 0;
}

static void check_canonical(const struct ip_addr *addr) {
    char text[IP_TEXT_MAX];
    size_t len = ip_format(addr, text);
    struct ip_addr again;
    require(len == strlen(text) && ip_parse(text, len, &again) && same_address(&again, addr));
    uint8_t bytes[16] = {0};
    require(inet_pton(addr->family == IP_V4 ? AF_INET : AF_INET6, text, bytes) == 1);
    require(memcmp(bytes, addr->bytes, sizeof bytes) == 0);
}

static void check_address(const char *text, size_t len) {
    struct ip_addr addr;
    bool accepted = ip_parse(text, len, &addr);
    if (memchr(text, '\0', len) != NULL) {
        require(!accepted);
        return;
    }
    uint8_t bytes[16];
    require(accepted == (inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1));
    if (accepted) {
        check_canonical(&addr);
    }
}

static void check_composed(const char *text, size_t len) {
    struct ip_cidr cidr;
    if (ip_parse_cidr(text, len, &cidr)) {
        struct ip_cidr same;
        require(cidr.prefix <= (cidr.addr.family == IP_V4 ? 32 : 128));
        require(ip_parse_cidr_or_addr(text, len, &same) && same_address(&same.addr, &cidr.addr));
        check_canonical(&cidr.addr);
    }
    struct ip_endpoint endpoint;
    if (ip_parse_endpoint(text, len, &endpoint)) {
        struct ip_addr addr;
        require((endpoint.port == 0) == ip_parse(text, len, &addr));
        check_canonical(&endpoint.addr);
    }
}

static void check_numbers(const char *text, size_t len) {
    uint32_t asn;
    uint64_t value;
    if (u64_parse(text, len, UINT32_MAX, &value)) {
        require(asn_parse(text, len, &asn) && asn == value);
    }
    int64_t ns;
    if (duration_parse(text, len, &ns)) {
        int64_t seconds = duration_round_seconds(ns);
        require(seconds >= ns / 1000000000 - 1 && seconds <= ns / 1000000000 + 1);
    }
    int64_t ms;
    if (clock_parse(text, len, &ms)) {
        char canonical[CLOCK_TEXT_MAX];
        size_t canonical_len = clock_format_millis(ms, canonical);
        int64_t again;
        require(clock_parse(canonical, canonical_len, &again));
        /* An offset can lead out of the years that can be printed. */
        require(again == ms || strncmp(text, "0000-01-01", 10) == 0 || strncmp(text, "9999-12-31", 10) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    require(text != NULL);
    if (size != 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    check_address(text, size);
    check_composed(text, size);
    check_numbers(text, size);
    free(text);
    return 0;
}
