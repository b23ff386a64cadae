/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/gate.h"

void gate_arm(struct gate *g) {
    atomic_store(&g->state, GATE_ARMED);
}

void gate_wake(struct gate *g) {
    if (atomic_exchange(&g->state, GATE_WOKEN) == GATE_CLOSED)
        MHD_resume_connection(g->connection);
}

bool gate_close(struct gate *g) {
    int armed = GATE_ARMED;
    if (atomic_load(&g->state) == GATE_WOKEN)
        return false;
    MHD_suspend_connection(g->connection);
    if (!atomic_compare_exchange_strong(&g->state, &armed, GATE_CLOSED))
        MHD_resume_connection(g->connection);
    return true;
}
