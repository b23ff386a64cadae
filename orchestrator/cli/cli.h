/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of users: kubectl's verbs and flags where both have them. */
#ifndef PODIUM_CLI_CLI_H
#define PODIUM_CLI_CLI_H

/* argv as main() got it. Returns an exit code: 0 done, 1 failed, 2 wrong usage; `exec` returns the command's. */
int cli_main(int argc, char **argv);

#endif
