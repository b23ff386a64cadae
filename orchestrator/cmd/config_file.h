/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podium.conf(5): what `podium server` and `podium agent` take from files, in the syntax of systemd's own (sections,
 * Key=value, drop-ins in podium.conf.d).
 *
 * What it is. A key is a long option in systemd's spelling: NodeHeartbeat=10 stands for --node-heartbeat 10, a switch
 * takes a boolean (NoSync=yes). The files become words in front of those of the command line, so that one parser
 * checks both and the command line wins.
 */
#ifndef PODIUM_CMD_CONFIG_FILE_H
#define PODIUM_CMD_CONFIG_FILE_H

#include <getopt.h>

#include "podium/base/error.h"

#define CONFIG_FILE_DEFAULT "/etc/podium/podium.conf"

/* Reads the section ("Server", "Agent") of the file named by --config in argv (which is taken out; it must exist then),
 * or of CONFIG_FILE_DEFAULT where there is one, and of FILE.d/NAME.conf in the order of their names. *ret: argv with
 * what they say behind argv[0]; NULL-terminated, freed by strv_free() when the options are no longer used. -EINVAL
 * with file and line. */
int config_file_words(const char *section, const struct option *options, int argc, char **argv, char ***ret,
                      struct error *err) _must_check_;

#endif
