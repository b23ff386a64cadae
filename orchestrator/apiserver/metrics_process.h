/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process_* metrics every Prometheus client library has, from /proc/self. */
#ifndef PODIUM_APISERVER_METRICS_PROCESS_H
#define PODIUM_APISERVER_METRICS_PROCESS_H

#include <stdint.h>

#include "podium/base/strbuf.h"

/* started: seconds of real time. What cannot be read is left out. */
void metrics_process(struct strbuf *b, uint64_t started);

#endif
