# SPDX-License-Identifier: GPL-2.0-or-later
# Static checks of C, a file at a time; what was found is kept below $(BUILD) until the file, one of its headers or the
# choice of checks changes, so that looking again costs nothing.

# error.c and its like define what analyzer.h covers with macros
PRODUCT_SRCS := $(foreach m,$(MODULES),$(call srcs,$(m))) $(MAIN_verbs) $(MAIN_cmd)
# fixtures are seen in what includes them; faults.c wants a list of calls that tests/faults/run makes
TEST_SRCS := $(filter-out tests/faults/faults.c $(filter-out $(UNIT_SRCS),$(wildcard tests/unit/*/*.c)),$(wildcard tests/*/*.c tests/*/*/*.c tests/*/*/*/*.c))
knowledge = $(if $(filter runtime/base/error.c,$(1)),,-include tests/lint/analyzer.h)

# --- gcc -fanalyzer: paths through each file of the product. Without optimization: what is inlined and merged has less to
# do with the source, and the analyzer of gcc 12 then takes more things for what they are not.
ANALYZED := $(patsubst %.c,$(BUILD)/analyze/%.txt,$(PRODUCT_SRCS))
$(BUILD)/analyze/%.txt: %.c tests/lint/analyzer.h tests/lint/lint.mk | check-libraries $(BUILD)/gen/type_ids.h
	@mkdir -p $(@D)
	$(Q)LC_ALL=C $(CC) $(CPPFLAGS) -std=gnu17 $(PKG_CFLAGS) -O0 -fanalyzer -fno-diagnostics-show-caret -fdiagnostics-path-format=$(ANALYZE_PATHS) $(call knowledge,$<) \
	  -MMD -MP -MF $(@:.txt=.d) -MT $@ -S -o /dev/null $< 2>$@.tmp || { cat $@.tmp >&2; exit 1; }
	$(Q)mv $@.tmp $@
.PHONY: analyze analyze-files list-analyze-files tidy tidy-files tidy-quick-files
analyze-files: $(ANALYZED)
list-analyze-files:
	@echo $(ANALYZED)
analyze:
	@BUILD=$(BUILD) tests/lint/analyze
ANALYZE_PATHS ?= none

# --- clang-tidy 14, and with it clang's warnings. `make tidy` runs all of .clang-tidy over the product (TIDY_SRCS chooses files,
# TIDY_CHECKS adds checks and takes away); `make check` leaves out clang's own path analysis, which takes minutes, and looks
# at the tests, too.
TIDY ?= clang-tidy-14
TIDY_CHECKS ?=
TIDY_SRCS ?= $(PRODUCT_SRCS)
TIDY_FLAGS = -std=gnu17 $(call knowledge,$(1)) $(CPPFLAGS) $(filter-out -Werror,$(WARN)) -Wno-missing-field-initializers $(PKG_CFLAGS)
define tidy_recipe
	@mkdir -p $(@D)
	$(Q)$(TIDY) --quiet --checks='$(1)' $< -- $(call TIDY_FLAGS,$<) >$@.tmp 2>/dev/null || { cat $@.tmp; rm -f $@.tmp; exit 1; }
	$(Q)mv $@.tmp $@
endef
TIDY_NEEDS := .clang-tidy tests/.clang-tidy tests/fuzz/.clang-tidy tests/lint/analyzer.h tests/lint/lint.mk
$(BUILD)/tidy/%.ok: %.c $(TIDY_NEEDS) | check-libraries $(BUILD)/gen/type_ids.h
	$(call tidy_recipe,$(TIDY_CHECKS))
$(BUILD)/tidy-quick/%.ok: %.c $(TIDY_NEEDS) | check-libraries $(BUILD)/gen/type_ids.h
	$(call tidy_recipe,-clang-analyzer-*)
tidy-files: $(patsubst %.c,$(BUILD)/tidy/%.ok,$(TIDY_SRCS))
tidy-quick-files: $(patsubst %.c,$(BUILD)/tidy-quick/%.ok,$(PRODUCT_SRCS) $(TEST_SRCS))
tidy:
	@BUILD=$(BUILD) .ci/deps tidy
	$(Q)$(MAKE) -s -k -j$$(nproc) BUILD=$(BUILD) tidy-files

-include $(shell find $(BUILD)/analyze -name '*.d' 2>/dev/null)
