/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all clients noted, held against each other. */
#ifndef TESTS_CRASH_JUDGE_H
#define TESTS_CRASH_JUDGE_H

#include "tests/crash/clients.h"

/* Prints what is wrong; true: nothing. */
bool judge_operations(const struct client *clients, size_t n);
bool judge_watchers(const struct client *watchers, size_t n, const struct client *writers, size_t n_writers);

#endif
