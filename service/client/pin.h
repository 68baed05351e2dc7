/* The key of a certificate as libcurl compares it. */
#ifndef BGPPEERD_CLIENT_PIN_H
#define BGPPEERD_CLIENT_PIN_H

#include "base/err.h"

#define PIN_TEXT_MAX 64

/* "sha256//…" for the public key of the first certificate in a PEM file. ERR_USAGE: there is none. */
int pin_of_certificate(const char *file, char ret[PIN_TEXT_MAX], struct err *err) MUST_CHECK;

#endif
