/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/plan.h"

/* Ends the unit; PLAN_NOTHING while that takes its time, `then` when there is none. */
static enum plan_action plan_end(const struct plan_view *v, enum plan_action then) {
    if (v->start_pending)
        return PLAN_NOTHING; /* it will be there to be told soon, or not at all */
    if (!v->unit_exists)
        return v->stop_pending ? PLAN_NOTHING : then;
    if (v->stop_told)
        return v->stop_overdue ? PLAN_KILL_UNIT : PLAN_NOTHING;
    return v->connected ? PLAN_TELL_STOP : PLAN_STOP_UNIT;
}

enum plan_action plan_pod(const struct plan_view *v) {
    if (!v->units_known)
        return PLAN_NOTHING;
    /* taking up what runs needs no word from the control plane */
    if (v->unit_active && !v->connected && v->connect_due && !v->stop_told)
        return PLAN_CONNECT;
    if (v->synced && (!v->wanted || v->deleting))
        return plan_end(v, v->finished ? PLAN_NOTHING : PLAN_FINISH);
    if (v->synced && v->refused)
        return plan_end(v, v->released ? PLAN_NOTHING : PLAN_RELEASE);
    if (v->unit_exists && v->connected && !v->network_ready && v->network_known)
        return PLAN_NETWORK;
    if (v->synced && v->unit_exists && v->connected && v->network_ready && v->reload_due && v->retry_due)
        return PLAN_RELOAD;
    if (!v->synced || v->unit_exists || v->start_pending || v->stop_pending)
        return PLAN_NOTHING;
    if (v->final)
        return v->released ? PLAN_NOTHING : PLAN_RELEASE;
    return v->retry_due && v->network_known ? PLAN_START : PLAN_NOTHING;
}

const char *plan_action_name(enum plan_action a) {
    static const char *const names[] = {"nothing",   "start",     "connect",   "network", "reload",
                                        "tell-stop", "stop-unit", "kill-unit", "release", "finish"};
    return names[a];
}
