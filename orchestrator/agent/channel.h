/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agent's end of a supervisor's control socket (podium/runtime.h).
 *
 * Callbacks come from the loop. `closed` comes once, when the supervisor hung up; channel_close() from any callback is
 * fine and silences the rest. Descriptors in callbacks belong to the callee.
 */
#ifndef PODIUM_AGENT_CHANNEL_H
#define PODIUM_AGENT_CHANNEL_H

#include "podium/base/error.h"
#include "podium/base/json.h"

typedef struct sd_event sd_event;
struct channel;

struct channel_callbacks {
    void (*sandbox)(void *userdata, int take_netns_fd);
    void (*state)(void *userdata, const struct json *state);
    void (*exec_started)(void *userdata, const char *id, int take_console_fd); /* -1 without a terminal */
    void (*exec_exit)(void *userdata, const char *id, int exit_code, const char *error);
    void (*hook)(void *userdata, const struct json *event); /* "hook" and "hook-failed" */
    void (*closed)(void *userdata);
};

int channel_open(sd_event *loop, const char *dir, const struct channel_callbacks *callbacks, void *userdata,
                 struct channel **ret, struct error *err) _must_check_;
void channel_close(struct channel *c);
/* Takes the message; fds stay the caller's. -EAGAIN when the supervisor does not read. */
int channel_send(struct channel *c, struct json *take, const int *fds, size_t n_fds, struct error *err) _must_check_;

#endif
