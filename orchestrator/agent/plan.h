/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What to do next for one pod: a pure function of what is wanted and what is seen. The agent asks again after each
 * action and after each event until the answer is PLAN_NOTHING.
 */
#ifndef PODIUM_AGENT_PLAN_H
#define PODIUM_AGENT_PLAN_H

#include <stdbool.h>

struct plan_view {
    bool units_known; /* systemd was asked which pod units there are */
    bool synced;      /* the control plane said once what it wants */
    bool wanted;      /* in the last sync or applied since, and not removed */
    bool deleting;    /* deletionTimestamp is set */
    bool final;       /* its containers ended for good: nothing is ever started again */
    bool refused;     /* this node will not run it, or not any longer (activeDeadlineSeconds) */

    bool unit_exists; /* seen, in whatever state */
    bool unit_active;
    bool start_pending, stop_pending; /* jobs given to systemd */

    bool connected;     /* to the supervisor, and its state has come */
    bool connect_due;   /* a failed attempt has waited long enough */
    bool network_ready; /* the supervisor knows it has its network */
    bool network_known; /* the agent has what it takes to attach it */
    bool reload_due;    /* containers were held back or added, or their environment changed */

    bool retry_due;    /* a failed start has waited long enough */
    bool stop_told;    /* the supervisor or systemd was told to stop */
    bool stop_overdue; /* and should be done by now */
    bool released;     /* address, link and image pins were given back */
    bool finished;     /* PLAN_FINISH was done; the object is not gone yet */
};

enum plan_action {
    PLAN_NOTHING,
    PLAN_START,     /* prepare and start the unit */
    PLAN_CONNECT,   /* to the supervisor's control socket */
    PLAN_NETWORK,   /* attach the link and tell the supervisor */
    PLAN_RELOAD,    /* prepare such containers and tell the supervisor */
    PLAN_TELL_STOP, /* ask the supervisor to end */
    PLAN_STOP_UNIT, /* ask systemd to end it: there is no supervisor to talk to */
    PLAN_KILL_UNIT, /* neither helped */
    PLAN_RELEASE,   /* the pod is final and stays as an object: give back what it held */
    PLAN_FINISH,    /* nothing of it runs: clean up, tell, forget */
};

enum plan_action plan_pod(const struct plan_view *v);
const char *plan_action_name(enum plan_action a);

#endif
