/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device rules as a BPF program of type CGROUP_DEVICE. The last rule that matches decides, so the program tests them
 * from the last to the first. The devices every container has, and making nodes (which give no access), are added as
 * rules at the end, as engines expect of a runtime.
 */
#include <linux/bpf.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "podium/base/alloc.h"
#include "podium/cgroups.h"

#define RULES_MAX    400 /* at most ten instructions each, within the kernel's 4096 */
#define ATTACHED_MAX 64

struct rule {
    bool allow;
    int type;             /* BPF_DEVCG_DEV_*, 0: any */
    int64_t major, minor; /* -1: any */
    int access;           /* or-ed BPF_DEVCG_ACC_* */
};

#define ALL_ACCESS (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

static const struct rule always[] = {
    {true, BPF_DEVCG_DEV_CHAR, -1, -1, BPF_DEVCG_ACC_MKNOD},
    {true, BPF_DEVCG_DEV_BLOCK, -1, -1, BPF_DEVCG_ACC_MKNOD},
    {true, BPF_DEVCG_DEV_CHAR, 1, 3, ALL_ACCESS},    /* null */
    {true, BPF_DEVCG_DEV_CHAR, 1, 5, ALL_ACCESS},    /* zero */
    {true, BPF_DEVCG_DEV_CHAR, 1, 7, ALL_ACCESS},    /* full */
    {true, BPF_DEVCG_DEV_CHAR, 1, 8, ALL_ACCESS},    /* random */
    {true, BPF_DEVCG_DEV_CHAR, 1, 9, ALL_ACCESS},    /* urandom */
    {true, BPF_DEVCG_DEV_CHAR, 5, 0, ALL_ACCESS},    /* tty */
    {true, BPF_DEVCG_DEV_CHAR, 5, 2, ALL_ACCESS},    /* ptmx */
    {true, BPF_DEVCG_DEV_CHAR, 136, -1, ALL_ACCESS}, /* pts/N */
};

struct program {
    struct bpf_insn *code;
    size_t n, cap;
};

static void emit(struct program *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm) {
    xgrow(&p->code, p->n, &p->cap);
    p->code[p->n++] = (struct bpf_insn){.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm};
}

/* r2 type, r3 access, r4 major, r5 minor; a test that fails jumps to the next rule */
static void emit_rule(struct program *p, const struct rule *rule) {
    size_t jumps[4], n = 0;

    if (rule->type) {
        jumps[n++] = p->n;
        emit(p, BPF_JMP | BPF_JNE | BPF_K, 2, 0, 0, rule->type);
    }
    if (rule->access != ALL_ACCESS) {
        emit(p, BPF_ALU64 | BPF_MOV | BPF_X, 1, 3, 0, 0);
        emit(p, BPF_ALU64 | BPF_AND | BPF_K, 1, 0, 0, rule->access);
        jumps[n++] = p->n;
        /* allowing needs all that is asked for, denying any of it */
        if (rule->allow)
            emit(p, BPF_JMP | BPF_JNE | BPF_X, 1, 3, 0, 0);
        else
            emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0, 0);
    }
    if (rule->major >= 0) {
        jumps[n++] = p->n;
        emit(p, BPF_JMP | BPF_JNE | BPF_K, 4, 0, 0, (int32_t) rule->major);
    }
    if (rule->minor >= 0) {
        jumps[n++] = p->n;
        emit(p, BPF_JMP | BPF_JNE | BPF_K, 5, 0, 0, (int32_t) rule->minor);
    }
    emit(p, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, rule->allow);
    emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    for (size_t i = 0; i < n; i++)
        p->code[jumps[i]].off = (int16_t) (p->n - jumps[i] - 1);
}

static int parse_rule(const struct json *o, struct rule *ret, struct error *err) {
    const char *type = json_str_or(json_get(o, "type"), "a"), *access = json_str_or(json_get(o, "access"), "rwm");

    *ret = (struct rule){.allow = json_bool_or(json_get(o, "allow"), false),
                         .major = json_int_or(json_get(o, "major"), -1),
                         .minor = json_int_or(json_get(o, "minor"), -1)};
    if (strcmp(type, "b") == 0)
        ret->type = BPF_DEVCG_DEV_BLOCK;
    else if (strcmp(type, "c") == 0 || strcmp(type, "u") == 0)
        ret->type = BPF_DEVCG_DEV_CHAR;
    else if (*type && strcmp(type, "a") != 0)
        return error_set(err, -EINVAL, "config: linux.resources.devices: type \"%s\" is not a, b or c", type);
    for (const char *p = access; *p; p++)
        if (*p == 'r')
            ret->access |= BPF_DEVCG_ACC_READ;
        else if (*p == 'w')
            ret->access |= BPF_DEVCG_ACC_WRITE;
        else if (*p == 'm')
            ret->access |= BPF_DEVCG_ACC_MKNOD;
        else
            return error_set(err, -EINVAL, "config: linux.resources.devices: access \"%s\" is not of r, w, m", access);
    if (!ret->access)
        ret->access = ALL_ACCESS;
    return 0;
}

