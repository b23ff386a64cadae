/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Name forms with all of upstream's complaints (apimachinery's util/validation). validation.h shows the usual ones in a
 * simpler shape; this header is private to the folder.
 */
#ifndef PODIUM_OBJECT_NAMES_H
#define PODIUM_OBJECT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_PROBLEMS_MAX 6

/* Writes the complaints (static strings) and returns how many; 0 means fine. */
typedef size_t (*name_form)(const char *s, const char *problems[NAME_PROBLEMS_MAX]);

size_t name_form_dns1123_label(const char *s, const char *problems[NAME_PROBLEMS_MAX]);
size_t name_form_dns1123_subdomain(const char *s, const char *problems[NAME_PROBLEMS_MAX]);
size_t name_form_dns1035_label(const char *s, const char *problems[NAME_PROBLEMS_MAX]);
size_t name_form_qualified(const char *s, const char *problems[NAME_PROBLEMS_MAX]);
size_t name_form_label_value(const char *s, const char *problems[NAME_PROBLEMS_MAX]);
size_t name_form_path_segment(const char *s, const char *problems[NAME_PROBLEMS_MAX]);
size_t name_form_config_map_key(const char *s, const char *problems[NAME_PROBLEMS_MAX]);
size_t name_form_port(const char *s, const char *problems[NAME_PROBLEMS_MAX]); /* IANA service name */
size_t name_form_env_var(const char *s, const char *problems[NAME_PROBLEMS_MAX]);
size_t name_form_http_header(const char *s, const char *problems[NAME_PROBLEMS_MAX]);
size_t name_form_underscored_subdomain(const char *s, const char *problems[NAME_PROBLEMS_MAX]); /* "_sip._tcp.a" */
size_t name_form_wildcard_subdomain(const char *s, const char *problems[NAME_PROBLEMS_MAX]);    /* "*.example.com" */
size_t name_form_ip(const char *s, const char *problems[NAME_PROBLEMS_MAX]);
size_t name_form_cidr(const char *s, const char *problems[NAME_PROBLEMS_MAX]);
bool name_is_ipv6(const char *s);

#endif
