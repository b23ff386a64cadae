/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command-line verbs of local clusters: `podium up`, `podium down`, `podium node start|stop`. Each takes its
 * arguments (argv[0] is the verb) and returns an exit code: 0 done, 1 failed, 2 wrong usage. */
#ifndef PODIUM_LOCAL_VERBS_H
#define PODIUM_LOCAL_VERBS_H

int local_up_main(int argc, char **argv);
int local_down_main(int argc, char **argv);
/* "start" or "stop" with a node's name; argv[0] is the sub-verb. */
int local_node_start_main(int argc, char **argv);
int local_node_stop_main(int argc, char **argv);

#endif
