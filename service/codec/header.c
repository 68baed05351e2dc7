/*
 * What to say of a document whose kind or apiVersion is not the one that is wanted: where it belongs, or what
 * its writer probably meant. Pure.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/suggest.h"
#include "codec_internal.h"

#define APPLIES "/apis/bgppeerd.io/v1/applies"

/* Kinds that are met in the same files and are not served here. */
static const struct {
    const char *kind, *note;
} STRANGERS[] = {
    {"IPPool", "it belongs to other parts of Calico; leave it out"},
    {"FelixConfiguration", "it belongs to other parts of Calico; leave it out"},
    {"KubeControllersConfiguration", "it belongs to other parts of Calico; leave it out"},
    {"ClusterInformation", "it belongs to other parts of Calico; leave it out"},
    {"GlobalNetworkPolicy", "it belongs to other parts of Calico; leave it out"},
    {"NetworkPolicy", "it belongs to other parts of Calico; leave it out"},
    {"HostEndpoint", "it belongs to other parts of Calico; leave it out"},
    {"CalicoNodeStatus", "what sessions do is told by /apis/bgppeerd.io/v1/sessions"},
    {"BGPAdvertisement", "it is MetalLB's; write prefixAdvertisements in a BGPConfiguration"},
    {"CiliumBGPPeeringPolicy", "it is Cilium's; write one BGPPeer for each neighbor"},
    {"CiliumBGPClusterConfig", "it is Cilium's; write one BGPPeer for each peer"},
    {"CiliumBGPPeerConfig", "it is Cilium's; write its settings in the BGPPeers"},
    {"ConfigMap", "leave it out"},
    {"Namespace", "namespaces are there without being created; leave it out"},
    {"Deployment", "leave it out"},
    {"Pod", "leave it out"},
};

static const struct kind_info *kind_of_any_case(const char *name) {
    for (int i = 0; i < KIND_COUNT; i++) {
        const struct kind_info *info = kind_info((enum kind)i);

        if (strcasecmp(info->name, name) == 0 || strcasecmp(info->plural, name) == 0) {
            return info;
        }
    }
    return NULL;
}

static const char *similar_kind(const char *name) {
    struct suggest suggest = suggest_begin(name, strlen(name));

    for (int i = 0; i < KIND_COUNT; i++) {
        suggest_consider(&suggest, kind_info((enum kind)i)->name);
    }
    return suggest.meant;
}

/* The path that takes what other systems have exported. */
#define IMPORTS "/apis/bgppeerd.io/v1/imports"

/* A known kind (but for its case) with another apiVersion. */
static void explain_version(const struct kind_info *info, const char *kind, const char *api_version,
                            char out[HEADER_HINT_MAX]) {
    if (strcmp(api_version, "crd.projectcalico.org/v1") == 0) {
        snprintf(out, HEADER_HINT_MAX,
                 "; send it to " IMPORTS ", or write apiVersion: %s (crd.projectcalico.org/v1 is how Calico "
                 "keeps it in Kubernetes)",
                 info->api_version);
    } else if (info->kind == KIND_NODE && strcmp(api_version, "v1") == 0 && strcmp(kind, info->name) == 0) {
        snprintf(out, HEADER_HINT_MAX,
                 "; it is Kubernetes' own Node: send it to " IMPORTS ", which reads Calico's annotations in "
                 "it, or write apiVersion: %s",
                 info->api_version);
    } else if (strcmp(kind, info->name) != 0 && strcmp(api_version, "v1") == 0) {
        snprintf(out, HEADER_HINT_MAX,
                 "; this is calicoctl's old format: convert it (calicoctl convert), or write kind: %s and "
                 "apiVersion: %s with name in metadata and the rest in spec",
                 info->name, info->api_version);
    } else if (strncmp(api_version, "metallb.io/", 11) == 0) {
        snprintf(out, HEADER_HINT_MAX,
                 "; it is MetalLB's: write apiVersion: %s, and its fields by their names here",
                 info->api_version);
    } else if (api_version[0] == '\0') {
        snprintf(out, HEADER_HINT_MAX, "; write kind: %s", info->name);
    } else {
        snprintf(out, HEADER_HINT_MAX, "; write kind: %s and apiVersion: %s", info->name, info->api_version);
    }
}

