/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Figures for `make bench`, beside what a program prints for people: one JSON object per line, appended to the file
 * that the environment's BENCH_JSON names; without it nothing is written. tests/bench/report.py reads them; figures of
 * the same group and name are samples of one measure.
 */
#ifndef PODIUM_BENCH_RECORD_H
#define PODIUM_BENCH_RECORD_H

/* goal: "<= 50", ">= 10000", or NULL. */
void record(const char *group, const char *name, double value, const char *unit, const char *goal);
/* The same measure of somebody else's program: "etcd 3.4". */
void record_peer(const char *group, const char *name, double value, const char *unit, const char *peer);

#endif
