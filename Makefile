# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# make help says what there is. O=DIR builds elsewhere, V=1 shows the commands.
O ?= build
V ?=
ARCH ?= $(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/')
KERNEL ?= 7.2
SUITE ?=
RUNS ?=
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

.DEFAULT_GOAL := all
Q := $(if $(V),,@)
msg = @$(if $(V),true,printf '  %-8s %s\n' '$(1)' '$(patsubst $(O)/%,%,$(2))')

# Found by scripts/detect.sh, with minimum versions and a clear message. Goals that build nothing
# themselves do without: some of them install what is missing first.
INDIRECT := help clean deps ready run test test-vm test-bpf acceptance bench lint kmod
ifneq ($(filter-out $(INDIRECT),$(or $(MAKECMDGOALS),all)),)
$(O)/config.mk: scripts/detect.sh Makefile
	@mkdir -p $(O)
	@sh scripts/detect.sh $@
include $(O)/config.mk
endif

HOOKS := observe nominate struct_ops
POLICIES := kernel priority
PROBES := calibrate score selftest cgroups procs shields
BPF_OBJS := $(HOOKS:%=$(O)/bpf/hooks/%.bpf.o) $(POLICIES:%=$(O)/bpf/policies/%.bpf.o) \
	    $(PROBES:%=$(O)/bpf/probe/%.bpf.o)

USER_SRC := $(sort $(wildcard user/*.c))
LIB_SRC := $(filter-out user/main.c,$(USER_SRC))
LIB_OBJS := $(LIB_SRC:%.c=$(O)/%.o) $(O)/user/objects.o
UNIT := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
SUITES := $(patsubst tests/suites/%.c,%,$(sort $(wildcard tests/suites/suite_*.c)))
SUITE_LIB := $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tests/suites/lib/*.c)))
TEST_POLICIES := $(patsubst tests/suites/policies/%.bpf.c,$(O)/tests/policies/%.bpf.o,\
	$(sort $(wildcard tests/suites/policies/*.bpf.c)))
TEST_BPF := $(patsubst tests/bpf/%.bpf.c,$(O)/tests/bpf/%.bpf.o,$(sort $(wildcard tests/bpf/*.bpf.c)))

WARN := -Wall -Wextra -Werror -Wformat=2 -Wtype-limits -Wstrict-prototypes -Wno-unused-parameter
CFLAGS ?= -O2 -g
OX_CFLAGS := -std=gnu11 $(WARN) -D_GNU_SOURCE -DOX_VERSION='"$(VERSION)"' -Ibpf/include -Iuser \
	     $(LIBS_CFLAGS)
SHARE := $(PREFIX)/share/oomx
# Where it is installed is compiled in: a file that changes when that does.
ifneq ($(filter-out $(INDIRECT),$(or $(MAKECMDGOALS),all)),)
$(shell mkdir -p $(O); echo '$(PREFIX)' | cmp -s - $(O)/prefix || echo '$(PREFIX)' >$(O)/prefix)
endif
# -Wno-unused-function: headers hold sub-programs that not every object calls
BPF_CFLAGS := -g -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_$(ARCH) -Wall -Wextra -Werror \
	      -Wtype-limits -Wno-unused-parameter -Wno-unused-function -Ivmlinux -Ibpf/include -Ikmod \
	      -idirafter /usr/include/$(shell uname -m)-linux-gnu
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all

all: $(O)/oomx

help:
	@echo 'make all          build/oomx'
	@echo 'make deps         install what is missing (Debian 12, 13; as root)'
	@echo 'make run          the main job, in a guest: the kernel alone, then with oomx'
	@echo 'make test         what CI runs: lint, unit tests, and a part of the suites in guests'
	@echo 'make unit         unit tests (no root needed)'
	@echo 'make test-bpf     BPF programs under BPF_PROG_TEST_RUN, in a guest (KERNEL=7.2)'
	@echo 'make test-vm      suites in a guest: KERNEL=7.2 [SUITE=choose] [RUNS=n]'
	@echo 'make acceptance   the full counts on every kernel; writes docs/acceptance.md'
	@echo '                  (ONLY="(cli|events) ": only cells of tests/vm/matrix like this)'
	@echo 'make bench        ratios, side by side, in a guest'
	@echo 'make kmod         the kernel module, for a kernel of the rig: KERNEL=7.2 [ARCH=arm64]'
	@echo 'make lint         static analysis, house rules'
	@echo 'make install      PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)'
	@echo 'make clean'

deps:
	$(Q)sh -c 'scripts/deps.sh --check >/dev/null 2>&1 || scripts/deps.sh'

# run and test set up what is missing where they may
.PHONY: ready
ready:
	$(Q)scripts/deps.sh --check >/dev/null 2>&1 || \
		{ [ "$$(id -u)" = 0 ] && scripts/deps.sh; } || scripts/deps.sh --check

# ---- kernel side ---------------------------------------------------------------------------------
define bpf_rule
	$(call msg,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c $< -o $@.clang
	$(Q)$(BPFTOOL) gen object $@ $@.clang && rm $@.clang # leaves out debug information but BTF
endef

$(O)/bpf/%.bpf.o: bpf/%.bpf.c Makefile
	$(bpf_rule)
$(O)/tests/policies/%.bpf.o: tests/suites/policies/%.bpf.c Makefile
	$(bpf_rule)
$(O)/tests/bpf/%.bpf.o: tests/bpf/%.bpf.c Makefile
	$(bpf_rule)

# ---- user side -----------------------------------------------------------------------------------
$(O)/user/objects.o: user/objects.S $(BPF_OBJS) Makefile
	$(call msg,AS,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -I$(O)/bpf -c $< -o $@

$(O)/%.o: %.c Makefile $(O)/config.mk
	$(call msg,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(OX_CFLAGS) -MMD -MP -c $< -o $@

# What knows where things are installed is made anew when that has changed.
$(O)/user/rules_load.o $(O)/san/user/rules_load.o: $(O)/prefix
$(O)/user/rules_load.o $(O)/san/user/rules_load.o: OX_CFLAGS += -DOX_SHARE_DIR='"$(SHARE)"'

$(O)/tests/suites/%.o: tests/suites/%.c Makefile $(O)/config.mk
	$(call msg,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(OX_CFLAGS) -Itests/suites -MMD -MP -c $< -o $@

$(O)/liboomx.a: $(LIB_OBJS)
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/oomx: $(O)/user/main.o $(O)/liboomx.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS) -o $@

# ---- tests ---------------------------------------------------------------------------------------
$(O)/san/%.o: %.c Makefile $(O)/config.mk
	$(call msg,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -O1 -g $(SAN) $(OX_CFLAGS) -MMD -MP -c $< -o $@

$(O)/san/liboomx.a: $(LIB_SRC:%.c=$(O)/san/%.o) $(O)/user/objects.o
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/tests/unit/%: $(O)/san/tests/unit/%.o $(O)/san/liboomx.a
	$(call msg,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN) $^ $(LIBS) $(CMOCKA_LIBS) -lm -o $@

$(O)/tests/suite_%: $(O)/tests/suites/suite_%.o $(SUITE_LIB) $(O)/liboomx.a
	$(call msg,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(LIBS) -lpthread -lm -o $@

# Another build, as an upgrade brings it: what it loads is not the same.
OTHER := $(O)/tests/other
$(OTHER)/hooks/struct_ops.bpf.o: BPF_CFLAGS += -include tests/suites/other_build.h
$(OTHER)/hooks/struct_ops.bpf.o: bpf/hooks/struct_ops.bpf.c Makefile
	$(bpf_rule)
$(OTHER)/objects.o: user/objects.S $(OTHER)/hooks/struct_ops.bpf.o $(BPF_OBJS) Makefile
	$(call msg,AS,$@)
	$(Q)$(CC) -I$(OTHER) -I$(O)/bpf -c $< -o $@
$(O)/tests/oomx-other: $(O)/user/main.o $(OTHER)/objects.o $(O)/liboomx.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS) -o $@

# A suite of several files has them in a directory of its name.
$(O)/tests/suite_bpf: $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tests/suites/bpf/*.c)))
$(O)/tests/suite_cli: $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tests/suites/cli/*.c)))
$(O)/tests/suite_parity: $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tests/suites/parity/*.c)))
$(O)/tests/suite_rules: $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tests/suites/rules/*.c)))
$(O)/tests/suite_containers: $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tests/suites/containers/*.c)))
$(O)/tests/suite_faults: $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tests/suites/faults/*.c)))
$(O)/tests/suite_kills: $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tests/suites/kills/*.c)))
$(O)/tests/suite_scale: $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tests/suites/scale/*.c)))
$(O)/tests/suite_scenarios: $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tests/suites/scenarios/*.c)))

.PHONY: tests
tests: $(O)/oomx $(O)/tests/oomx-other $(SUITES:%=$(O)/tests/%) $(TEST_POLICIES) $(TEST_BPF) \
	$(O)/tests/protections.yaml $(O)/tests/daemonset.yaml $(O)/tests/oomx.service \
	$(O)/tests/kernel-module.conf

# The suites have nothing but the build's directory.
$(O)/tests/protections.yaml: user/protections.yaml
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(O)/tests/daemonset.yaml: examples/kubernetes/oomx.yaml
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(O)/tests/oomx.service $(O)/tests/kernel-module.conf: $(O)/tests/%: examples/systemd/%
	@mkdir -p $(@D)
	$(Q)cp $< $@

unit-programs: $(UNIT:%=$(O)/tests/unit/%)

unit: unit-programs
	$(Q)scripts/run-unit $(UNIT:%=$(O)/tests/unit/%)

test-vm: ready
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)tests/vm/run-suites --build $(O) --kernel '$(KERNEL)' --suite '$(SUITE)' --runs '$(RUNS)'

test-bpf: ready
	$(Q)$(MAKE) --no-print-directory test-vm KERNEL='$(KERNEL)' SUITE=bpf

test: ready
	$(Q)scripts/test-all $(O)

acceptance: ready
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)scripts/acceptance $(O) '$(value ONLY)'

bench: ready
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)tests/vm/run-suites --build $(O) --kernel '$(KERNEL)' --suite bench --runs '$(RUNS)'
	$(Q)tests/vm/run-suites --build $(O) --kernel '$(KERNEL)' --suite latency --runs '$(RUNS)'
	$(Q)tests/vm/run-suites --build $(O) --kernel '$(KERNEL)' --suite cost --runs '$(RUNS)'
	$(Q)tests/vm/run-suites --build $(O) --kernel '$(KERNEL)' --suite scale --runs '$(RUNS)'

run: ready
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/vm/vm --kernel $(KERNEL) --mem 512M --smp 2 --timeout 900 -- $(abspath $(O)/oomx) demo

# As root: the compiler of the kernel's own Debian release is entered by chroot. See kmod/README.md.
kmod:
	$(Q)tests/vm/kmod --kernel '$(KERNEL)' --arch $(ARCH) --out $(O)/kmod

lint:
	$(Q)scripts/lint

install: all
	install -D -m 0755 $(O)/oomx $(DESTDIR)$(PREFIX)/sbin/oomx
	install -D -m 0644 user/protections.yaml $(DESTDIR)$(SHARE)/protections.yaml
	for p in oomx.8 oomx.yaml.5; do \
		sed 's|/usr/local/|$(PREFIX)/|g' man/$$p | install -D -m 0644 /dev/stdin \
			$(DESTDIR)$(PREFIX)/share/man/man$${p##*.}/$$p || exit; done
	for h in policy.h facts.h; do \
		install -D -m 0644 bpf/include/oomx/$$h $(DESTDIR)$(PREFIX)/include/oomx/$$h; done

clean:
	$(Q)rm -rf $(O)

-include $(shell find $(O) -name '*.d' 2>/dev/null)

.PHONY: all help deps run test unit unit-programs test-bpf test-vm acceptance bench lint kmod install clean
.DELETE_ON_ERROR:
.SECONDARY:
