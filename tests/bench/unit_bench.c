/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What StartTransientUnit costs with many pods on a node: units like the agent's, started and stopped one at a time
 * among 10, 100, 500 running ones, all in one slice or spread over sub-slices as the agent does it. Run on a node whose
 * agent is stopped: this program stands in for it, signals and all. Its units run itself, say that they are ready, and
 * wait.
 * usage: unit_bench one|spread SAMPLES SIZE...      Prints, per size: size start_p50_ms start_p99_ms stop_p50_ms
 * stop_p99_ms units_started_per_second_with_16_in_flight
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "orchestrator/systemd/units.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

struct bench {
    sd_event *loop;
    struct unit_manager *units;
    const char *program;
    bool spread;
    unsigned pending; /* jobs that have not ended */
};

static int by_value(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;

    return x < y ? -1 : x > y;
}

static void on_done(void *userdata, const char *name, int result, const char *text) {
    struct bench *b = userdata;

    b->pending--;
    if (result < 0)
        fprintf(stderr, "unit_bench: %s: %s\n", name, text ? text : strerror(-result));
}

static void wait_for_jobs(struct bench *b) {
    while (b->pending > 0)
        if (sd_event_run(b->loop, UINT64_MAX) < 0)
            exit(1);
}

static char *name_of(unsigned i) {
    return xasprintf(UNIT_POD_PREFIX "bench-%u.service", i);
}

static void start(struct bench *b, unsigned i) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *name = name_of(i), *uid = xasprintf("%08x", i * 2654435761u);
    _cleanup_free_ char *slice = b->spread ? unit_pod_slice("BestEffort", uid) : xstrdup("podium-besteffort.slice");
    const struct unit_request request = {
        .name = name,
        .description = "A pod of a benchmark",
        .slice = slice,
        .identifier = "bench",
        .exec_start = (const char *const[]){b->program, "wait", NULL},
        .environment = (const char *const[]){"A=b", NULL},
        .stop_timeout_usec = 30 * USEC_PER_SEC,
        .memory_max = UNIT_UNLIMITED,
        .tasks_max = UNIT_UNLIMITED,
        .cpu_quota_per_sec_usec = UNIT_UNLIMITED,
        .cpu_weight = 1,
    };

    int r = unit_start(b->units, &request, &err);
    if (r < 0) {
        fprintf(stderr, "unit_bench: %s\n", error_text(&err, r));
        exit(1);
    }
    b->pending++;
}

static void stop(struct bench *b, unsigned i) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *name = name_of(i);

    int r = unit_stop(b->units, name, &err);
    if (r < 0) {
        fprintf(stderr, "unit_bench: %s\n", error_text(&err, r));
        exit(1);
    }
    b->pending++;
}

/* Milliseconds from asking to the end of the job. */
static double timed(struct bench *b, void (*what)(struct bench *, unsigned), unsigned i) {
    uint64_t t = now_monotonic_usec();

    what(b, i);
    wait_for_jobs(b);
    return (double) (now_monotonic_usec() - t) / 1000.0;
}

static void measure(struct bench *b, unsigned size, unsigned samples, double rate) {
    _cleanup_free_ double *starts = xcalloc(samples, sizeof(double)), *stops = xcalloc(samples, sizeof(double));

    for (unsigned i = 0; i < samples; i++) {
        starts[i] = timed(b, start, size + i);
        stops[i] = timed(b, stop, size + i);
    }
    qsort(starts, samples, sizeof(double), by_value);
    qsort(stops, samples, sizeof(double), by_value);
    printf("%u %.1f %.1f %.1f %.1f %.0f\n", size, starts[samples / 2], starts[samples * 99 / 100], stops[samples / 2],
           stops[samples * 99 / 100], rate);
    fflush(stdout);
}

static int run(struct bench *b, unsigned samples, char *const *sizes) {
    unsigned running = 0;

    for (; *sizes; sizes++) {
        unsigned size = (unsigned) strtoul(*sizes, NULL, 10), before = running;
        uint64_t t = now_monotonic_usec();
        while (running < size)
            start(b, running++);
        wait_for_jobs(b);
        double rate = (running - before) * 1e6 / (double) (now_monotonic_usec() - t);
        measure(b, size, samples, rate);
    }
    while (running > 0)
        stop(b, --running);
    wait_for_jobs(b);
    return 0;
}

int main(int argc, char **argv) {
    static const struct unit_callbacks callbacks = {.started = on_done, .stopped = on_done};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    char program[4096] = {0};
    struct bench b = {.program = program};
    sd_bus *bus = NULL;

    if (argc == 2 && strcmp(argv[1], "wait") == 0) {
        (void) sd_notify(0, "READY=1");
        return pause();
    }
    unsigned samples = argc > 3 ? (unsigned) strtoul(argv[2], NULL, 10) : 0;
    if (samples == 0 || readlink("/proc/self/exe", program, sizeof(program) - 1) < 0) {
        fputs("usage: unit_bench one|spread SAMPLES SIZE...\n", stderr);
        return 2;
    }
    b.spread = strcmp(argv[1], "spread") == 0;
    int r = sd_event_default(&b.loop);
    if (r >= 0)
        r = sd_bus_default_system(&bus);
    if (r >= 0)
        r = sd_bus_attach_event(bus, b.loop, 0);
    if (r >= 0)
        r = unit_manager_new_systemd(bus, 0, &b.units, &err);
    if (r < 0) {
        fprintf(stderr, "unit_bench: %s\n", error_text(&err, r));
        return 1;
    }
    unit_manager_set_callbacks(b.units, &callbacks, &b);
    r = run(&b, samples, argv + 3);
    unit_manager_free(b.units);
    sd_bus_flush_close_unref(bus);
    sd_event_unref(b.loop);
    return r;
}
