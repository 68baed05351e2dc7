/*
 * Why a text is no address: one sentence for each kind of mistake, so that nobody has to guess which. Only
 * asked about texts that base/ip.h has refused. Pure functions, no locks.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/ip.h"
#include "base/number.h"
#include "tables.h"

#define DIGITS     "0123456789"
#define HEX_DIGITS DIGITS "abcdefABCDEF"
#define BLANKS     " \t\r\n\v\f"

/* The sentence being looked for. */
struct fault {
    unsigned takes;
    char *why;
    size_t why_len;
};

PRINTF_LIKE(2, 3)
static bool say(const struct fault *fault, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(fault->why, fault->why_len, fmt, args);
    va_end(args);
    return true;
}

/* The first character that is not ASCII; 0: there is none. The text is valid UTF-8. */
static unsigned long find_foreign(const char *text) {
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at >= 0x80) {
            unsigned more = *at >= 0xF0 ? 3 : *at >= 0xE0 ? 2 : 1;
            unsigned long code = *at & (0x3FU >> more);
            for (unsigned i = 1; i <= more && at[i] != '\0'; i++) {
                code = code << 6 | (at[i] & 0x3FU);
            }
            return code;
        }
    }
    return 0;
}

/* What shows before anybody looks at the address itself. */
static bool explain_characters(const struct fault *fault, const char *text) {
    size_t len = strlen(text);
    size_t comma = strcspn(text, ",;");
    unsigned long foreign = find_foreign(text);
    if (foreign != 0) {
        return say(fault,
                   "holds the character U+%04lX (typographic quotes, wide digits and hidden blanks come with "
                   "copying); write plain digits, dots and colons",
                   foreign);
    }
    if (strstr(text, "{{") != NULL || strchr(text, '$') != NULL || strchr(text, '<') != NULL) {
        return say(fault, "is a template that has not been filled in; put the address in its place");
    }
    if (strspn(text, BLANKS) > 0 || strchr(BLANKS, text[len - 1]) != NULL) {
        return say(fault, "has a blank or line end before or behind it; remove it");
    }
    if (strpbrk(text, "'\"`") != NULL) {
        return say(fault, "has quotation marks in it; write it without them, or with one pair around it");
    }
    if (strstr(text, "://") != NULL) {
        return say(fault, "is a URL; write the address alone");
    }
    if (text[comma] != '\0') {
        return text[comma + 1] == '\0' ? say(fault, "ends with '%c'; remove it", text[comma])
                                       : say(fault, "is more than one address; this field takes one");
    }
    if (strpbrk(text, BLANKS) != NULL) {
        return say(fault, "has a blank in it; remove it");
    }
    if (strchr(text, '-') != NULL && strspn(text, DIGITS ".-") == len) {
        return say(fault, "is a range of addresses; this field takes one");
    }
    return false;
}

static bool explain_port(const struct fault *fault, const char *port) {
    size_t digits = strspn(port, DIGITS);
    uint64_t value;
    if (port[0] == '\0') {
        return say(fault, "has no port behind its last colon; write it, or leave the colon out");
    }
    if (port[digits] != '\0') {
        char text[SHOWN_MAX];
        return say(fault, "has the port \"%s\", which is not a number", shown(port, text));
    }
    if (!u64_parse(port, digits, UINT16_MAX, &value)) {
        return say(fault, "has the port %.20s; ports end at 65535", port);
    }
    return say(fault, "has the port 0, which nobody can connect to; leave it out for 179");
}

/* Digits and dots only. */
static bool explain_quad(const struct fault *fault, const char *text) {
    size_t count = 1;
    for (const char *at = text; *at != '\0'; at++) {
        count += *at == '.';
    }
    if (text[strlen(text) - 1] == '.' && count == 5) {
        return say(fault, "ends with a dot; remove it");
    }
    if (count != 4) {
        return say(fault, "has %zu number%s; an IPv4 address has four", count, count == 1 ? "" : "s");
    }
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ".");
        uint64_t value;
        if (len == 0) {
            return say(fault, "has two dots without a number between them, or one at an end");
        }
        if (len > 1 && at[0] == '0') {
            return say(fault,
                       "has the number %.*s with a leading zero, which some programs read as octal; write it "
                       "without",
                       (int)(len < 20 ? len : 20), at);
        }
        if (!u64_parse(at, len, UINT8_MAX, &value)) {
            return say(fault, "has the number %.*s; each is at most 255", (int)(len < 20 ? len : 20), at);
        }
        at += len;
        if (*at == '\0') {
            return false;
        }
    }
}

