/*
 * The kinds' structs, after Calico's v3 API (api/pkg/apis/projectcalico/v3 and the Node of
 * libcalico-go). Members are named as the JSON fields; see each kind's table in service/model/ for
 * ranges, formats and descriptions. Absent: NULL, set == false, count == 0.
 */
#ifndef BGPPEERD_MODEL_RESOURCES_H
#define BGPPEERD_MODEL_RESOURCES_H

#include "model/field.h"
#include "model/password.h"

struct secret_key_ref {
    const char *name;
    const char *key;
    struct opt_bool optional;
};
struct bgp_password {
    struct secret_key_ref *secret_key_ref;
};

struct bgp_peer_spec {
    const char *node;
    const char *node_selector;
    const char *peer_ip; /* as written; parse with ip_parse_endpoint */
    struct opt_asn as_number;
    struct opt_asn local_as_number;
    const char *peer_selector;
    struct opt_bool keep_original_next_hop;
    const char *next_hop_mode; /* Auto, Self, Keep */
    struct bgp_password *password;
    const char *source_address; /* UseNodeIP, None */
    struct duration max_restart_time;
    struct duration keepalive_time;
    struct opt_int num_allowed_local_as_numbers;
    struct opt_int ttl_security; /* 0–255 */
    const char *reachable_by;
    struct string_list filters;
    const char *local_workload_selector;
    const char *reverse_peering; /* Auto, Manual */
};
struct bgp_peer {
    struct bgp_peer_spec *spec;
};

struct prefix_advertisement {
    const char *cidr;
    struct string_list communities;
};
struct node_bgp_spec {
    struct opt_asn as_number;
    const char *ipv4_address; /* CIDR or bare */
    const char *ipv6_address;
    const char *ipv4_ipip_tunnel_addr;
    const char *route_reflector_cluster_id;
    const char *router_id;             /* ours */
    struct list prefix_advertisements; /* ours: struct prefix_advertisement */
};
struct orch_ref {
    const char *node_name;
    const char *orchestrator;
};
struct node_wireguard_spec {
    const char *interface_ipv4_address;
    const char *interface_ipv6_address;
};
struct node_address {
    const char *address;
    const char *type;
};
struct node_interface {
    const char *name;
    struct string_list addresses;
};
struct node_spec {
    struct node_bgp_spec *bgp;
    const char *ipv4_vxlan_tunnel_addr;
    const char *vxlan_tunnel_mac_addr;
    const char *ipv6_vxlan_tunnel_addr;
    const char *vxlan_tunnel_mac_addr_v6;
    struct list orch_refs; /* struct orch_ref */
    struct node_wireguard_spec *wireguard;
    struct list addresses;  /* struct node_address */
    struct list interfaces; /* struct node_interface */
};
struct node_status {
    const char *wireguard_public_key;
    const char *wireguard_public_key_v6;
    struct string_list pod_cidrs;
};
struct node {
    struct node_spec *spec;
    struct node_status *status;
};

struct cidr_block {
    const char *cidr;
};
struct community {
    const char *name;
    const char *value;
};
struct bgp_configuration_spec {
    const char *log_severity_screen;
    struct opt_bool node_to_node_mesh_enabled;
    struct opt_asn as_number;
    struct list service_load_balancer_ips; /* struct cidr_block */
    struct list service_external_ips;      /* struct cidr_block */
    struct list service_cluster_ips;       /* struct cidr_block */
    const char *service_load_balancer_aggregation;
    struct list communities;           /* struct community */
    struct list prefix_advertisements; /* struct prefix_advertisement */
    struct opt_int listen_port;
    struct bgp_password *node_mesh_password;
    struct duration node_mesh_max_restart_time;
    const char *bind_mode;
    struct string_list ignored_interfaces;
    const char *local_workload_peering_ipv4;
    const char *local_workload_peering_ipv6;
    const char *program_cluster_routes;
    struct opt_int ipv4_normal_route_priority;
    struct opt_int ipv6_normal_route_priority;
};
struct bgp_configuration {
    struct bgp_configuration_spec *spec;
};

struct prefix_length {
    struct opt_int min;
    struct opt_int max;
};
struct community_match {
    struct string_list values;
};
struct add_community {
    const char *value;
};
struct prepend_as_path {
    struct list prefix; /* uint32_t */
};
struct set_priority {
    struct opt_int value;
};
struct filter_operation {
    struct add_community *add_community;
    struct prepend_as_path *prepend_as_path;
    struct set_priority *set_priority;
};
/* Rules for IPv4 and IPv6 differ in formats and ranges only, so they share the struct. */
struct filter_rule {
    const char *cidr;
    struct prefix_length *prefix_length;
    const char *source;
    const char *interface;
    const char *match_operator;
    const char *peer_type;
    struct community_match *communities;
    struct list as_path_prefix; /* uint32_t */
    struct opt_int priority;
    const char *action;
    struct list operations; /* struct filter_operation */
};
struct bgp_filter_spec {
    struct list export_v4; /* struct filter_rule */
    struct list import_v4;
    struct list export_v6;
    struct list import_v6;
};
struct bgp_filter {
    struct bgp_filter_spec *spec;
};

/* A Secret as a client writes it (data, stringData hold plaintext) … */
struct secret {
    const char *type;
    struct opt_bool immutable;
    struct byte_map data;         /* on write: decoded bytes; stored bodies carry none */
    struct label_set string_data; /* write only */
    struct list values;           /* struct secret_value: … and as it is stored; sorted by key */
};

/* The tables that other rooms walk: of `spec`, and of a Node's `spec.bgp`. */
extern const struct schema bgp_peer_spec_schema;
extern const struct schema node_bgp_schema;
extern const struct schema bgp_configuration_spec_schema;
extern const struct schema bgp_filter_spec_schema;

#define SECRET_SIZE_MAX (1024 * 1024) /* bytes of all values together; Kubernetes has the same */

/* Can this value be used as a BGP password? Decided when the value is sealed or loaded. */
enum secret_value_state {
    SECRET_USABLE,
    SECRET_EMPTY,      /* PasswordEmpty */
    SECRET_TOO_LONG,   /* PasswordTooLong */
    SECRET_UNUSABLE,   /* PasswordUnusable: any other flaw of a password */
    SECRET_UNREADABLE, /* VaultError: it does not decrypt */
};

struct secret_value {
    const char *key;
    uint64_t version;        /* ≥ 1, moves with each change of the value */
    uint32_t size;           /* bytes of plaintext, rounded up to a multiple of 8 */
    int64_t modified_ms;     /* realtime */
    const char *fingerprint; /* 16 hex digits, of this key and its value; "" in the answer to a dry run */
    enum secret_value_state state;
    enum password_flaw flaw; /* why it is SECRET_EMPTY, SECRET_TOO_LONG or SECRET_UNUSABLE */
    /* Sealed form, as the vault made it. */
    uint64_t key_id;
    const uint8_t *nonce;
    const uint8_t *ciphertext;
    size_t ciphertext_len;
};

#endif
