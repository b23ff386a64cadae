/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of Linux capabilities; the numbers are the kernel's ABI (<linux/capability.h>). */
#ifndef PODIUM_BASE_CAPABILITY_H
#define PODIUM_BASE_CAPABILITY_H

/* "CAP_CHOWN" (any case, prefix optional) -> 0; -1 when unknown. */
int capability_number(const char *name);
/* 0 -> "CAP_CHOWN"; NULL beyond the last. */
const char *capability_name(unsigned number);

#endif
