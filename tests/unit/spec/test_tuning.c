/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a process runs: what the configuration asks for becomes the numbers that the kernel takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/mempolicy.h>
#include <sched.h>
#include <string.h>
#include <sys/personality.h>

#include "runtime/spec/spec.h"

static int parse(const char *process, const char *section, struct spec **ret, struct error *err) {
    _cleanup_json_ struct json *config = NULL;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    strbuf_addf(&text,
                "{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"%s},\"linux\":{%s},"
                "\"mounts\":[]}",
                process, section);
    assert_int_equal(json_parse(text.data, text.len, NULL, &config, NULL), 0);
    return spec_parse(config, ret, err);
}

static struct spec *accepted(const char *process, const char *section) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct spec *spec = NULL;

    if (parse(process, section, &spec, &err) < 0)
        fail_msg("%s %s: %s", process, section, error_text(&err, -1));
    return spec;
}

static void refused(const char *process, const char *section, const char *words) {
    _cleanup_(spec_freep) struct spec *spec = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = parse(process, section, &spec, &err);

    if (r != -EINVAL || !strstr(error_text(&err, r), words))
        fail_msg("%s %s: got %d \"%s\", not \"%s\"", process, section, r, error_text(&err, r), words);
}

static void test_nothing_asked_for(void **state) {
    (void) state;
    _cleanup_(spec_freep) struct spec *spec =
        accepted(",\"scheduler\":{},\"ioPriority\":null,\"execCPUAffinity\":{}", "\"personality\":{}");

    assert_false(spec->process->scheduler.present);
    assert_false(spec->process->has_io_priority);
    assert_null(spec->process->exec_cpus_initial);
    assert_null(spec->process->exec_cpus_final);
    assert_false(spec->has_personality);
    assert_null(spec->memory_policy);
    assert_null(spec->time_offsets);
}

static void test_scheduler(void **state) {
    (void) state;
    _cleanup_(spec_freep) struct spec *spec =
        accepted(",\"scheduler\":{\"policy\":\"SCHED_DEADLINE\",\"flags\":[\"SCHED_FLAG_RESET_ON_FORK\","
                 "\"SCHED_FLAG_DL_OVERRUN\"],\"runtime\":10,\"deadline\":20,\"period\":30}",
                 "");
    const struct spec_scheduler *s = &spec->process->scheduler;

    assert_true(s->present);
    assert_int_equal(s->policy, 6);
    assert_int_equal(s->flags, 5);
    assert_int_equal(s->runtime, 10);
    assert_int_equal(s->deadline, 20);
    assert_int_equal(s->period, 30);
    refused(",\"scheduler\":{\"nice\":1}", "", "process.scheduler.policy");
    refused(",\"scheduler\":{\"policy\":\"SCHED_X\"}", "", "SCHED_X");
    refused(",\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"nice\":20}", "", "process.scheduler.nice");
    refused(",\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"priority\":2}", "", "process.scheduler.priority");
    refused(",\"scheduler\":{\"policy\":\"SCHED_FIFO\",\"priority\":2,\"nice\":2}", "", "process.scheduler.nice");
    refused(",\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"runtime\":2}", "", "SCHED_DEADLINE");
    refused(",\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"flags\":[\"X\"]}", "", "process.scheduler.flags");
}

static void test_io_priority(void **state) {
    (void) state;
    _cleanup_(spec_freep) struct spec *spec =
        accepted(",\"ioPriority\":{\"class\":\"IOPRIO_CLASS_IDLE\",\"priority\":4}", "");

    assert_true(spec->process->has_io_priority);
    assert_int_equal(spec->process->io_priority, (3 << 13) | 4);
    refused(",\"ioPriority\":{\"class\":\"X\"}", "", "process.ioPriority.class");
    refused(",\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":8}", "", "process.ioPriority.priority");
}

static void test_affinity(void **state) {
    (void) state;
    _cleanup_(spec_freep) struct spec *spec =
        accepted(",\"execCPUAffinity\":{\"initial\":\"0-2,7\",\"final\":\"1023\"}", "");

    assert_int_equal(CPU_COUNT(spec->process->exec_cpus_initial), 4);
    assert_true(CPU_ISSET(7, spec->process->exec_cpus_initial));
    assert_true(CPU_ISSET(1023, spec->process->exec_cpus_final));
    static const char *const bad[] = {"x", "1-", "-1", "3-1", "1024", "0-99999999999999999999", "1,", ",1", "1 2"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[96];

        (void) snprintf(text, sizeof(text), ",\"execCPUAffinity\":{\"final\":\"%s\"}", bad[i]);
        refused(text, "", "process.execCPUAffinity.final");
    }
}

static void test_linux(void **state) {
    (void) state;
    _cleanup_(spec_freep) struct spec *spec =
        accepted("", "\"namespaces\":[{\"type\":\"time\"}],\"personality\":{\"domain\":\"LINUX32\"},"
                     "\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"0,65\",\"flags\":[\"MPOL_F_STATIC_NODES\"]},"
                     "\"timeOffsets\":{\"monotonic\":{\"secs\":-5,\"nanosecs\":7},\"boottime\":{\"secs\":9}}");

    assert_true(spec->has_personality);
    assert_int_equal(spec->personality, PER_LINUX32);
    assert_int_equal(spec->memory_policy->mode, MPOL_BIND | MPOL_F_STATIC_NODES);
    assert_int_equal(spec->memory_policy->nodes[0], 1);
    assert_int_equal(spec->memory_policy->nodes[1], 2);
    assert_int_equal(spec->time_offsets->monotonic_sec, -5);
    assert_int_equal(spec->time_offsets->monotonic_nsec, 7);
    assert_int_equal(spec->time_offsets->boottime_sec, 9);
    refused("", "\"personality\":{\"domain\":\"BSD\"}", "linux.personality.domain");
    refused("", "\"memoryPolicy\":{\"nodes\":\"0\"}", "linux.memoryPolicy.mode");
    refused("", "\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"a\"}", "linux.memoryPolicy.nodes");
    refused("", "\"timeOffsets\":{\"monotonic\":{\"secs\":1}}", "time namespace");
    refused("", "\"namespaces\":[{\"type\":\"time\",\"path\":\"/p\"}],\"timeOffsets\":{\"boottime\":{\"secs\":1}}",
            "time namespace");
    refused("", "\"namespaces\":[{\"type\":\"time\"}],\"timeOffsets\":{\"realtime\":{\"secs\":1}}", "realtime");
    refused("", "\"namespaces\":[{\"type\":\"time\"}],\"timeOffsets\":{\"boottime\":{\"nanosecs\":1000000000}}",
            "linux.timeOffsets.boottime.nanosecs");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_asked_for), cmocka_unit_test(test_scheduler), cmocka_unit_test(test_io_priority),
        cmocka_unit_test(test_affinity),          cmocka_unit_test(test_linux),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
