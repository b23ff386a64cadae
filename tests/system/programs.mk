# SPDX-License-Identifier: GPL-2.0-or-later
# Programs only system tests need: make -f tests/system/programs.mk BUILD=build build/system/apiserver_main
include Makefile
$(BUILD)/system/apiserver_main: $(BUILD)/o/tests/system/apiserver_main.o $(call link_libs,apiserver)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(call do_link,$@,$<,apiserver)
# the clients and the judge of the crash tests
$(BUILD)/crash/check_history: $(BUILD)/o/tests/crash/check_history.o $(BUILD)/o/tests/crash/history.o $(call link_libs,base)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(call do_link,$@,$(filter %.o,$^),base) -lcmocka
$(BUILD)/crash/crash: $(foreach f,crash clients judge history,$(BUILD)/o/tests/crash/$(f).o) $(call link_libs,base)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(call do_link,$@,$(filter %.o,$^),base) -lcurl
# what strikes the server down at one of its calls
$(BUILD)/crash/strike.so: tests/crash/strike.c
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(filter-out -fPIE -fsanitize=%,$(ALL_CFLAGS)) -U_FORTIFY_SOURCE -fPIC -shared -o $@ $<

# all of them, before files that want them run at the same time
.PHONY: system-programs
system-programs: $(BUILD)/system/apiserver_main $(BUILD)/crash/check_history $(BUILD)/crash/crash $(BUILD)/crash/strike.so