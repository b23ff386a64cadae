# SPDX-License-Identifier: GPL-2.0-or-later
#
# One non-recursive Makefile. Each folder is a module and becomes a static library; tests/lint/layers.txt says which
# module may use which, and both #include checking and linking follow it.
#
#   make deps all check check-oci check-vm lint fuzz soak bench bench-api bench-oci demo demo-down install uninstall clean
#   make BUILD=build/asan SANITIZE=address,undefined check-unit

BUILD    ?= build
PREFIX   ?= /usr/local
DESTDIR  ?=
SANITIZE ?=
CC       ?= gcc
AR       ?= ar
HOSTCC   ?= $(CC)
PKG_CONFIG ?= pkg-config
V        ?= 0
Q        := $(if $(filter 1,$(V)),,@)

.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# --- modules: name, folder ---------------------------------------------------------------------------------------
DIR_base := runtime/base
DIR_spec := runtime/spec
DIR_namespaces := runtime/namespaces
DIR_rootfs := runtime/rootfs
DIR_seccomp := runtime/seccomp
DIR_process := runtime/process
DIR_state := runtime/state
DIR_verbs := runtime/verbs
DIR_pod := runtime/pod
DIR_cgroups := cgroups
DIR_netns := netns
DIR_runtime :=
$(foreach m,object manifest store watch curl client apiserver controller scheduler link systemd agent images cli local pki cmd,\
  $(eval DIR_$(m) := orchestrator/$(m)))

# "module: deps" lines of layers.txt become LAYER_module := deps
LAYER_LINES := $(shell sed -n 's/^\([a-z]*\): *\(.*\)$$/\1:\2/p' tests/lint/layers.txt | tr ' ' ',')
comma := ,
empty :=
space := $(empty) $(empty)
$(foreach l,$(LAYER_LINES),$(eval LAYER_$(word 1,$(subst :, ,$(l))) := $(subst $(comma),$(space),$(word 2,$(subst :, ,$(l))))))
MODULES := $(foreach l,$(LAYER_LINES),$(word 1,$(subst :, ,$(l))))

# the module and everything it uses, users first
closure = $(if $(1),$(1) $(call closure,$(filter-out $(1),$(sort $(foreach m,$(1),$(LAYER_$(m)))))))
uniq = $(if $(1),$(firstword $(1)) $(call uniq,$(filter-out $(firstword $(1)),$(1))))

# --- libraries -----------------------------------------------------------------------------------------------------
PKGS_base := yajl libm
PKGS_spec :=
PKGS_seccomp := libseccomp
PKGS_process := libcap
PKGS_netns := libnl-3.0 libnl-route-3.0 libnl-nf-3.0 libnftables libresolv libsystemd
PKGS_manifest := yaml-0.1 libsystemd
PKGS_store := lmdb zlib gnutls
PKGS_watch :=
PKGS_curl := libcurl libsystemd
PKGS_client := libsystemd gnutls
PKGS_apiserver := libmicrohttpd gnutls libwslay libsystemd zlib
PKGS_controller := libsystemd gnutls
PKGS_scheduler := libsystemd
PKGS_link := libsystemd gnutls
PKGS_systemd := libsystemd
PKGS_agent := libsystemd
PKGS_images := libarchive gnutls libzstd zlib
PKGS_cli := libsystemd gnutls libwslay
PKGS_local := libsystemd
PKGS_pki := gnutls
PKGS_cmd := libsystemd
# libm, libresolv, lmdb and libwslay have no or unreliable .pc files in Debian: named by hand
NOPC_LIBS_libm := -lm
NOPC_LIBS_libresolv := -lresolv
NOPC_LIBS_lmdb := -llmdb
# opened at run time, by orchestrator/curl
NOPC_LIBS_libcurl := -ldl
# Statically: only tar and three filters are used, while the shared library brings libxml2, ICU and libstdc++, half a
# megabyte in each process that holds them. What it needs in turn is named as installed with it, without headers.
NOPC_LIBS_libarchive := -l:libarchive.a -l:libnettle.so.8 -l:liblzma.so.5 -l:liblz4.so.1 -l:libbz2.so.1.0 -l:libacl.so.1
NOPC_LIBS_libwslay := -lwslay
NOPC_HEADER_libarchive := archive.h
NOPC_HEADER_lmdb := lmdb.h
NOPC_HEADER_libcurl := curl/curl.h
NOPC_HEADER_libwslay := wslay/wslay.h
has_header = $(shell echo '\#include <$(1)>' | $(CC) $(CPPFLAGS) -E -x c -o /dev/null - 2>/dev/null && echo yes)
pkg_libs = $(foreach p,$(1),$(if $(NOPC_LIBS_$(p)),$(NOPC_LIBS_$(p)),$(PKGLIBS_$(p))))
ALL_PKGS := $(sort $(foreach m,$(MODULES),$(PKGS_$(m))))
ifeq ($(filter clean deps,$(MAKECMDGOALS)),)
$(foreach p,$(ALL_PKGS),$(if $(NOPC_LIBS_$(p)),,$(eval PKGLIBS_$(p) := $(shell $(PKG_CONFIG) --libs $(p) 2>/dev/null))\
  $(if $(PKGLIBS_$(p)),,$(eval MISSING += $(p)))))
