/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor's one object and its parts: control.c (peers), run.c (containers), exec.c (further processes in them,
 * hooks too), stop.c (ending). supervisor.c builds it and turns the loop.
 *
 * Every event changes the model and sets `changed`; once a round the loop starts what is due, ends what must end, and
 * then writes and sends the state once.
 */
#ifndef PODIUM_POD_SUPERVISOR_H
#define PODIUM_POD_SUPERVISOR_H

#include "podium/base/list.h"
#include "runtime/pod/lifecycle.h"
#include "runtime/pod/loop.h"
#include "runtime/pod/record.h"
#include "runtime/pod/sandbox.h"
#include "runtime/process/container.h"

struct pod;

/* The live side of container i of the model. */
enum pod_exec_kind { POD_EXEC_PEER, POD_EXEC_POST_START, POD_EXEC_PRE_STOP };

struct pod_run {
    struct pod *pod;
    struct pod_container *container;
    struct container_process process;
    struct pod_watch watch;
    struct cgroup cgroup;
    int spec_fd;                    /* pod.json as it was when the run began; -1 before the first */
    int number;                     /* how often it was restarted before */
    bool tty;                       /* has a terminal */
    int input_fd;                   /* the pipe to its stdin, or the terminal's master; -1: none */
    bool input_given;               /* stdinOnce, and somebody is or was attached */
    bool own_pid_namespace;         /* its end takes everything in it along */
    bool told;                      /* asked to end */
    bool warned;                    /* about settings left out */
    bool in_pre_stop;               /* the stop signal waits for its preStop hook */
    enum pod_exec_kind hook_asked;  /* the hook the agent was asked to run; POD_EXEC_PEER: none */
    uint64_t kill_at;               /* monotonic; 0: not set */
    uint64_t hook_until;            /* monotonic: a sleeping hook is done then; 0: not sleeping */
    struct seccomp_filter *seccomp; /* compiled at the first start: compiling is the dearest part of one */
    char *end_reason;               /* message for the termination it was asked for; may be NULL */
};

struct pod_peer {
    struct list link;
    struct pod *pod;
    struct pod_watch watch;
    struct list queue; /* struct pod_message, not sent yet */
    size_t n_queue;
    bool behind; /* the newest state is not queued yet */
};

struct pod_exec {
    struct list link;
    struct pod *pod;
    struct pod_run *run;
    struct pod_peer *peer; /* NULL: a hook, or the peer is gone */
    enum pod_exec_kind kind;
    uint64_t of_run; /* the container's started_mono: a hook must not act on a later run */
    char *id;
    struct container_process process;
    struct pod_watch watch;
};

struct pod {
    char *dir, *spec_path, *state_path, *control_path;
    struct pod_config *config;
    struct pod_model model;
    struct pod_record record;
    struct pod_run *runs; /* parallel to model.containers */
    struct pod_sandbox sandbox;
    struct pod_loop loop;
    struct pod_watch signal_watch, listen_watch;
    int signal_fd, listen_fd, null_fd;
    struct list peers, execs, attaches;
    struct list outputs;    /* struct pod_output: of containers that run, or whose last words are still in the pipe */
    uint64_t stop_deadline; /* monotonic */
    bool stop_at_once;      /* no grace at all */
    bool changed;           /* the state must be written and sent */
    int n_running_told;     /* for STATUS= */
};

/* --- control.c --- */
int pod_control_open(struct pod *pod, struct error *err) _must_check_;
/* Queues a message for one peer; take_fd (or -1) is closed once sent. */
void pod_peer_send(struct pod_peer *peer, struct json *take, int take_fd);
void pod_control_broadcast_state(struct pod *pod, const struct json *state);
/* Asks every peer to run run->hook_asked; who connects later is asked, too, until one has answered. */
void pod_control_ask_hook(struct pod_run *run);
void pod_control_hook_failed(struct pod_run *run, enum pod_exec_kind kind, const char *message);
void pod_control_close(struct pod *pod);

