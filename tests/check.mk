# SPDX-License-Identifier: GPL-2.0-or-later
# Targets for tests, demo and installation.

.PHONY: unit-bins list-unit-bins
unit-bins: $(UNIT_BINS)
list-unit-bins:
	@echo $(UNIT_BINS)

# Tests with threads, for ThreadSanitizer: all of the modules that make them, and those which make some themselves. Left
# out: what measures memory, long ones in which a single client asks one thing after another, and those that put
# themselves before calls of the C library, which this sanitizer makes before it is ready for a program's functions.
TSAN_WITHOUT := $(shell grep -l failing_calls.h $(UNIT_SRCS)) \
  $(patsubst %,tests/unit/%.c,store/test_map_pages store/test_memory store/test_damage store/test_crash \
  apiserver/test_default_rows apiserver/test_validation_rows)
TSAN_SRCS := $(filter-out $(TSAN_WITHOUT),$(sort $(foreach m,store apiserver,$(wildcard tests/unit/$(m)/test_*.c)) \
  $(shell grep -lE 'pthread_create|apiserver_start|store_open' $(UNIT_SRCS))))
TSAN_BINS := $(foreach s,$(TSAN_SRCS),$(call unit_bin,$(s)))
.PHONY: tsan-bins list-tsan-bins
tsan-bins: $(TSAN_BINS)
list-tsan-bins:
	@echo $(TSAN_BINS)

deps:
	@BUILD=$(BUILD) .ci/deps all
check: deps
	@BUILD=$(BUILD) tests/check
check-asan:
	@BUILD=$(BUILD) CHECK_STEPS=asan tests/check
check-tsan:
	@BUILD=$(BUILD) CHECK_STEPS=tsan tests/check
# make check-system SANITIZE=address,undefined: the whole of it with sanitized programs; SYSTEM_TESTS chooses files
check-system:
	@BUILD=$(BUILD) SANITIZE=$(SANITIZE) SYSTEM_TESTS="$(SYSTEM_TESTS)" CHECK_STEPS=system tests/check