$(foreach p,$(ALL_PKGS),$(if $(NOPC_HEADER_$(p)),$(if $(call has_header,$(NOPC_HEADER_$(p))),,$(eval MISSING += $(p)))))
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(foreach p,$(ALL_PKGS),$(if $(NOPC_LIBS_$(p)),,$(p))) 2>/dev/null)
endif

CPPFLAGS += -I. -Iinclude -I$(BUILD)/gen -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64
WARN := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wno-unused-parameter -Werror
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu17 -fPIE -fno-strict-aliasing -fstack-protector-strong -ffunction-sections -fdata-sections \
  $(WARN) $(CFLAGS) $(PKG_CFLAGS)
ALL_LDFLAGS = -pie -Wl,--gc-sections -Wl,--as-needed -Wl,-z,relro,-z,now $(LDFLAGS)
ifeq ($(SANITIZE),)
ALL_CFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
else
# instrumented code hides value ranges from gcc: it then sees truncation that cannot happen
ALL_CFLAGS += $(if $(findstring clang,$(CC)),-Wno-missing-field-initializers,-Wno-format-truncation)
ALL_CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
ALL_LDFLAGS += -fsanitize=$(SANITIZE)
endif

# --- modules: objects and archives ----------------------------------------------------------------------------------
MAIN_cmd := orchestrator/cmd/podium_main.c
MAIN_verbs := runtime/verbs/baton_main.c
# controller and scheduler have one level of sub-folders, as have others that grow them
srcs = $(if $(DIR_$(1)),$(filter-out $(MAIN_cmd) $(MAIN_verbs) orchestrator/object/gen/%,$(wildcard $(DIR_$(1))/*.c $(DIR_$(1))/*/*.c)))

define module_rules
OBJS_$(1) := $(patsubst %.c,$(BUILD)/o/%.o,$(call srcs,$(1))) $(GEN_OBJS_$(1))
LIB_$(1) := $(if $(call srcs,$(1)),$(BUILD)/lib/$(1).a)
$(BUILD)/lib/$(1).a: $$(OBJS_$(1))
	@mkdir -p $$(@D)
	$(Q)rm -f $$@ && $(AR) rcs $$@ $$^
endef

