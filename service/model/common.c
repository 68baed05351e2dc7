/*
 * Schemas that more than one kind uses: references to passwords. Static and immutable; no locks.
 */
#include "tables.h"

static const struct field secret_key_ref_fields[] = {
    FIELD(secret_key_ref, name, "name", FIELD_STRING, .required = true, .format = &format_name,
          .max_length = NAME_LENGTH_MAX,
          .description = "Name of the Secret, in the namespace this service resolves references in."),
    FIELD(secret_key_ref, key, "key", FIELD_STRING, .required = true, .format = &format_secret_key,
          .max_length = NAME_LENGTH_MAX,
          .description = "Key within the Secret's data whose value is the password."),
    FIELD(secret_key_ref, optional, "optional", FIELD_BOOL, .default_text = "false",
          .same_as_absent = "false",
          .description = "When true, a missing Secret or key means a session without a password. Otherwise "
                         "such a session is withheld."),
};

static const struct schema secret_key_ref_schema = {
    .name = "SecretKeyRef",
    .description = "Points at one value of a Secret.",
    SCHEMA_OF(secret_key_ref, secret_key_ref_fields),
};

static const struct field bgp_password_fields[] = {
    FIELD(bgp_password, secret_key_ref, "secretKeyRef", FIELD_OBJECT, .schema = &secret_key_ref_schema,
          .description = "Where the password is kept. Passwords are never part of this resource."),
};

const struct schema bgp_password_schema = {
    .name = "BGPPassword",
    .description = "TCP MD5 password (RFC 2385) of BGP sessions, by reference.",
    SCHEMA_OF(bgp_password, bgp_password_fields),
};