static bool is_catch_all(const struct rule *rule) {
    return !rule->type && rule->access == ALL_ACCESS && rule->major < 0 && rule->minor < 0;
}

static int build(const struct json *rules, struct program *p, struct error *err) {
    size_t n = json_len(rules);
    struct rule rule;
    int r;

    if (n > RULES_MAX)
        return error_set(err, -E2BIG, "config: linux.resources.devices: more than %d rules", RULES_MAX);
    emit(p, BPF_LDX | BPF_W | BPF_MEM, 2, 1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
    emit(p, BPF_ALU64 | BPF_MOV | BPF_X, 3, 2, 0, 0);
    emit(p, BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
    emit(p, BPF_ALU64 | BPF_RSH | BPF_K, 3, 0, 0, 16);
    emit(p, BPF_LDX | BPF_W | BPF_MEM, 4, 1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
    emit(p, BPF_LDX | BPF_W | BPF_MEM, 5, 1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
    for (size_t i = ARRAY_LEN(always); i > 0; i--)
        emit_rule(p, &always[i - 1]);
    for (size_t i = n; i > 0; i--) {
        if ((r = parse_rule(json_at(rules, i - 1), &rule, err)) < 0)
            return r;
        emit_rule(p, &rule);
        if (is_catch_all(&rule))
            return 0; /* nothing after it can be reached, which the verifier would refuse */
    }
    emit(p, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1);
    emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    return 0;
}

static int bpf(int command, union bpf_attr *attr) {
    long r = syscall(SYS_bpf, command, attr, sizeof(*attr));

    return r < 0 ? -errno : (int) r;
}

/* Takes away what an earlier call attached: programs of one group must all allow. */
static void detach_others(int cgroup_fd, const uint32_t *ids, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        union bpf_attr get = {.prog_id = ids[i]};
        _cleanup_close_ int fd = bpf(BPF_PROG_GET_FD_BY_ID, &get);
        union bpf_attr detach = {
            .target_fd = (uint32_t) cgroup_fd, .attach_bpf_fd = (uint32_t) fd, .attach_type = BPF_CGROUP_DEVICE};

        if (fd >= 0)
            (void) bpf(BPF_PROG_DETACH, &detach);
    }
}

static int load(const struct program *p, struct error *err) {
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attr.insns = (uint64_t) (uintptr_t) p->code;
    attr.insn_cnt = (uint32_t) p->n;
    attr.license = (uint64_t) (uintptr_t) "GPL";
    int fd = bpf(BPF_PROG_LOAD, &attr);
    return fd < 0 ? error_set_errno(err, fd, "cannot load the device filter") : fd;
}

int cgroup_device_filter(const struct cgroup *cg, const struct json *rules, struct error *err) {
    struct program p = {NULL, 0, 0};
    uint32_t before[ATTACHED_MAX];
    union bpf_attr query, attach;
    int r;

    if (json_len(rules) == 0)
        return 0;
    r = build(rules, &p, err);
    _cleanup_close_ int fd = r < 0 ? r : load(&p, err);
    free(p.code);
    if (fd < 0)
        return fd;
    memset(&query, 0, sizeof(query));
    query.query.target_fd = (uint32_t) cg->fd;
    query.query.attach_type = BPF_CGROUP_DEVICE;
    query.query.prog_ids = (uint64_t) (uintptr_t) before;
    query.query.prog_cnt = ATTACHED_MAX;
    uint32_t n_before = bpf(BPF_PROG_QUERY, &query) == 0 ? query.query.prog_cnt : 0;
    memset(&attach, 0, sizeof(attach));
    attach.target_fd = (uint32_t) cg->fd;
    attach.attach_bpf_fd = (uint32_t) fd;
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI; /* a service manager inside may add its own below */
    r = bpf(BPF_PROG_ATTACH, &attach);
    if (r < 0)
        return error_set_errno(err, r, "cannot attach the device filter to cgroup %s", cg->path);
    detach_others(cg->fd, before, n_before);
    return 0;
}