void header_explain(const char *kind, const char *api_version, char out[HEADER_HINT_MAX]) {
    const struct kind_info *info = kind == NULL ? NULL : kind_of_any_case(kind);

    out[0] = '\0';
    if (kind == NULL) {
        snprintf(out, HEADER_HINT_MAX,
                 "; each document needs its kind: BGPPeer, BGPConfiguration, BGPFilter, Node or Secret");
        return;
    }
    if (info != NULL) {
        explain_version(info, kind, api_version != NULL ? api_version : "", out);
        return;
    }
    for (size_t i = 0; i < sizeof(STRANGERS) / sizeof(*STRANGERS); i++) {
        if (strcmp(STRANGERS[i].kind, kind) == 0) {
            snprintf(out, HEADER_HINT_MAX, "; %s", STRANGERS[i].note);
            return;
        }
    }
    const char *meant = similar_kind(kind);
    if (meant != NULL) {
        snprintf(out, HEADER_HINT_MAX, "; did you mean \"%s\"?", meant);
    }
}

/* Where the document can be sent. */
static void write_path(const struct kind_info *info, char *out, size_t out_len) {
    if (info->namespaced) {
        snprintf(out, out_len, "/api/%s/namespaces/NAMESPACE/%s", info->version, info->plural);
    } else {
        snprintf(out, out_len, "/apis/%s/%s", info->api_version, info->plural);
    }
}

static bool is_list(const char *kind) {
    for (int i = 0; i < KIND_COUNT; i++) {
        if (strcmp(kind_info((enum kind)i)->list, kind) == 0) {
            return true;
        }
    }
    return strcmp(kind, "List") == 0;
}

int header_refuse(const struct kind_info *wanted, const char *kind, const char *api_version,
                  struct err *err) {
    char shown_version[SHOWN_TEXT_MAX], shown_kind[SHOWN_TEXT_MAX], hint[HEADER_HINT_MAX], path[128];
    const struct kind_info *other = kind == NULL ? NULL : kind_by_name(kind);

    text_shown(kind != NULL ? kind : wanted->name, shown_kind);
    text_shown(api_version != NULL ? api_version : "", shown_version);
    if (kind != NULL && is_list(kind)) {
        return err_set(err, ERR_BAD_REQUEST,
                       "the body is a %s, but this path takes one %s; send several documents to " APPLIES,
                       shown_kind, wanted->name);
    }
    if (other != NULL && other != wanted &&
        (api_version == NULL || strcmp(api_version, other->api_version) == 0)) {
        write_path(other, path, sizeof(path));
        return err_set(err, ERR_BAD_REQUEST,
                       "the body has kind \"%s\" and apiVersion \"%s\", but this path takes %s of apiVersion "
                       "%s; send it to %s",
                       shown_kind, shown_version, wanted->name, wanted->api_version, path);
    }
    header_explain(kind != NULL ? kind : wanted->name, api_version, hint);
    return err_set(
        err, ERR_BAD_REQUEST,
        "the body has kind \"%s\" and apiVersion \"%s\", but this path takes %s of apiVersion %s%s",
        shown_kind, shown_version, wanted->name, wanted->api_version, hint);
}

int header_refuse_body(const struct kind_info *wanted, const json_t *body, struct err *err) {
    if (json_is_array(body)) {
        return err_set(
            err, ERR_BAD_REQUEST,
            "the body is an array, but this path takes one %s object; send several documents to " APPLIES,
            wanted->name);
    }
    return err_set(err, ERR_BAD_REQUEST, "the body is %s; expected one %s object", tree_type_name(body),
                   wanted->name);
}
