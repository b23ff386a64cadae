/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Source: config-linux.md, "IntelRdt" (1.2; `schemata` and `enableMonitoring` are of 1.3) and "Network Devices" (1.3).
 */
#include "runtime/spec/machine.h"

#include <ctype.h>
#include <net/if.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/path.h"
#include "runtime/spec/field.h"

static int parse_rdt(const struct json *section, struct spec *spec, struct error *err) {
    static const char where[] = "linux.intelRdt";
    bool occupancy = false, bandwidth = false;
    const struct json *o;
    int r = field_object(section, "linux", "intelRdt", &o, err);

    if (r < 0 || json_len(o) == 0)
        return r;
    struct spec_rdt *rdt = spec->rdt = xnew0(struct spec_rdt);
    if ((r = field_string(o, where, "closID", &rdt->clos_id, err)) < 0 ||
        (r = field_strv(o, where, "schemata", &rdt->schemata, err)) < 0 ||
        (r = field_string(o, where, "l3CacheSchema", &rdt->l3_cache, err)) < 0 ||
        (r = field_string(o, where, "memBwSchema", &rdt->memory_bandwidth, err)) < 0 ||
        (r = field_bool(o, where, "enableCMT", &occupancy, err)) < 0 ||
        (r = field_bool(o, where, "enableMBM", &bandwidth, err)) < 0 ||
        (r = field_bool(o, where, "enableMonitoring", &rdt->monitoring, err)) < 0)
        return r;
    rdt->monitoring = rdt->monitoring || occupancy || bandwidth;
    if (rdt->clos_id && file_name_is_unsafe(rdt->clos_id))
        return field_error(err, where, "closID", "must be the name of a folder");
    for (size_t i = 0; rdt->schemata && rdt->schemata[i]; i++)
        if (strchr(rdt->schemata[i], '\n'))
            return field_error(err, where, "schemata", "must be one line each");
    return 0;
}

/* As the kernel's dev_valid_name(). */
static bool link_name_is_valid(const char *name) {
    if (!*name || strlen(name) >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (; *name; name++)
        if (*name == '/' || *name == ':' || isspace((unsigned char) *name))
            return false;
    return true;
}

static int parse_device(struct spec *spec, const char *host_name, const struct json *o, struct error *err) {
    struct spec_net_device *d = &spec->net_devices[spec->n_net_devices++];
    _cleanup_free_ char *where = xasprintf("linux.netDevices.%s", host_name);

    d->host_name = xstrdup(host_name);
    if (!json_is_object(o))
        return field_error(err, where, "", "must be an object");
    int r = field_string(o, where, "name", &d->name, err);
    if (r < 0)
        return r;
    if (!d->name)
        d->name = xstrdup(host_name);
    if (!link_name_is_valid(d->host_name) || !link_name_is_valid(d->name))
        return field_error(err, where, "name", "is no name a network device can have");
    for (size_t i = 0; i + 1 < spec->n_net_devices; i++)
        if (strcmp(spec->net_devices[i].name, d->name) == 0)
            return field_error(err, where, "name", "comes twice");
    return 0;
}

static int parse_net_devices(const struct json *section, struct spec *spec, struct error *err) {
    const struct json *o;
    int r = field_object(section, "linux", "netDevices", &o, err);

    if (r < 0 || json_len(o) == 0)
        return r;
    if (!spec->namespaces[SPEC_NS_NETWORK].present)
        return field_error(err, "linux", "netDevices", "need a network namespace in linux.namespaces");
    spec->net_devices = xcalloc(json_len(o), sizeof(*spec->net_devices));
    for (size_t i = 0; r == 0 && i < json_len(o); i++)
        r = parse_device(spec, json_key_at(o, i), json_value_at(o, i), err);
    return r;
}

int machine_parse(const struct json *section, struct spec *spec, struct error *err) {
    int r = parse_rdt(section, spec, err);

    return r < 0 ? r : parse_net_devices(section, spec, err);
}

void machine_clear(struct spec *spec) {
    struct spec_rdt *rdt = spec->rdt;

    if (rdt) {
        free(rdt->clos_id);
        strv_free(rdt->schemata);
        free(rdt->l3_cache);
        free(rdt->memory_bandwidth);
        free(rdt);
    }
    for (size_t i = 0; i < spec->n_net_devices; i++) {
        free(spec->net_devices[i].host_name);
        free(spec->net_devices[i].name);
    }
    free(spec->net_devices);
}