static bool explain_without_colon(const struct fault *fault, const char *text) {
    size_t len = strlen(text);
    uint64_t value;
    if (strspn(text, DIGITS) == len && len > 3 && u64_parse(text, len, UINT32_MAX, &value)) {
        return say(fault, "is a number; write it with dots: %u.%u.%u.%u", (unsigned)(value >> 24),
                   (unsigned)(value >> 16 & 255), (unsigned)(value >> 8 & 255), (unsigned)(value & 255));
    }
    if (strspn(text, DIGITS ".") == len) {
        return explain_quad(fault, text);
    }
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X') && strspn(text + 2, HEX_DIGITS) == len - 2) {
        return say(fault, "is a hexadecimal number; write the address with dots");
    }
    if (strspn(text, DIGITS ".*xX") == len && strpbrk(text, "*xX") != NULL) {
        return say(fault, "has a placeholder for some of its numbers; this field takes one address");
    }
    return say(fault, "is not an address; write one in digits, because names are not looked up");
}

/* Does a last group look like a port: 179, or a number that is larger than most groups are written? */
static bool is_port(const char *group) {
    uint64_t value;
    size_t len = strlen(group);
    return len > 0 && group[0] != '0' && strspn(group, DIGITS) == len &&
           u64_parse(group, len, UINT16_MAX, &value) && (value == 179 || value >= 1000);
}

static bool explain_v6(const struct fault *fault, const char *text) {
    const char *last = strrchr(text, ':') + 1;
    const char *gap = strstr(text, "::");
    size_t head = (size_t)(last - text) - 1, count = 0;
    struct ip_addr addr;
    if (strstr(text, ":::") != NULL) {
        return say(fault, "has three colons in a row; groups of zeros are written with two");
    }
    if (ip_parse(text, head, &addr) && addr.family == IP_V6 && (fault->takes & ADDRESS_PORT) != 0 &&
        is_port(last)) {
        return say(fault, "is an IPv6 address and a port, which need brackets: [%.*s]:%s", (int)head, text,
                   last);
    }
    if (strspn(text, HEX_DIGITS ":.") != strlen(text)) {
        return say(fault, "has the character '%c'; the groups of an IPv6 address are hexadecimal digits",
                   text[strspn(text, HEX_DIGITS ":.")]);
    }
    if (text[strcspn(text, ":.")] == '.') {
        return say(fault, "has two colons behind an IPv4 address; a port follows one");
    }
    if (gap != NULL && strstr(gap + 1, "::") != NULL) {
        return say(fault, "has \"::\" twice; it may stand for one run of zeros only");
    }
    if ((text[0] == ':' && text[1] != ':') || (*last == '\0' && last[-2] != ':')) {
        return say(fault, "begins or ends with a single colon");
    }
    for (const char *at = text; *at != '\0'; at += *at == ':') {
        size_t len = strcspn(at, ":");
        if (len > 4 && memchr(at, '.', len) == NULL) {
            return say(fault, "has the group %.*s; each has at most four digits", (int)(len < 40 ? len : 40),
                       at);
        }
        count += len > 0;
        at += len;
    }
    if (strchr(last, '.') != NULL) {
        return false; /* an IPv4 address at its end, which is at fault */
    }
    return gap == NULL
               ? say(fault, "has %zu groups; an IPv6 address has eight, or \"::\" for those of zeros", count)
               : say(fault, "has %zu groups beside \"::\", which stands for at least one of eight", count);
}

static bool explain_address(const struct fault *fault, const char *text);

