/*
 * The named text formats: hand-written checks, and what JSON Schema can say about each.
 *
 * A schema pattern is never stricter than its check; where no readable pattern exists there is none.
 * Optional strings may be empty, hence the (…)? around most patterns. Pure functions, no locks.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/ip.h"
#include "base/number.h"
#include "tables.h"

#define INTERFACE_LENGTH_MAX 15 /* Linux IFNAMSIZ - 1 */
#define WIREGUARD_KEY_LENGTH 44 /* base64 of 32 bytes, one '=' */

PRINTF_LIKE(3, 4)
static bool refuse(char *why, size_t why_len, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, why_len, fmt, args);
    va_end(args);
    return false;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static const char *family_name(uint8_t family) {
    return family == IP_V4 ? "IPv4" : "IPv6";
}

static bool check_portable_name(const char *text, char *why, size_t why_len) {
    (void)why;
    (void)why_len;
    return is_subdomain(text, strlen(text));
}

/* --- addresses --------------------------------------------------------------------------------- */

/* `family` IP_NONE: either. */
static bool check_address(const char *text, enum ip_family family, char *why, size_t why_len) {
    struct ip_addr addr;
    if (!ip_parse(text, strlen(text), &addr)) {
        return address_explain(text, 0, why, why_len);
    }
    if (family != IP_NONE && addr.family != family) {
        return refuse(why, why_len, "is an %s address, an %s address is needed here",
                      family_name(addr.family), family_name((uint8_t)family));
    }
    return true;
}

static bool check_ip(const char *text, char *why, size_t why_len) {
    return check_address(text, IP_NONE, why, why_len);
}

static bool check_ipv4(const char *text, char *why, size_t why_len) {
    return check_address(text, IP_V4, why, why_len);
}

static bool check_ipv6(const char *text, char *why, size_t why_len) {
    return check_address(text, IP_V6, why, why_len);
}

static bool check_endpoint(const char *text, char *why, size_t why_len) {
    struct ip_endpoint endpoint;
    return ip_parse_endpoint(text, strlen(text), &endpoint) ||
           address_explain(text, ADDRESS_PORT, why, why_len);
}

static bool check_host_cidr_of(const char *text, enum ip_family family, char *why, size_t why_len) {
    struct ip_cidr cidr;
    if (!ip_parse_cidr_or_addr(text, strlen(text), &cidr)) {
        return address_explain(text, ADDRESS_PREFIX, why, why_len);
    }
    if (cidr.addr.family != family) {
        return refuse(why, why_len, "is an %s address, an %s address is needed here",
                      family_name(cidr.addr.family), family_name((uint8_t)family));
    }
    const char *fault = ip_no_host(&cidr.addr);
    if (fault != NULL) {
        return refuse(why, why_len, "is %s, which no node can have; write the address of its BGP speaker",
                      fault);
    }
    return true;
}

static bool check_host_cidr_v4(const char *text, char *why, size_t why_len) {
    return check_host_cidr_of(text, IP_V4, why, why_len);
}

static bool check_host_cidr_v6(const char *text, char *why, size_t why_len) {
    return check_host_cidr_of(text, IP_V6, why, why_len);
}

static bool check_router_id(const char *text, char *why, size_t why_len) {
    struct ip_addr id;
    if (!ip_parse(text, strlen(text), &id)) {
        return address_explain(text, 0, why, why_len);
    }
    if (id.family != IP_V4) {
        return false;
    }
    if (id.bytes[0] == 0 || id.bytes[0] == 127 || id.bytes[0] >= 224) {
        return refuse(why, why_len,
                      "daemons refuse BGP identifiers in 0.0.0.0/8, 127.0.0.0/8 and 224.0.0.0/3 (Bad BGP "
                      "Identifier); use the node's IPv4 address or another unicast one");
    }
    return true;
}

/* Calico demands both a prefix length (CRD: format cidr) and no host bits (Go: net, netv4, netv6). */
static bool check_network_of(const char *text, enum ip_family family, char *why, size_t why_len) {
    struct ip_cidr cidr;
    size_t len = strlen(text);
    if (!ip_parse_cidr(text, len, &cidr)) {
        struct ip_addr addr;
        if (ip_parse(text, len, &addr)) {
            return refuse(why, why_len, "needs a prefix length; a single address is written with /%d",
                          addr.family == IP_V4 ? 32 : 128);
        }
        return address_explain(text, ADDRESS_PREFIX, why, why_len);
    }
    if (family != IP_NONE && cidr.addr.family != family) {
        return refuse(why, why_len, "is an %s network, an %s network is needed here",
                      family_name(cidr.addr.family), family_name((uint8_t)family));
    }
    struct ip_addr network = ip_network(&cidr.addr, cidr.prefix);
    if (ip_compare(&network, &cidr.addr) != 0) {
        char canonical[IP_TEXT_MAX];
        ip_format(&network, canonical);
        return refuse(why, why_len, "has bits set after its prefix; the network is %s/%u", canonical,
                      (unsigned)cidr.prefix);
    }
    return true;
}

static bool check_network(const char *text, char *why, size_t why_len) {
    return check_network_of(text, IP_NONE, why, why_len);
}

static bool check_network_v4(const char *text, char *why, size_t why_len) {
    return check_network_of(text, IP_V4, why, why_len);
}

static bool check_network_v6(const char *text, char *why, size_t why_len) {
    return check_network_of(text, IP_V6, why, why_len);
}

/* --- selectors, durations ---------------------------------------------------------------------- */

static bool check_selector(const char *text, char *why, size_t why_len) {
    struct err err = ERR_INIT;
    struct selector *selector = NULL;
    if (selector_parse(text, strlen(text), &selector, &err) != 0) {
        if (err.code == ERR_NO_MEMORY) {
            return refuse(why, why_len, "cannot be checked, no memory is left; try again");
        }
        if (err.offset >= 0) {
            return refuse(why, why_len, "is not a selector: at byte %lld: %s", (long long)err.offset,
                          err.text);
        }
        return refuse(why, why_len, "is not a selector: %s", err.text);
    }
    selector_free(selector);
    return true;
}

/* Every duration of these kinds is a length of time, which a negative one is not. */
static bool check_duration(const char *text, char *why, size_t why_len) {
    int64_t ns;
    if (!duration_parse(text, strlen(text), &ns)) {
        size_t len = strlen(text);
        return len > 0 && len < 20 && strspn(text, "0123456789") == len
                   ? refuse(why, why_len, "has no unit; write %ss for seconds", text)
                   : false;
    }
    return ns >= 0 || refuse(why, why_len, "must not be negative");
}

/* --- communities ------------------------------------------------------------------------------- */

/* Splits "n:n" or "n:n:n" into its parts; 0 when the text has another form. */
static size_t community_parts(const char *text, const char *starts[3], size_t lengths[3]) {
    size_t count = 0;
    const char *start = text;
    for (const char *at = text;; at++) {
        if (is_digit(*at)) {
            continue;
        }
        if ((*at != ':' && *at != '\0') || at == start || count == 3) {
            return 0;
        }
        starts[count] = start;
        lengths[count++] = (size_t)(at - start);
        if (*at == '\0') {
            return count >= 2 ? count : 0;
        }
        start = at + 1;
    }
}

bool community_has_form(const char *text) {
    const char *starts[3];
    size_t lengths[3];
    return community_parts(text, starts, lengths) != 0;
}

/* A decimal number of any length, compared without overflow. */
static bool number_fits(const char *digits, size_t len, uint64_t max) {
    while (len > 1 && *digits == '0') {
        digits++;
        len--;
    }
    uint64_t value;
    return u64_parse(digits, len, max, &value);
}

/* Standard communities (RFC 1997) have two 16-bit parts, large ones (RFC 8092) three of 32 bits. */
static bool check_community_numbers(const char *text, bool leading_zeros, char *why, size_t why_len) {
    const char *starts[3];
    size_t lengths[3];
    size_t count = community_parts(text, starts, lengths);
    if (count == 0) {
        return false;
    }
    uint64_t max = count == 2 ? UINT16_MAX : UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        if (!number_fits(starts[i], lengths[i], max)) {
            return refuse(why, why_len, "each number of a %s community must be at most %llu",
                          count == 2 ? "standard" : "large", (unsigned long long)max);
        }
        if (!leading_zeros && lengths[i] > 1 && starts[i][0] == '0') {
            return refuse(why, why_len, "its numbers must not have leading zeros");
        }
    }
    return true;
}

static bool check_community(const char *text, char *why, size_t why_len) {
    return check_community_numbers(text, false, why, why_len);
}

