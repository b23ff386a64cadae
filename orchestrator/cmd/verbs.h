/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs wired here: daemons, and what works on this host's own stores. argv[0] is the verb; returns an exit code. */
#ifndef PODIUM_CMD_VERBS_H
#define PODIUM_CMD_VERBS_H

#ifndef PODIUM_VERSION
#define PODIUM_VERSION "0.1.0"
#endif

int server_main(int argc, char **argv);
int agent_main(int argc, char **argv);
/* Works on image stores directly: of this host, or of every node of a local cluster. */
int image_main(int argc, char **argv);
int image_worker_main(int argc, char **argv); /* the agent's long work with images */
/* Makes a server's store of a backup. */
int restore_main(int argc, char **argv);

#endif