/* [address] or [address]:port. */
static bool explain_brackets(const struct fault *fault, const char *text) {
    const char *close = strchr(text, ']');
    char inner[ADDRESS_LENGTH_MAX + 1];
    struct ip_addr addr;
    if (text[0] != '[' || close == NULL) {
        return say(fault, "has a bracket without its other half; an IPv6 address with a port is written "
                          "[2001:db8::1]:179");
    }
    (void)snprintf(inner, sizeof(inner), "%.*s", (int)(close - text) - 1, text + 1);
    if (!ip_parse(inner, strlen(inner), &addr)) {
        return inner[0] == '\0' ? say(fault, "has no address in its brackets")
                                : explain_address(&(struct fault){0, fault->why, fault->why_len}, inner);
    }
    if ((fault->takes & ADDRESS_PORT) == 0 || close[1] == '\0') {
        return say(fault, "has brackets, which belong only around an IPv6 address with a port; write %s",
                   inner);
    }
    return close[1] != ':' ? say(fault, "has something else than a colon and the port behind its bracket")
                           : explain_port(fault, close + 2);
}

static bool explain_prefix(const struct fault *fault, const char *text, const char *slash) {
    char head[ADDRESS_LENGTH_MAX + 1];
    struct ip_addr addr;
    uint64_t prefix;
    (void)snprintf(head, sizeof(head), "%.*s", (int)(slash - text), text);
    if (!ip_parse(head, strlen(head), &addr)) {
        return head[0] != '\0' && explain_address(&(struct fault){0, fault->why, fault->why_len}, head);
    }
    if ((fault->takes & ADDRESS_PREFIX) == 0) {
        return say(fault, "has a prefix length; write the address alone: %s", head);
    }
    unsigned longest = addr.family == IP_V4 ? 32 : 128;
    if (u64_parse(slash + 1, strlen(slash + 1), longest, &prefix)) {
        return false;
    }
    if (strchr(slash, '.') != NULL) {
        return say(fault, "has a netmask; write the number of its bits, such as /24");
    }
    return say(fault, "has no prefix length of 0 to %u behind its slash", longest);
}

static bool explain_address(const struct fault *fault, const char *text) {
    const char *slash = strchr(text, '/'), *zone = strchr(text, '%');
    const char *colon = strchr(text, ':');
    if (zone != NULL) {
        return say(fault,
                   "has a zone (%.*s); an interface cannot be given here, so use an address that is not "
                   "link-local",
                   (int)strcspn(zone, "]/"), zone);
    }
    if (strpbrk(text, "[]") != NULL) {
        return explain_brackets(fault, text);
    }
    if (slash != NULL) {
        return explain_prefix(fault, text, slash);
    }
    if (colon == NULL) {
        return explain_without_colon(fault, text);
    }
    if (strchr(colon + 1, ':') != NULL) {
        return explain_v6(fault, text);
    }
    char host[ADDRESS_LENGTH_MAX + 1];
    struct ip_addr addr;
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    if (host[0] == '\0') {
        return say(fault, "has no address before its colon");
    }
    if (!ip_parse(host, strlen(host), &addr)) {
        return explain_without_colon(fault, host);
    }
    if ((fault->takes & ADDRESS_PORT) == 0) {
        return say(fault, "has a port, which this field does not take; write the address alone: %s", host);
    }
    return explain_port(fault, colon + 1);
}

bool address_explain(const char *text, unsigned takes, char *why, size_t why_len) {
    const struct fault fault = {takes, why, why_len};
    if (text[0] != '\0' && strlen(text) <= ADDRESS_LENGTH_MAX && !explain_characters(&fault, text)) {
        (void)explain_address(&fault, text);
    }
    return false;
}

bool address_hides_port(const char *text) {
    const char *last = strrchr(text, ':');
    struct ip_addr addr, head;
    return last != NULL && last > text && last[-1] != ':' && is_port(last + 1) &&
           ip_parse(text, strlen(text), &addr) && addr.family == IP_V6 &&
           ip_parse(text, (size_t)(last - text), &head) && head.family == IP_V6;
}