/* --- ephemeral.c --- */
/* Reads pod.json again and takes up the ephemeral containers that are new, and what holds containers back. */
int pod_reload(struct pod *pod, struct error *err) _must_check_;
/* The PID namespace of the container's target; -1 when it has none. */
int pod_target_namespace(const struct pod_run *run, int *ret_fd, struct error *err) _must_check_;

/* --- run.c --- */
void pod_run_init(struct pod *pod, struct pod_run *run);
/* Watches for the end of the container, if it runs. */
int pod_run_watch(struct pod_run *run, struct error *err) _must_check_;
/* Starts the container; a failure becomes a termination with reason StartError. */
void pod_run_start(struct pod_run *run);
/* The container's filter, compiled once; NULL when it has none. Stays the run's. */
int pod_run_seccomp(struct pod_run *run, const struct pod_launch *l, const struct seccomp_filter **ret,
                    struct error *err) _must_check_;
/* Starts the postStart hook, or marks the container started. */
void pod_run_hook_done(struct pod_run *run, enum pod_exec_kind kind, const char *error);
void pod_run_kill(struct pod_run *run);

/* Timers of this run that are due. */
void pod_run_timers(struct pod_run *run, uint64_t now);

/* --- resize.c --- */
/* Applies the resources in pod.json to the container, if it runs. -EBUSY: it uses more memory than it shall have. */
int pod_run_resize(struct pod_run *run, struct error *err) _must_check_;

/* --- stdio.c --- */
struct pod_stdio {
    int fds[3]; /* for the container; -1 with a terminal */
};
#define POD_STDIO_INIT                                                                                                 \
    {                                                                                                                  \
        { -1, -1, -1 }                                                                                                 \
    }
/* What the run with this number of restarts before it gets as its standard streams. */
int pod_stdio_open(struct pod_run *run, const struct spec *spec, int number, struct pod_stdio *ret,
                   struct error *err) _must_check_;
void pod_stdio_finish(struct pod_stdio *stdio);
/* Takes the terminal of the container that was made; nothing to do without. */
int pod_stdio_terminal(struct pod_run *run, struct error *err) _must_check_;
/* The run ended (status NULL: it could not be started): input is closed, attached peers are told. */
void pod_stdio_ended(struct pod_run *run, const struct container_status *status);

struct pod_attach_request {
    bool input;               /* wants to write to its stdin */
    int stdout_fd, stderr_fd; /* -1: not wanted. Taken, also on failure */
};
int pod_attach_start(struct pod_run *run, struct pod_peer *peer, const char *id, struct pod_attach_request *request,
                     struct error *err) _must_check_;
int pod_attach_end(struct pod *pod, const struct pod_peer *peer, const char *id) _must_check_;
void pod_attach_forget_peer(struct pod *pod, const struct pod_peer *peer);
/* The runs moved in memory. */
void pod_attach_move(struct pod *pod, const struct pod_run *old_runs);
void pod_attach_free_all(struct pod *pod);

/* --- exec.c --- */
struct pod_exec_request {
    char *const *args; /* NULL-terminated */
    char *const *env;  /* added to the container's; may be NULL */
    bool tty;
    unsigned short rows, columns;
    int stdio[3];
};
/* *ret_console: the terminal's master, -1 without tty. */
int pod_exec_start(struct pod_run *run, enum pod_exec_kind kind, struct pod_peer *peer, const char *id,
                   const struct pod_exec_request *request, int *ret_console, struct error *err) _must_check_;
int pod_exec_kill(struct pod *pod, const struct pod_peer *peer, const char *id, int signal);
void pod_exec_forget_peer(struct pod *pod, const struct pod_peer *peer);
void pod_exec_free_all(struct pod *pod);

/* --- stop.c --- */
/* Ends the pod; called again it can only shorten. */
void pod_stop(struct pod *pod, int64_t grace_seconds);
/* Asks one container to end: preStop hook, stop signal, SIGKILL after the grace. */
void pod_run_end(struct pod_run *run, uint64_t kill_at);
/* Tells whoever must be told next. */
void pod_stop_step(struct pod *pod);

#endif
