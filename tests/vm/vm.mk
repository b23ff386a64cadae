# SPDX-License-Identifier: GPL-2.0-or-later
# Tests in virtual machines: tests/vm/*.bats. `make check-vm` runs all, `make check-vm VM_TESTS=tests/vm/limits.bats` some.

VM_TOOLS := $(addprefix $(BUILD)/vm-tools/,control runner switch)
.PHONY: check-vm vm-image vm-tools
check-vm: deps
	@BUILD=$(BUILD) VM_TESTS="$(VM_TESTS)" CHECK_STEPS=vm tests/check
vm-tools: $(VM_TOOLS)
vm-image: all vm-tools
	@BUILD=$(BUILD) tests/vm/make-image $(BUILD)/vm
# the runner is alone in its machine: no library of ours, none of the guest's
$(BUILD)/vm-tools/runner: tests/vm/runner.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g $(WARN) -static -o $@ $<
$(BUILD)/vm-tools/control $(BUILD)/vm-tools/switch: $(BUILD)/vm-tools/%: tests/vm/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g $(WARN) -o $@ $<

# Breaks the product on purpose, one small change for each test, and wants the tests to see it; an hour with translated
# machines. `make check-vm-faults VM_TESTS=tests/vm/limits.bats` chooses.
.PHONY: check-vm-faults
check-vm-faults: deps all
	@BUILD=$(BUILD) tests/vm/faulty $(VM_TESTS)
