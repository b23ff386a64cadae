/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/id_range.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "orchestrator/agent/model.h"
#include "podium/base/fd.h"
#include "podium/base/hashmap.h"

#define SUBID_BYTES_MAX (1u << 20)

struct search {
    const struct agent *agent;
    struct strbuf subuid, subgid;
};

bool id_range_is_subordinate(const char *text, uint32_t base) {
    for (const char *line = text; *line; line = strchrnul(line, '\n'), line += *line == '\n') {
        const char *colon = memchr(line, ':', strcspn(line, "\n"));
        char *end = NULL;

        if (!colon)
            continue;
        unsigned long long first = strtoull(colon + 1, &end, 10);
        if (*end != ':')
            continue;
        unsigned long long count = strtoull(end + 1, NULL, 10);
        if (first < (unsigned long long) base + ID_RANGE_SIZE && (base < first || base - first < count))
            return true;
    }
    return false;
}

uint32_t id_range_search(uint64_t hash, bool (*taken)(void *userdata, uint32_t base), void *userdata) {
    const uint32_t n = (ID_RANGE_LAST - ID_RANGE_FIRST) / ID_RANGE_SIZE + 1;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t base = ID_RANGE_FIRST + (uint32_t) ((hash + i) % n) * ID_RANGE_SIZE;
        if (!taken(userdata, base))
            return base;
    }
    return 0;
}

static bool is_taken(void *userdata, uint32_t base) {
    const struct search *s = userdata;
    struct hashmap_iter it = {0};
    char path[64];

    while (hashmap_next(s->agent->pods, &it))
        if (((const struct agent_pod *) it.value)->id_base == base)
            return true;
    (void) snprintf(path, sizeof(path), "/run/systemd/nspawn-uid/%u", base); /* a lock of systemd-nspawn */
    return access(path, F_OK) == 0 || id_range_is_subordinate(strbuf_str(&s->subuid), base) ||
           id_range_is_subordinate(strbuf_str(&s->subgid), base);
}

int id_range_choose(struct agent_pod *pod, struct error *err) {
    struct search s = {.agent = pod->agent, .subuid = STRBUF_INIT, .subgid = STRBUF_INIT};

    if (pod->id_base || json_bool_or(json_path(pod->desired, "spec", "hostUsers"), true))
        return 0;
    if (file_read("/etc/subuid", SUBID_BYTES_MAX, &s.subuid, NULL) < 0)
        strbuf_reset(&s.subuid);
    if (file_read("/etc/subgid", SUBID_BYTES_MAX, &s.subgid, NULL) < 0)
        strbuf_reset(&s.subgid);
    pod->id_base = id_range_search(fnv1a(pod->uid, strlen(pod->uid)), is_taken, &s);
    strbuf_finish(&s.subuid);
    strbuf_finish(&s.subgid);
    return pod->id_base ? 0 : error_set(err, -ENOSPC, "no range of users is left for the pod's user namespace");
}
