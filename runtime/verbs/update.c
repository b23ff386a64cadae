/* SPDX-License-Identifier: GPL-2.0-or-later */
/* update: other limits for a container that runs. */
#include <getopt.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/limits.h"
#include "podium/cgroups_scope.h"
#include "runtime/verbs/container_file.h"
#include "runtime/verbs/resources.h"
#include "runtime/verbs/verbs.h"

static const char usage[] =
    "update [-r FILE|-] [--memory N] [--memory-reservation N] [--memory-swap N] [--cpu-period N] [--cpu-quota N] "
    "[--cpu-burst N] [--cpu-share N] [--cpu-idle N] [--cpuset-cpus LIST] [--cpuset-mems LIST] [--pids-limit N] "
    "[--blkio-weight N] ID";

#define OPTION_FIRST  256 /* + the number of the option in resources.h */
#define OPTION_RDT    512 /* l3-cache-schema, mem-bw-schema: Intel's RDT, which is refused */
#define OPTIONS_MAX   32
#define UNSET_OPTIONS 4

static int read_document(const char *file, struct json **ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    int r;

    if (strcmp(file, "-") != 0)
        return json_parse_file(file, CONFIG_JSON_BYTES_MAX, ret, err);
    if ((r = fd_read_all(STDIN_FILENO, CONFIG_JSON_BYTES_MAX, &text, err)) < 0)
        return r;
    r = json_parse(strbuf_str(&text), text.len, NULL, ret, err);
    return r < 0 ? error_prefix(err, r, "standard input") : 0;
}

/* memory.checkBeforeUpdate: a limit below what is in use would end the container. */
static int check_usage(const struct cgroup *cg, const struct json *change, struct error *err) {
    _cleanup_json_ struct json *statistics = NULL;
    int64_t limit = json_int_or(json_path(change, "memory", "limit"), 0), used;
    int r;

    if (limit <= 0 || !json_bool_or(json_path(change, "memory", "checkBeforeUpdate"), false))
        return 0;
    if ((r = cgroup_statistics(cg, &statistics, err)) < 0)
        return r;
    used = json_int_or(json_path(statistics, "memory", "current"), 0);
    if (used > limit)
        return error_set(err, -EBUSY, "the memory limit %lld is below what the container uses, %lld", (long long) limit,
                         (long long) used);
    return 0;
}

static int write_limits(const struct baton *b, const struct cgroup *cg, const struct json *resources,
                        struct error *err) {
    _cleanup_strv_ char **skipped = strv_new();
    int r = cgroup_apply(cg, resources, b->controllers_optional ? &skipped : NULL, err);

    for (size_t i = 0; skipped[i]; i++)
        baton_warn(b, skipped[i]);
    return r < 0 ? r : cgroup_device_filter(cg, json_get(resources, "devices"), err);
}

/* Puts back what can be put back; the first error is the one to tell. */
static void restore(const struct cgroup *cg, const struct json *resources) {
    _cleanup_strv_ char **skipped = strv_new();
    int r = cgroup_apply(cg, resources, &skipped, NULL);

    (void) r;
}

static int enable_controllers(const struct baton *b, const struct cgroup *cg, const struct json *resources,
                              struct error *err) {
    _cleanup_(cgroup_hierarchy_finish) struct cgroup_hierarchy h = CGROUP_HIERARCHY_INIT;
    unsigned needed = cgroup_resources_controllers(resources), missing;
    int r;

    if (!needed)
        return 0;
    if ((r = cgroup_hierarchy_open(&h, err)) < 0)
        return r;
    r = cgroup_enable_above(&h, cg->path, needed, &missing, err);
    if (r == -EBUSY && b->controllers_optional) {
        baton_warn(b, error_text(err, r));
        error_clear(err);
        return 0;
    }
    return r;
}

/* systemd writes the limits it knows whenever it pleases: it has to know the new ones first. */
static int tell_systemd(const struct state *state, const struct json *resources, struct error *err) {
    _cleanup_json_ struct json *properties = NULL;
    int r;

    if (!state->unit)
        return 0;
    r = cgroup_scope_properties(resources, NULL, &properties, err);
    return r < 0 ? r : cgroup_scope_set(state->unit, properties, err);
}

static int update(const struct baton *b, const char *id, const struct json *change, struct error *err) {
    _cleanup_(container_file_finish) struct container_file f = CONTAINER_FILE_INIT;
    _cleanup_(cgroup_finish) struct cgroup cg = CGROUP_INIT;
    _cleanup_json_ struct json *old = NULL, *merged = NULL, *to_write = NULL;
    int r;

    if ((r = container_file_open(b, id, &f, err)) < 0)
        return r;
    if (f.status == STATE_STOPPED || f.status == STATE_CREATING)
        return error_set(err, -EINVAL, "container %s is %s: it has no limits to change", id,
                         state_status_name(f.status));
    if ((r = container_file_cgroup(&f, &cg, err)) < 0)
        return r;
    old = json_ref(json_path(f.state.config, "linux", "resources"));
    merged = resources_merge(old, change);
    if ((r = resources_to_write(&merged, change, &to_write, err)) < 0 || (r = check_usage(&cg, change, err)) < 0 ||
        (r = enable_controllers(b, &cg, to_write, err)) < 0 || (r = tell_systemd(&f.state, to_write, err)) < 0)
        return r;
    if ((r = write_limits(b, &cg, to_write, err)) == 0) {
        json_set_path(&f.state.config, json_ref(merged), "linux", "resources");
        r = state_write(&f.dir, &f.state, err);
    }
    if (r < 0) {
        int back = tell_systemd(&f.state, old, NULL);

        (void) back;
        restore(&cg, old);
    }
    return r;
}

static void fill_options(struct option *options) {
    static const struct option others[UNSET_OPTIONS] = {{"resources", required_argument, NULL, 'r'},
                                                        {"l3-cache-schema", required_argument, NULL, OPTION_RDT},
                                                        {"mem-bw-schema", required_argument, NULL, OPTION_RDT},
                                                        {NULL, 0, NULL, 0}};
    unsigned n = 0;

    for (; n < OPTIONS_MAX - UNSET_OPTIONS && resources_option_name(n); n++)
        options[n] = (struct option){resources_option_name(n), required_argument, NULL, OPTION_FIRST + (int) n};
    memcpy(options + n, others, sizeof(others));
}

int verb_update(const struct baton *b, int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *change = json_object(), *document = NULL;
    struct option options[OPTIONS_MAX];
    const char *file = NULL;
    int c, r;

    fill_options(options);
    while ((c = getopt_long(argc, argv, "+r:", options, NULL)) >= 0) {
        bool ignored = false;

        if (c == 'r')
            file = optarg;
        else if (c == OPTION_RDT)
            return baton_usage(b, usage, "a container's class of Intel RDT is chosen when it is created");
        else if (c < OPTION_FIRST)
            return baton_usage(b, usage, NULL);
        else if (resources_set_option(&change, (unsigned) (c - OPTION_FIRST), optarg, &ignored, &err) < 0)
            return baton_usage(b, usage, error_text(&err, -EINVAL));
        if (ignored)
            baton_warn(b, "the limit of kernel memory is ignored: kernels no longer have it");
    }
    if (argc - optind != 1)
        return baton_usage(b, usage, "exactly one container id is needed");
    if (file && (r = read_document(file, &document, &err)) < 0)
        return baton_fail(b, &err, r);
    r = update(b, argv[optind], document ? document : change, &err);
    return r < 0 ? baton_fail(b, &err, r) : 0;
}