.PHONY: check-tsan
# the conformance suite, which runs unchanged against any OCI runtime:  make check-oci RUNTIME=crun
RUNTIME ?= $(BUILD)/baton
check-oci: $(if $(filter $(BUILD)/baton,$(RUNTIME)),$(BUILD)/baton)
	@BUILD=$(BUILD) RUNTIME=$(RUNTIME) TEST_AGAIN=0 tests/run tests/oci/*.bats
.PHONY: check-oci bench-oci
lint:
	@BUILD=$(BUILD) CHECK_STEPS=lint tests/check

# What the unit tests run, and with COVERAGE_SYSTEM=1 the system tests whose programs run on this host as well (the API server
# alone, baton). What is counted is low: of threads a little (not instrumented for them); of baton whatever runs behind
# pivot_root, where the files of the counts are not, or ends by a signal, by _exit() or as another program. Left out:
# notified seccomp filters, which wait for ever for the writing of the counts.
COVERAGE_BUILD := $(BUILD)/coverage
COVERAGE_MAKE = $(MAKE) -s -j$$(nproc) BUILD=$(COVERAGE_BUILD) CFLAGS='-O0 -g -Wno-cpp --coverage'
COVERAGE_FILES ?= $(foreach f,apply conversation encodings kubectl baton baton_config baton_oci baton_safety,tests/system/$(f).bats) \
  $(filter-out tests/oci/seccomp.bats,$(wildcard tests/oci/*.bats))
.PHONY: coverage
coverage:
	@.ci/deps all
	$(Q)$(COVERAGE_MAKE) all unit-bins
	$(Q)find $(COVERAGE_BUILD) -name '*.gcda' -delete
	$(Q)-TEST_JOBS=$$(nproc) tests/run $$($(MAKE) -s BUILD=$(COVERAGE_BUILD) list-unit-bins)
	$(Q)$(if $(COVERAGE_SYSTEM),$(COVERAGE_MAKE) -f tests/system/programs.mk system-programs)
	$(Q)$(if $(COVERAGE_SYSTEM),-TEST_JOBS=$$(nproc) BUILD=$(COVERAGE_BUILD) tests/run $(COVERAGE_FILES))
	$(Q)tests/coverage $(COVERAGE_BUILD)

demo:
	@BUILD=$(BUILD) .ci/deps demo
	@$(MAKE) -s -j$$(nproc) BUILD=$(BUILD) all
	@BUILD=$(BUILD) tests/demo/demo
demo-down:
	@BUILD=$(BUILD) tests/demo/demo-down
# everything, or parts: make bench BENCH="oci api"
bench:
	@BUILD=$(BUILD) .ci/deps bench
	$(Q)$(MAKE) -s BUILD=$(BUILD) all bench-bins
	@BUILD=$(BUILD) BENCH="$(BENCH)" tests/bench/run
# baton beside the installed crun and runc
bench-oci: $(BUILD)/baton
	@BUILD=$(BUILD) tests/bench/oci

# the same in instructions of a whole machine: exact, whatever else the host does
bench-oci-instructions: $(BUILD)/baton
	@BUILD=$(BUILD) tests/bench/oci_instructions
.PHONY: bench-oci-instructions

# --- fuzzing: make fuzz FUZZ_SECONDS=30 runs every target -------------------------------------------------------------
FUZZ_SECONDS ?= 20
FUZZ_BUILD := $(BUILD)/fuzz
FUZZ_BINS := $(patsubst tests/fuzz/%.c,$(FUZZ_BUILD)/bin/%,$(FUZZ_SRCS))
fuzz:
	@BUILD=$(BUILD) .ci/deps fuzz
	$(Q)$(MAKE) -s -j$$(nproc) BUILD=$(FUZZ_BUILD) CC=clang HOSTCC=gcc SANITIZE=address,undefined,fuzzer-no-link CFLAGS='-O1 -g' fuzz-bins
	$(Q)tests/fuzz/run $(FUZZ_SECONDS) $(patsubst $(FUZZ_BUILD)/bin/%,$(FUZZ_BUILD)/fuzz/%,$(FUZZ_BINS))
.PHONY: fuzz-bins
fuzz_module = $(patsubst tests/fuzz/%/,%,$(dir $(1)))
define fuzz_rules
$(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(1)): $(patsubst %.c,$(BUILD)/o/%.o,$(1)) $(call link_libs,$(call fuzz_module,$(1)))
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	$(Q)$(call do_link,$$@,$$<,$(call fuzz_module,$(1))) -fsanitize=fuzzer
fuzz-bins: $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(1))
endef
$(foreach s,$(FUZZ_SRCS),$(eval $(call fuzz_rules,$(s))))

# All targets in one program, for replaying corpora without libFuzzer: each file under a name of its own.
fuzz_name = $(patsubst fuzz_%,%,$(basename $(notdir $(1))))
fuzz_symbol = fuzz_$(call fuzz_module,$(1))_$(call fuzz_name,$(1))
define replay_rules
$(BUILD)/o/replay/$(call fuzz_symbol,$(1)).o: $(1) Makefile | $(BUILD)/gen/type_ids.h
	@mkdir -p $$(@D)
	@echo "  CC      $(1)"
	$(Q)$(CC) $(CPPFLAGS) -DLLVMFuzzerTestOneInput=$(call fuzz_symbol,$(1)) $(ALL_CFLAGS) -Wno-unused-result -MMD -MP -c -o $$@ $$<
endef
$(foreach s,$(FUZZ_SRCS),$(eval $(call replay_rules,$(s))))
# Two programs: what baton is made of, and the rest (they have functions of the same name).
REPLAY_LOW := $(foreach m,spec rootfs seccomp process state verbs pod,$(wildcard tests/fuzz/$(m)/fuzz_*.c))
define replay_program
$(BUILD)/gen/$(1)_targets.c: $(2) tests/check.mk
	@mkdir -p $$(@D)
	@echo "  GEN     $$@"
	$(Q){ echo '#include "tests/fuzz/replay.h"'; \
	  $(foreach s,$(2),echo 'int $(call fuzz_symbol,$(s))(const uint8_t *data, size_t size);';) \
	  echo 'const struct fuzz_target fuzz_targets[] = {'; \
	  $(foreach s,$(2),echo '{"$(call fuzz_module,$(s))/$(call fuzz_name,$(s))"$(comma) $(call fuzz_symbol,$(s))}$(comma)';) \
	  echo '};'; echo 'const size_t fuzz_targets_n = sizeof(fuzz_targets) / sizeof(fuzz_targets[0]);'; } >$$@.tmp && mv $$@.tmp $$@
$(BUILD)/$(1): $(foreach s,$(2),$(BUILD)/o/replay/$(call fuzz_symbol,$(s)).o) $(BUILD)/o/gen/$(1)_targets.o $(BUILD)/o/tests/fuzz/replay.o \
  $(call link_libs,$(3))
	@echo "  LD      $$@"
	$(Q)$$(call do_link,$$@,$$(filter %.o,$$^),$(3))
endef
$(eval $(call replay_program,replay_low,$(REPLAY_LOW),verbs pod))
$(eval $(call replay_program,replay_high,$(filter-out $(REPLAY_LOW),$(FUZZ_SRCS)),cmd))
.PHONY: check-corpora
check-corpora:
	@BUILD=$(BUILD) CHECK_STEPS=corpora tests/check

# --- installation ------------------------------------------------------------------------------------------------------
BINDIR := $(PREFIX)/bin
UNITDIR := $(PREFIX)/lib/systemd/system
# the system bus reads policies below /usr and /etc, not below /usr/local
DBUSDIR := $(if $(filter /usr,$(PREFIX)),/usr/share,/etc)/dbus-1/system.d
MANDIR := $(PREFIX)/share/man
INSTALLED_UNITS := $(filter-out %/podium-node.target,$(UNIT_FILES)) manifests/systemd/podium-server.socket
MAN_PAGES := $(sort $(wildcard manifests/man/*.[158]))
COMPLETIONDIR := $(PREFIX)/share/bash-completion/completions
ZSHDIR := $(PREFIX)/share/zsh/site-functions
install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(DBUSDIR) $(DESTDIR)$(COMPLETIONDIR) $(DESTDIR)$(ZSHDIR)
	install -m 755 $(BUILD)/podium $(BUILD)/baton $(DESTDIR)$(BINDIR)/
	for f in $(INSTALLED_UNITS); do sed 's|@BINDIR@|$(BINDIR)|g' $$f >$(DESTDIR)$(UNITDIR)/$$(basename $$f) && \
	  chmod 644 $(DESTDIR)$(UNITDIR)/$$(basename $$f) || exit 1; done
	install -m 644 manifests/systemd/org.podium.Node1.conf $(DESTDIR)$(DBUSDIR)/
	for f in $(MAN_PAGES); do install -D -m 644 $$f $(DESTDIR)$(MANDIR)/man$${f##*.}/$$(basename $$f) || exit 1; done
	install -m 644 manifests/completion/podium.bash $(DESTDIR)$(COMPLETIONDIR)/podium
	install -m 644 manifests/completion/_podium $(DESTDIR)$(ZSHDIR)/_podium
	@$(if $(DESTDIR),:,if [ -d /run/systemd/system ]; then systemctl daemon-reload && systemctl reload dbus 2>/dev/null || :; fi)
uninstall:
	rm -f $(DESTDIR)$(BINDIR)/podium $(DESTDIR)$(BINDIR)/baton $(DESTDIR)$(DBUSDIR)/org.podium.Node1.conf
	rm -f $(foreach f,$(notdir $(INSTALLED_UNITS)),$(DESTDIR)$(UNITDIR)/$(f)) $(foreach f,$(notdir $(MAN_PAGES)),$(DESTDIR)$(MANDIR)/man$(patsubst .%,%,$(suffix $(f)))/$(f))
	rm -f $(DESTDIR)$(COMPLETIONDIR)/podium $(DESTDIR)$(ZSHDIR)/_podium

# --- benchmarks: tests/bench/NAME_bench.c, each linked with everything ----------------------------------------------------
BENCH_SRCS := $(wildcard tests/bench/*_bench.c)
BENCH_BINS := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(BENCH_SRCS))
.PHONY: bench-bins
bench-bins: $(BENCH_BINS)
# figures for the report, as all of them note them
BENCH_RECORD := $(BUILD)/o/tests/bench/record.o
$(BUILD)/bench/%: $(BUILD)/o/tests/bench/%.o $(BENCH_RECORD) $(call link_libs,cmd)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(call do_link,$@,$< $(BENCH_RECORD),cmd)

# the API server by itself, with a load generator of its own
API_BENCH_SRCS := $(wildcard tests/bench/api/*.c)
$(BUILD)/bench/api_bench: $(patsubst %.c,$(BUILD)/o/%.o,$(API_BENCH_SRCS)) $(BENCH_RECORD) $(call link_libs,cmd)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(call link_libs,cmd) -Wl,--end-group \
	  $(call pkg_libs,$(call link_pkgs,cmd)) -pthread
bench-bins: $(BUILD)/bench/api_bench

# thousands of simulated nodes:  make bench-nodes NODES="1000 5000"
NODES ?= 1000 5000 20000
NODES_SIM_OBJS := $(patsubst %,$(BUILD)/o/tests/bench/%.o,nodes/sim nodes/watcher nodes/cluster nodes/threads api/server api/load api/objects)
$(BUILD)/bench/nodes_bench $(BUILD)/bench/nodes_check: $(BUILD)/bench/%: $(BUILD)/o/tests/bench/nodes/%.o $(NODES_SIM_OBJS) \
  $(call link_libs,cmd)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(call do_link,$@,$(filter %.o,$^),cmd)
bench-bins: $(BUILD)/bench/nodes_bench
.PHONY: bench-nodes
bench-nodes: $(BUILD)/podium $(BUILD)/bench/nodes_bench
	@BUILD=$(BUILD) tests/bench/nodes/run $(NODES)
.PHONY: bench-api
bench-api: $(BUILD)/podium $(BUILD)/bench/api_bench
	@BUILD=$(BUILD) BENCH=api tests/bench/run

# --- slower looks at the code, not part of `make check` --------------------------------------------------------------------
.PHONY: valgrind
# memcheck over the unit tests of a normal build; UNIT_BINS chooses
valgrind: $(UNIT_BINS)
	@BUILD=$(BUILD) .ci/deps valgrind
	$(Q)tests/valgrind $(UNIT_BINS)

include tests/lint/lint.mk
-include tests/vm/vm.mk
# --- every system call of baton fails once, with errors in turn, and baton is killed at each; minutes ---------------------------
FAULT_ROUNDS ?= 2
.PHONY: check-faults
check-faults: $(BUILD)/baton
	$(Q)BUILD=$(BUILD) tests/faults/run --rounds $(FAULT_ROUNDS)
# --- the server struck at every one of its calls that change files, in turn: minutes ---------------------------------------
.PHONY: crash-sweep
crash-sweep: all
	$(Q)$(MAKE) -s -f tests/system/programs.mk BUILD=$(BUILD) $(BUILD)/crash/crash $(BUILD)/crash/strike.so
	$(Q)BUILD=$(BUILD) tests/crash/sweep
# --- hours of churn, then: is everything flat?  make soak SOAK_MINUTES=120 SOAK_DIR=folder ------------------------------------
.PHONY: soak
soak: all
	@BUILD=$(BUILD) tests/soak/run
