/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <string.h>

#include "orchestrator/systemd/units.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"
#include "podium/base/limits.h"
#include "podium/base/strbuf.h"

#define UID_PART 8

static void add_escaped(struct strbuf *out, const char *s, size_t max_bytes) {
    size_t end = out->len + max_bytes;

    for (; *s; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '-' || *s == '.';
        if (out->len + (plain ? 1 : 4) > end)
            return;
        if (plain)
            strbuf_addc(out, *s);
        else
            strbuf_addf(out, "\\x%02x", (unsigned char) *s);
    }
}

char *unit_pod_name(const char *namespace, const char *name, const char *uid) {
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    size_t tail = 1 + UID_PART * 4 + strlen(".service");
    _cleanup_free_ char *uid8 = xstrndup(uid, UID_PART);

    strbuf_adds(&out, UNIT_POD_PREFIX);
    add_escaped(&out, namespace, 100);
    strbuf_addc(&out, '-');
    add_escaped(&out, name, UNIT_NAME_MAX_BYTES - tail - out.len);
    strbuf_addc(&out, '-');
    add_escaped(&out, uid8, UID_PART * 4);
    strbuf_adds(&out, ".service");
    return strbuf_steal(&out);
}

char *unit_pod_slice(const char *qos_class, const char *uid) {
    _cleanup_free_ char *lower = xstrdup(qos_class);

    for (char *p = lower; *p; p++)
        *p = (char) tolower((unsigned char) *p);
    return xasprintf("podium-%s-%llx.slice", lower, (unsigned long long) (fnv1a(uid, strlen(uid)) % UNIT_SUB_SLICES));
}

enum unit_state unit_state_parse(const char *s) {
    static const struct {
        const char *name;
        enum unit_state state;
    } names[] = {
        {"active", UNIT_ACTIVE},         {"reloading", UNIT_ACTIVE},          {"refreshing", UNIT_ACTIVE},
        {"activating", UNIT_ACTIVATING}, {"deactivating", UNIT_DEACTIVATING}, {"failed", UNIT_FAILED},
    };

    for (size_t i = 0; s && i < ARRAY_LEN(names); i++)
        if (strcmp(s, names[i].name) == 0)
            return names[i].state;
    return UNIT_INACTIVE;
}

/* --- the table's plain side --- */

void unit_manager_free(struct unit_manager *m) {
    if (m)
        m->ops->free(m);
}

void unit_manager_set_callbacks(struct unit_manager *m, const struct unit_callbacks *callbacks, void *userdata) {
    m->callbacks = callbacks;
    m->userdata = userdata;
}

int unit_start(struct unit_manager *m, const struct unit_request *request, struct error *err) {
    if (!request->exec_start || !request->exec_start[0] || request->exec_start[0][0] != '/')
        return error_set(err, -EINVAL, "unit %s: no absolute program path", request->name);
    return m->ops->start(m, request, err);
}

int unit_stop(struct unit_manager *m, const char *name, struct error *err) {
    return m->ops->stop(m, name, err);
}

int unit_kill(struct unit_manager *m, const char *name, int signal, struct error *err) {
    return m->ops->kill(m, name, signal, err);
}

int unit_list(struct unit_manager *m, struct error *err) {
    return m->ops->list(m, err);
}

int unit_keep(struct unit_manager *m, const char *slice, uint64_t memory_min, struct error *err) {
    return m->ops->keep(m, slice, memory_min, err);
}

int unit_limit(struct unit_manager *m, const char *name, const struct unit_limits *limits, struct error *err) {
    return m->ops->limit(m, name, limits, err);
}

int unit_weigh(struct unit_manager *m, const char *slice, uint64_t cpu_weight, struct error *err) {
    return m->ops->weigh(m, slice, cpu_weight, err);
}
