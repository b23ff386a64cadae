/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "runtime/seccomp/filter.h"
#include "runtime/seccomp/seccomp.h"

void seccomp_filter_free(struct seccomp_filter *f) {
    if (!f)
        return;
    free(f->code);
    free(f);
}

static int parse_action(const struct json *o, const char *key, const char *errno_key, uint32_t *ret,
                        struct error *err) {
    static const struct {
        const char *name;
        uint32_t action;
    } actions[] = {
        {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
        {"SCMP_ACT_KILL", SCMP_ACT_KILL},
        {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
        {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
        {"SCMP_ACT_LOG", SCMP_ACT_LOG},
        {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY},
    };
    const char *name = json_str_or(json_get(o, key), "");
    int64_t code = json_int_or(json_get(o, errno_key), EPERM);

    if (code < 0 || code > 4095)
        return error_set(err, -EINVAL, "config: linux.seccomp: %s is out of range", errno_key);
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (strcmp(actions[i].name, name) == 0) {
            *ret = actions[i].action;
            return 0;
        }
    if (strcmp(name, "SCMP_ACT_ERRNO") == 0) {
        *ret = SCMP_ACT_ERRNO((uint32_t) code);
        return 0;
    }
    if (strcmp(name, "SCMP_ACT_TRACE") == 0) {
        *ret = SCMP_ACT_TRACE((uint32_t) code);
        return 0;
    }
    return error_set(err, -EINVAL, "config: linux.seccomp: %s \"%s\" is no known action", key, name);
}

static uint64_t number(const struct json *v) {
    /* values above 2^63 reach us as a double */
    if (json_type(v) == JSON_DOUBLE && json_double_or(v, 0) > 9.2e18)
        return json_double_or(v, 0) >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t) json_double_or(v, 0);
    return (uint64_t) json_int_or(v, 0);
}

static int parse_args(const struct json *args, struct scmp_arg_cmp *ret, unsigned *ret_n, bool *ret_repeated,
                      struct error *err) {
    static const struct {
        const char *name;
        enum scmp_compare op;
    } ops[] = {
        {"SCMP_CMP_NE", SCMP_CMP_NE},
        {"SCMP_CMP_LT", SCMP_CMP_LT},
        {"SCMP_CMP_LE", SCMP_CMP_LE},
        {"SCMP_CMP_EQ", SCMP_CMP_EQ},
        {"SCMP_CMP_GE", SCMP_CMP_GE},
        {"SCMP_CMP_GT", SCMP_CMP_GT},
        {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
    };
    unsigned seen = 0;

    *ret_n = 0;
    *ret_repeated = false;
    if (json_len(args) > 6)
        return error_set(err, -EINVAL, "config: linux.seccomp.syscalls: more than six args");
    for (size_t i = 0; i < json_len(args); i++) {
        const struct json *o = json_at(args, i);
        const char *name = json_str_or(json_get(o, "op"), "");
        int64_t index = json_int_or(json_get(o, "index"), -1);
        size_t k = 0;

        while (k < ARRAY_LEN(ops) && strcmp(ops[k].name, name) != 0)
            k++;
        if (k == ARRAY_LEN(ops) || index < 0 || index > 5)
            return error_set(err, -EINVAL, "config: linux.seccomp.syscalls: bad op or index in args");
        *ret_repeated |= seen & (1u << index);
        seen |= 1u << index;
        ret[(*ret_n)++] = (struct scmp_arg_cmp){
            .arg = (unsigned) index,
            .op = ops[k].op,
            .datum_a = number(json_get(o, "value")),
            .datum_b = number(json_get(o, "valueTwo")),
        };
    }
    return 0;
}

static int add_call(scmp_filter_ctx ctx, const char *name, uint32_t action, const struct scmp_arg_cmp *args, unsigned n,
                    bool any, struct error *err) {
    int call = seccomp_syscall_resolve_name(name);
    int r = 0;

    if (call == __NR_SCMP_ERROR)
        return 0;
    if (!any)
        r = seccomp_rule_add_array(ctx, action, call, n, args);
    /* conditions on one argument twice cannot all be in one rule: as engines expect, each is a rule of its own */
    for (unsigned i = 0; r == 0 && any && i < n; i++)
        r = seccomp_rule_add_array(ctx, action, call, 1, &args[i]);
    return r < 0 ? error_set_errno(err, r, "config: linux.seccomp: rule for %s", name) : 0;
}

/* While the listener does not hold its end yet, the process says so by write(2), which nobody would answer: runc
 * refuses the same. */
static int check_notify(const struct json *names, struct error *err) {
    for (size_t i = 0; i < json_len(names); i++)
        if (strcmp(json_str_or(json_at(names, i), ""), "write") == 0)
            return error_set(err, -EINVAL, "config: linux.seccomp: SCMP_ACT_NOTIFY cannot be used for write");
    return 0;
}

static int add_rule(scmp_filter_ctx ctx, const struct json *rule, uint32_t default_action, bool *notifies,
                    struct error *err) {
    const struct json *names = json_get(rule, "names");
    struct scmp_arg_cmp args[6];
    uint32_t action;
    unsigned n;
    bool any;
    int r;

    if ((r = parse_action(rule, "action", "errnoRet", &action, err)) < 0 ||
        (r = parse_args(json_get(rule, "args"), args, &n, &any, err)) < 0)
        return r;
    if (!json_is_array(names) || json_len(names) == 0)
        return error_set(err, -EINVAL, "config: linux.seccomp.syscalls: names must be an array and not empty");
    if (action == default_action)
        return 0; /* libseccomp refuses what changes nothing */
    if (action == SCMP_ACT_NOTIFY) {
        if ((r = check_notify(names, err)) < 0)
            return r;
        *notifies = true;
    }
    for (size_t i = 0; r == 0 && i < json_len(names); i++)
        r = add_call(ctx, json_str_or(json_at(names, i), ""), action, args, n, any, err);
    return r;
}

/* "SCMP_ARCH_X86_64" -> its token; 0 when it is not known. */
static uint32_t resolve_architecture(const char *name) {
    static const char prefix[] = "SCMP_ARCH_";
    char lower[32];
    size_t n = 0;

    if (strncmp(name, prefix, strlen(prefix)) == 0)
        for (name += strlen(prefix); n < sizeof(lower) - 1 && name[n]; n++)
            lower[n] = (char) tolower((unsigned char) name[n]);
    lower[n] = 0;
    return seccomp_arch_resolve_name(lower);
}

struct json *seccomp_architectures(void) {
    static const char *const names[] = {"AARCH64",   "ARM",    "LOONGARCH64", "M68K",        "MIPS",   "MIPS64",
                                        "MIPS64N32", "MIPSEL", "MIPSEL64",    "MIPSEL64N32", "PARISC", "PARISC64",
                                        "PPC",       "PPC64",  "PPC64LE",     "RISCV64",     "S390",   "S390X",
                                        "SH",        "SHEB",   "X32",         "X86",         "X86_64"};
    struct json *list = json_array();

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char name[32];

        (void) snprintf(name, sizeof(name), "SCMP_ARCH_%s", names[i]);
        if (resolve_architecture(name) != 0)
            json_append(&list, json_string(name));
    }
    return list;
}

static int add_architectures(scmp_filter_ctx ctx, const struct json *list, struct error *err) {
    for (size_t i = 0; i < json_len(list); i++) {
        const char *name = json_str_or(json_at(list, i), "");
        uint32_t token = resolve_architecture(name);
        if (token == 0)
            return error_set(err, -EINVAL, "config: linux.seccomp.architectures: %s is not known",
                             json_str_or(json_at(list, i), "?"));
        int r = seccomp_arch_add(ctx, token);
        if (r < 0 && r != -EEXIST)
            return error_set_errno(err, r, "config: linux.seccomp.architectures: %s", name);
    }
    return 0;
}

static int parse_flags(const struct json *list, unsigned *ret, struct error *err) {
    *ret = 0;
    for (size_t i = 0; i < json_len(list); i++) {
        const char *name = json_str_or(json_at(list, i), "");

        if (strcmp(name, "SECCOMP_FILTER_FLAG_LOG") == 0)
            *ret |= SECCOMP_FILTER_FLAG_LOG;
        else if (strcmp(name, "SECCOMP_FILTER_FLAG_SPEC_ALLOW") == 0)
            *ret |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
        else if (strcmp(name, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV") == 0)
            *ret |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        else if (strcmp(name, "SECCOMP_FILTER_FLAG_TSYNC") != 0) /* one thread: nothing to synchronize */
            return error_set(err, -EOPNOTSUPP, "config: linux.seccomp.flags: %s is not supported", name);
    }
    return 0;
}

static int export(scmp_filter_ctx ctx, struct seccomp_filter *f, struct error *err) {
    _cleanup_strbuf_ struct strbuf bytes = STRBUF_INIT;
    _cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
    int r = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);

    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    if (r < 0)
        return error_set_errno(err, r, "cannot compile the seccomp filter");
    if ((r = fd_read_all(fd, FILTER_BYTES_MAX, &bytes, err)) < 0)
        return error_prefix(err, r, "seccomp filter");
    f->n = (unsigned short) (bytes.len / sizeof(struct sock_filter));
    f->code = xmemdup(bytes.data, bytes.len);
    return 0;
}

static int check_listener(const struct json *section, struct seccomp_filter *f, struct error *err) {
    bool has_path = json_str_len(json_get(section, "listenerPath")) > 0;

    if (!has_path && json_str_len(json_get(section, "listenerMetadata")) > 0)
        return error_set(err, -EINVAL, "config: linux.seccomp.listenerMetadata needs listenerPath");
    if (!has_path && f->notifies)
        return error_set(err, -EINVAL, "config: linux.seccomp: SCMP_ACT_NOTIFY needs listenerPath");
    if (f->notifies)
        f->flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
    else /* the kernel refuses it without a listener, where it means nothing */
        f->flags &= ~(unsigned) SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    return 0;
}

int seccomp_compile(const struct json *section, struct seccomp_filter **ret, struct error *err) {
    _cleanup_(seccomp_filter_freep) struct seccomp_filter *f = xnew0(struct seccomp_filter);
    const struct json *rules = json_get(section, "syscalls");
    uint32_t default_action;
    int r;

    if ((r = parse_action(section, "defaultAction", "defaultErrnoRet", &default_action, err)) < 0 ||
        (r = parse_flags(json_get(section, "flags"), &f->flags, err)) < 0)
        return r;
    if (default_action == SCMP_ACT_NOTIFY)
        return error_set(err, -EINVAL, "config: linux.seccomp: SCMP_ACT_NOTIFY cannot be the default action");
    scmp_filter_ctx ctx = seccomp_init(default_action);
    if (!ctx)
        return error_set(err, -ENOMEM, "cannot make a seccomp filter");
    /* a balanced tree instead of a list: long allow lists cost a few comparisons per call instead of hundreds */
    (void) seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    r = add_architectures(ctx, json_get(section, "architectures"), err);
    for (size_t i = 0; r == 0 && i < json_len(rules); i++)
        r = add_rule(ctx, json_at(rules, i), default_action, &f->notifies, err);
    if (r == 0)
        r = check_listener(section, f, err);
    if (r == 0)
        r = export(ctx, f, err);
    seccomp_release(ctx);
    if (r < 0)
        return r;
    *ret = steal(&f);
    return 0;
}

bool seccomp_filter_notifies(const struct seccomp_filter *f) {
    return f->notifies;
}

int seccomp_load_filter(const struct seccomp_filter *f, int *ret_listener, struct error *err) {
    struct sock_fprog program = {.len = f->n, .filter = f->code};
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, f->flags, &program);

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot load the seccomp filter");
    if (f->notifies)
        *ret_listener = (int) fd;
    return 0;
}
