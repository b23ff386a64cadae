# SPDX-License-Identifier: GPL-2.0-or-later
# Programs only system tests need: make -f tests/system/programs.mk BUILD=build build/system/apiserver_main
include Makefile
$(BUILD)/system/apiserver_main: $(BUILD)/o/tests/system/apiserver_main.o $(call link_libs,apiserver)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(call do_link,$@,$<,apiserver)
