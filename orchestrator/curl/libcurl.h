/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libcurl, opened when it is first needed instead of with the program. It brings libssh2, libldap, Kerberos and
 * OpenSSL's libcrypto along: a megabyte of tables to relocate in every process, while servers never call it and agents
 * only once a pod has an HTTP probe or hook.
 *
 * Use. Call libcurl_open(), include <curl/curl.h> and use libcurl as ever: the functions the project needs are defined
 * here under their own names and pass on to the library. One that is missing shows as an undefined symbol when linking.
 *
 * Ownership. The library stays open to the end of the process.
 *
 * Errors. -ENOPKG: no library of a name we know, or not all functions in it. Without libcurl_open() such a process is
 * aborted by its first call.
 *
 * Threads. Any.
 */
#ifndef PODIUM_CURL_LIBCURL_H
#define PODIUM_CURL_LIBCURL_H

#include "podium/base/cleanup.h"
#include "podium/base/error.h"

/* Opens the library unless it is open. */
int libcurl_open(struct error *err) _must_check_;

/* The host in a URL; NULL when there is none. The caller frees. (A function of ours because curl_url_get()'s prototype
 * is not the same in all versions.) */
char *libcurl_url_host(const char *url);

#endif