# generated sources: the type tables
TABLES := $(wildcard orchestrator/object/tables/*.tsv)
TYPEGEN := $(wildcard orchestrator/object/gen/*.c)
GEN_OBJS_object := $(if $(TYPEGEN),$(BUILD)/o/gen/type_tables.o)
$(BUILD)/bin/typegen: $(TYPEGEN) orchestrator/object/gen/typegen.h
	@mkdir -p $(@D)
	@echo "  HOSTCC  $@"
	$(Q)$(HOSTCC) -std=gnu17 -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE -I. -o $@ $(TYPEGEN)
$(BUILD)/gen/type_tables.c $(BUILD)/gen/type_ids.h &: $(BUILD)/bin/typegen $(TABLES)
	@mkdir -p $(@D)
	@echo "  GEN     $(BUILD)/gen/type_tables.c"
	$(Q)$(BUILD)/bin/typegen orchestrator/object/tables $(BUILD)/gen/type_tables.c $(BUILD)/gen/type_ids.h
$(BUILD)/o/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# unit files carried inside the program; sanitizers map and trace what the hardening forbids
UNIT_EDIT := $(if $(SANITIZE),/^MemoryDenyWriteExecute=\|^SystemCall/d)
UNIT_FILES := $(sort $(wildcard manifests/systemd/*.service manifests/systemd/*.slice manifests/systemd/*.target))
GEN_OBJS_local := $(BUILD)/o/gen/unit_files.o
$(BUILD)/gen/unit_files.c: $(UNIT_FILES) manifests/systemd/org.podium.Node1.conf Makefile
	@mkdir -p $(@D)
	@echo "  GEN     $@"
	$(Q){ echo '#include "orchestrator/local/unit_files.h"'; echo 'const struct unit_file unit_files[] = {'; \
	  for f in $(UNIT_FILES); do echo "{\"$$(basename $$f)\","; \
	    sed -e '$(UNIT_EDIT)' -e 's/["\\]/\\&/g; s/^/    "/; s/$$/\\n"/' $$f; echo '},'; done; \
	  echo '};'; echo 'const char bus_policy[] ='; sed 's/["\\]/\\&/g; s/^/    "/; s/$$/\\n"/' manifests/systemd/org.podium.Node1.conf; \
	  echo ';'; echo 'const size_t unit_files_n = sizeof(unit_files) / sizeof(unit_files[0]);'; } >$@.tmp && mv $@.tmp $@

# objects of every new cluster, carried inside the program
BOOTSTRAP_FILES := $(sort $(wildcard manifests/bootstrap/*.yaml))
GEN_OBJS_apiserver := $(BUILD)/o/gen/bootstrap_files.o
$(BUILD)/gen/bootstrap_files.c: $(BOOTSTRAP_FILES) Makefile
	@mkdir -p $(@D)
	@echo "  GEN     $@"
	$(Q){ echo '#include "orchestrator/apiserver/bootstrap_files.h"'; echo 'const struct bootstrap_file bootstrap_files[] = {'; \
	  for f in $(BOOTSTRAP_FILES); do echo "{\"$$(basename $$f)\","; \
	    sed -e 's/["\\]/\\&/g; s/^/    "/; s/$$/\\n"/' $$f; echo '},'; done; \
	  echo '};'; echo 'const size_t bootstrap_files_n = sizeof(bootstrap_files) / sizeof(bootstrap_files[0]);'; } >$@.tmp && mv $@.tmp $@

$(foreach m,$(MODULES),$(eval $(call module_rules,$(m))))

# headers that are generated come first, whoever may include them
$(BUILD)/o/%.o: %.c Makefile tests/lint/layers.txt | check-libraries $(BUILD)/gen/type_ids.h
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -MT $@ -MT $(@:$(BUILD)/o/%.o=$(BUILD)/tidy/%.ok) \
	  -MT $(@:$(BUILD)/o/%.o=$(BUILD)/tidy-quick/%.ok) -c -o $@ $<

# archives and libraries a module needs to link, users first
link_modules = $(call uniq,$(call closure,$(1)))
link_libs = $(foreach m,$(call link_modules,$(1)),$(LIB_$(m)))
link_pkgs = $(sort $(foreach m,$(call link_modules,$(1)),$(PKGS_$(m))))
do_link = $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $(1) $(2) -Wl,--start-group $(call link_libs,$(3)) -Wl,--end-group \
  $(call pkg_libs,$(call link_pkgs,$(3))) -pthread

# --- programs ----------------------------------------------------------------------------------------------------
PROGRAMS := $(if $(wildcard $(MAIN_verbs)),$(BUILD)/baton) $(if $(wildcard $(MAIN_cmd)),$(BUILD)/podium)

.DEFAULT_GOAL := all
.PHONY: all deps check check-unit check-asan check-system lint fuzz bench demo demo-down install uninstall clean check-libraries
all: $(PROGRAMS)

check-libraries:
	@$(if $(strip $(MISSING)),echo "Missing libraries: $(MISSING). Install them with: make deps" >&2; exit 1,:)

BATON_MODULES := verbs pod
# Statically where the archives are there (Debian's -dev packages have them): it runs itself anew for each container, and
# loading three libraries would be a fifth of its work then.
has_archive = $(filter /%,$(shell $(CC) -print-file-name=$(1)))
BATON_STATIC ?= $(if $(SANITIZE),,$(and $(call has_archive,libc.a),$(call has_archive,libseccomp.a),$(call has_archive,libcap.a),$(call has_archive,libyajl_s.a),yes))
BATON_LINK_static = $(CC) $(ALL_CFLAGS) -static-pie $(filter-out -pie,$(ALL_LDFLAGS)) -o $(1) $(2) -Wl,--start-group \
  $(call link_libs,$(BATON_MODULES)) -Wl,--end-group -lseccomp -lcap -l:libyajl_s.a -lm
$(BUILD)/baton: $(patsubst %.c,$(BUILD)/o/%.o,$(MAIN_verbs)) $(call link_libs,$(BATON_MODULES))
	@echo "  LD      $@"
	$(Q)$(if $(BATON_STATIC),$(call BATON_LINK_static,$@,$<),$(call do_link,$@,$<,$(BATON_MODULES)))
# The server makes and drops small blocks from many threads: with jemalloc it needs a quarter less processor time for a
# pod than with the C library's allocator, and documents of all sizes leave fewer holes. Sanitizers bring their own.
PODIUM_ALLOCATOR ?= $(if $(SANITIZE),,$(and $(call has_archive,libjemalloc_pic.a),-l:libjemalloc_pic.a -lm))
$(BUILD)/podium: $(patsubst %.c,$(BUILD)/o/%.o,$(MAIN_cmd)) $(call link_libs,cmd)
	@echo "  LD      $@"
	$(Q)$(call do_link,$@,$<,cmd) $(PODIUM_ALLOCATOR)

# --- unit tests: tests/unit/<module>/test_*.c, one program each, linked with its module -------------------------------
UNIT_SRCS := $(wildcard tests/unit/*/test_*.c)
unit_module = $(patsubst tests/unit/%/,%,$(dir $(1)))
unit_bin = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(1))
UNIT_BINS := $(foreach s,$(UNIT_SRCS),$(call unit_bin,$(s)))
define unit_rules
$(call unit_bin,$(1)): $(patsubst %.c,$(BUILD)/o/%.o,$(1)) $(call link_libs,$(call unit_module,$(1)))
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	$(Q)$(call do_link,$$@,$$<,$(call unit_module,$(1))) -lcmocka
endef
$(foreach s,$(UNIT_SRCS),$(eval $(call unit_rules,$(s))))
# make unit-object: builds and runs the tests of one module
define unit_module_rule
.PHONY: unit-$(1)
unit-$(1): $(filter $(BUILD)/unit/$(1)/%,$(UNIT_BINS))
	$(Q)tests/run $$^
endef
$(foreach m,$(MODULES),$(eval $(call unit_module_rule,$(m))))

check-unit: $(UNIT_BINS)
	$(Q)tests/run $(UNIT_BINS)

# --- fuzz targets: tests/fuzz/<module>/fuzz_*.c (LLVMFuzzerTestOneInput), clang only -------------------------------------
FUZZ_SRCS := $(wildcard tests/fuzz/*/fuzz_*.c)

-include tests/check.mk

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/o -name '*.d' 2>/dev/null)