static bool check_config_community(const char *text, char *why, size_t why_len) {
    return check_community_numbers(text, true, why, why_len);
}

/* What has not the form of a value is a name; whether it is defined is the schema rule's question. */
static bool check_community_ref(const char *text, char *why, size_t why_len) {
    if (!community_has_form(text)) {
        return is_subdomain(text, strlen(text));
    }
    return check_community_numbers(text, true, why, why_len);
}

/* --- interfaces, keys, levels ------------------------------------------------------------------ */

static bool check_filter_interface(const char *text, char *why, size_t why_len) {
    (void)why;
    (void)why_len;
    size_t len = strlen(text);
    if (len == 0 || len > INTERFACE_LENGTH_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(text[i]) && strchr("_.*-", text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool check_ignored_interface(const char *text, char *why, size_t why_len) {
    if (strcmp(text, "*") == 0) {
        return refuse(why, why_len, "would ignore every interface; name them, or use a pattern such as eth*");
    }
    return check_filter_interface(text, why, why_len);
}

static bool check_log_level(const char *text, char *why, size_t why_len) {
    (void)why;
    (void)why_len;
    static const char *const levels[] = {"trace", "debug", "info", "warning", "error", "fatal"};
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        const char *level = levels[i];
        size_t at = 0;
        while (text[at] != '\0' && tolower((unsigned char)text[at]) == level[at]) {
            at++;
        }
        if (text[at] == '\0' && level[at] == '\0') {
            return true;
        }
    }
    return false;
}

/* 6, 8 or 20 octets, as aa:bb:…, aa-bb-… or aabb.ccdd.…, one separator throughout. */
static bool check_mac(const char *text, char *why, size_t why_len) {
    (void)why;
    (void)why_len;
    size_t len = strlen(text);
    size_t group = len > 4 && text[4] == '.' ? 4 : 2;
    char separator = len > group ? text[group] : '\0';
    if (separator != '.' && separator != ':' && separator != '-') {
        return false;
    }
    if ((separator == '.') != (group == 4) || (len + 1) % (group + 1) != 0) {
        return false;
    }
    size_t octets = (len + 1) / (group + 1) * group / 2;
    if (octets != 6 && octets != 8 && octets != 20) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        bool at_separator = i % (group + 1) == group;
        if (at_separator ? text[i] != separator : !is_hex(text[i])) {
            return false;
        }
    }
    return true;
}

static bool check_wireguard_key(const char *text, char *why, size_t why_len) {
    (void)why;
    (void)why_len;
    if (strlen(text) != WIREGUARD_KEY_LENGTH || text[WIREGUARD_KEY_LENGTH - 1] != '=') {
        return false;
    }
    for (size_t i = 0; i < WIREGUARD_KEY_LENGTH - 1; i++) {
        if (!is_alnum(text[i]) && text[i] != '+' && text[i] != '/') {
            return false;
        }
    }
    return true;
}

/* Kubernetes' rule for the keys of Secrets; their length is the field's business. */
static bool check_secret_key(const char *text, char *why, size_t why_len) {
    if (strcmp(text, ".") == 0 || strncmp(text, "..", 2) == 0) {
        return refuse(why, why_len, "must not be '.' or begin with '..'");
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (!is_alnum(*at) && strchr("-._", *at) == NULL) {
            return false;
        }
    }
    return text[0] != '\0';
}

/* --- the formats ------------------------------------------------------------------------------- */

const struct format format_name = {
    .name = "name",
    .schema_pattern = "^([0-9A-Za-z]([0-9A-Za-z._-]*[0-9A-Za-z])?)?$",
    .expected = "letters, digits, '.', '_' and '-', beginning and ending with a letter or digit",
    .check = name_is_valid,
};
const struct format format_portable_name = {
    .name = "portable-name",
    .schema_pattern = "^[0-9a-z]([0-9a-z-]*[0-9a-z])?(\\.[0-9a-z]([0-9a-z-]*[0-9a-z])?)*$",
    .expected =
        "lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or digit",
    .check = check_portable_name,
};
const struct format format_ip = {
    .name = "ip",
    .expected = "an IPv4 or IPv6 address",
    .check = check_ip,
};
const struct format format_ipv4 = {
    .name = "ipv4",
    .schema_format = "ipv4",
    .expected = "an IPv4 address",
    .check = check_ipv4,
};
const struct format format_ipv6 = {
    .name = "ipv6",
    .schema_format = "ipv6",
    .expected = "an IPv6 address",
    .check = check_ipv6,
};
const struct format format_ip_endpoint = {
    .name = "ip-endpoint",
    .expected = "an IP address, IPv4:port or [IPv6]:port",
    .check = check_endpoint,
};
const struct format format_network = {
    .name = "cidr",
    .schema_format = "cidr",
    .expected = "a network such as 10.0.0.0/16 or fd00::/64",
    .check = check_network,
};
const struct format format_network_v4 = {
    .name = "cidrv4",
    .schema_format = "cidr",
    .expected = "an IPv4 network such as 10.0.0.0/16",
    .check = check_network_v4,
};
const struct format format_network_v6 = {
    .name = "cidrv6",
    .schema_format = "cidr",
    .expected = "an IPv6 network such as fd00::/64",
    .check = check_network_v6,
};
const struct format format_host_cidr_v4 = {
    .name = "cidrv4-or-address",
    .expected = "an IPv4 address, with or without its prefix length, such as 10.0.0.1/24",
    .check = check_host_cidr_v4,
};
const struct format format_host_cidr_v6 = {
    .name = "cidrv6-or-address",
    .expected = "an IPv6 address, with or without its prefix length, such as fd00::1/64",
    .check = check_host_cidr_v6,
};
const struct format format_router_id = {
    .name = "router-id",
    .schema_format = "ipv4",
    .expected = "a BGP identifier, written like an IPv4 address: 10.0.0.1",
    .check = check_router_id,
};
const struct format format_selector = {
    .name = "selector",
    .expected = "a selector such as rack == 'a' && !has(maintenance)",
    .check = check_selector,
};
const struct format format_community = {
    .name = "community",
    .schema_pattern = "^[0-9]+:[0-9]+(:[0-9]+)?$",
    .expected = "a standard community (65000:100) or a large one (65000:1:2)",
    .check = check_community,
};
const struct format format_config_community = {
    .name = "config-community",
    .schema_pattern = "^[0-9]+:[0-9]+(:[0-9]+)?$",
    .expected = "a standard community (65000:100) or a large one (65000:1:2)",
    .check = check_config_community,
};
const struct format format_community_ref = {
    .name = "community-or-name",
    .expected = "a community (65000:100 or 65000:1:2) or the name of one in spec.communities",
    .check = check_community_ref,
};
const struct format format_filter_interface = {
    .name = "interface-pattern",
    .schema_pattern = "^([0-9A-Za-z_.*-]{1,15})?$",
    .expected = "an interface name of up to 15 letters, digits, '_', '.' and '-', with '*' for any text",
    .check = check_filter_interface,
};
const struct format format_ignored_interface = {
    .name = "ignored-interface",
    .schema_pattern = "^[0-9A-Za-z_.*-]{1,15}$",
    .expected = "an interface name of up to 15 letters, digits, '_', '.' and '-', with '*' for any text",
    .check = check_ignored_interface,
};
const struct format format_log_level = {
    .name = "log-level",
    .schema_pattern =
        "^([Tt][Rr][Aa][Cc][Ee]|[Dd][Ee][Bb][Uu][Gg]|[Ii][Nn][Ff][Oo]|[Ww][Aa][Rr][Nn][Ii][Nn][Gg]"
        "|[Ee][Rr][Rr][Oo][Rr]|[Ff][Aa][Tt][Aa][Ll])?$",
    .expected = "one of Trace, Debug, Info, Warning, Error, Fatal (in any case)",
    .check = check_log_level,
};
const struct format format_mac = {
    .name = "mac",
    .expected = "a MAC address such as 66:3f:9d:01:02:03",
    .check = check_mac,
};
const struct format format_wireguard_key = {
    .name = "wireguard-key",
    .schema_pattern = "^([0-9A-Za-z+/]{43}=)?$",
    .expected = "a WireGuard public key: 32 bytes in base64 (44 characters)",
    .check = check_wireguard_key,
};
const struct format format_duration = {
    .name = "duration",
    .expected = "a duration such as 90s, 2m or 1h30m",
    .check = check_duration,
};
const struct format format_secret_key = {
    .name = "secret-key",
    .schema_pattern = "^[0-9A-Za-z._-]+$",
    .expected = "letters, digits, '-', '_' and '.'",
    .check = check_secret_key,
};
