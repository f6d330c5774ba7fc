# mbtrace. `make monitor` and `make test` install what is missing; the others say what they need.
#
#   make            build/mbtrace, build/libmbtrace.a, build/libmbtrace.so
#   make monitor    install what is missing, build, watch this machine for ten seconds
#   make test       install what is missing, build, run every test        (SANITIZE=address,undefined)
#   make test-long  the long tests          make vm-test   other Debian kernels in qemu
#   make bench      measure against peers   make lint      format, warnings, layers, scripts
#   make install    PREFIX=/usr/local, DESTDIR=
#   V=1 shows commands; BUILD=dir builds elsewhere; TESTS="pattern…" runs some tests

BUILD ?= build
PREFIX ?= /usr/local
CC = gcc
CLANG ?= clang
BPFTOOL ?= bpftool
LLVM_STRIP ?= $(firstword $(wildcard /usr/bin/llvm-strip /usr/bin/llvm-strip-14))
export PATH := $(PATH):/usr/sbin:/sbin

ifneq ($(SANITIZE),)
BUILD := $(BUILD)/sanitize
endif

Q = $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' $(1) $(2);)

VERSION := 0.1.0
CPPFLAGS += -D_GNU_SOURCE -DMBTRACE_VERSION='"$(VERSION)"' -Iuser -Iuser/include -I. -I$(BUILD)/skel -include user/base/banned.h
CFLAGS ?= -O2 -g
CFLAGS += -std=gnu11 -fvisibility=hidden -fPIC -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wshadow \
	-Wno-unused-parameter -Wno-missing-field-initializers $(if $(WERROR),-Werror) \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
LDFLAGS += $(if $(SANITIZE),-fsanitize=$(SANITIZE))
LIBS := -lbpf -lelf -lz -lcap -lseccomp -ljansson -lncursesw -linih -lm -lpthread

BPF_ARCH := $(subst aarch64,arm64,$(subst x86_64,x86,$(shell uname -m)))
BPF_CFLAGS = -g -O2 -mcpu=v2 -target bpf -Wall -Werror -I. -Iuser

# Folders of the program; those that do not exist yet are simply empty.
DIRS := base metric config cache pool io symbol probe profile store alert optimize export tui web agent cli
SOURCES := $(wildcard $(DIRS:%=user/%/*.c))
OBJECTS := $(SOURCES:user/%.c=$(BUILD)/user/%.o)
PROGRAM_OBJECTS := $(filter-out $(BUILD)/user/cli/main.o,$(OBJECTS))
LIBRARY_OBJECTS := $(filter $(BUILD)/user/base/% $(BUILD)/user/metric/% $(BUILD)/user/cache/% $(BUILD)/user/pool/% \
	$(BUILD)/user/io/%,$(OBJECTS)) $(patsubst user/%.c,$(BUILD)/user/%.o,$(wildcard user/lib/*.c))

BPF_SOURCES := $(wildcard bpf/*.bpf.c)
SKELETONS := $(BPF_SOURCES:bpf/%.bpf.c=$(BUILD)/skel/%.skel.h)
BPF_OBJECTS := $(foreach arch,x86 arm64,$(BPF_SOURCES:bpf/%.bpf.c=$(BUILD)/bpf/$(arch)/%.bpf.o))

UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*_test.c))
BPF_TESTS := $(patsubst tests/bpf/%.c,$(BUILD)/tests/bpf/%,$(wildcard tests/bpf/*_test.c))
WORKLOADS := $(patsubst tests/workload/%.c,$(BUILD)/tests/workload/%,$(wildcard tests/workload/*.c))
# A fuzzer is built from sources, instrumented: FUZZ_SOURCES_NAME_fuzz lists them.
FUZZ_SOURCES_replay_fuzz := user/export/replay.c user/export/members.c user/export/layout.c user/export/json.c \
	user/export/view.c user/export/rows.c user/export/redact.c $(wildcard user/metric/*.c) \
	$(patsubst %,user/base/%.c,buf clock file json map utf8)
FUZZ_SOURCES_rule_fuzz := $(patsubst %,user/alert/%.c,rule rule_set rule_text value nearest filter glob words) \
	$(wildcard user/metric/*.c) $(patsubst %,user/base/%.c,buf clock file map suggest units)
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))

.DEFAULT_GOAL := all
.PHONY: all monitor test test-build test-long bench lint vm-test install clean bpf-objects
.SECONDARY:
.DELETE_ON_ERROR:

all: $(BUILD)/mbtrace $(BUILD)/libmbtrace.a $(BUILD)/libmbtrace.so

# The user's two commands install first, then start make anew, so that it sees what was installed.
monitor:
	@tools/setup build
	@$(MAKE) --no-print-directory all
	$(BUILD)/mbtrace monitor --duration 10s

test:
	@tools/setup test
	@$(MAKE) --no-print-directory test-build
	@BUILD=$(BUILD) tests/run $(TESTS)

test-build: all bpf-objects $(UNIT_TESTS) $(BPF_TESTS) $(WORKLOADS) $(FUZZERS)

test-long:
	@tools/setup test
	@$(MAKE) --no-print-directory test-build
	@BUILD=$(BUILD) LONG=1 tests/run $(TESTS)

bench:
	@tools/setup bench
	@$(MAKE) --no-print-directory test-build
	@BUILD=$(BUILD) tools/bench/run $(BENCH)

vm-test:
	@tools/setup vm
	@$(MAKE) --no-print-directory test-build
	@BUILD=$(BUILD) tools/vm $(KERNELS)

lint:
	@tools/setup test
	@tools/lint

# Where the compiler of BPF is missing there is nothing to build with; say so once.
ifeq ($(filter monitor test test-long bench vm-test lint clean,$(MAKECMDGOALS)),)
ifeq ($(shell command -v $(CLANG) 2>/dev/null && PATH="$(PATH)" command -v $(BPFTOOL) 2>/dev/null && pkg-config --exists libbpf && echo ok | tail -n 1),)
$(error mbtrace needs clang, bpftool and libbpf-dev to build: run `tools/setup build` as root)
endif
endif

# --- BPF ---
define bpf_rules
$(BUILD)/bpf/$(1)/%.bpf.o: bpf/%.bpf.c
	$$(call say,BPF,$$@)mkdir -p $$(@D) && $(CLANG) $(BPF_CFLAGS) -D__TARGET_ARCH_$(1) -Ivmlinux/$(1) -MMD -MP -MF $$@.d \
		-c $$< -o $$@ && $(LLVM_STRIP) -g $$@
endef
$(foreach arch,x86 arm64,$(eval $(call bpf_rules,$(arch))))

$(BUILD)/skel/%.skel.h: $(BUILD)/bpf/$(BPF_ARCH)/%.bpf.o
	$(call say,SKEL,$@)mkdir -p $(@D) && $(BPFTOOL) gen skeleton $< name $*_bpf > $@

bpf-objects: $(BPF_OBJECTS)

# --- the program and the library ---
$(BUILD)/user/%.o: user/%.c | $(SKELETONS)
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/program.a: $(PROGRAM_OBJECTS)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/mbtrace: $(BUILD)/user/cli/main.o $(BUILD)/program.a
	$(call say,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/libmbtrace.a: $(LIBRARY_OBJECTS)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/libmbtrace.so: $(LIBRARY_OBJECTS)
	$(call say,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libmbtrace.so.0 -o $@ $^ -lm -lpthread

# --- tests ---
$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/program.a
	$(call say,TEST,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(BUILD)/program.a \
		$(shell pkg-config --libs check 2>/dev/null) $(LIBS)

$(BUILD)/tests/bpf/%: tests/bpf/%.c $(BUILD)/program.a
	$(call say,TEST,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(BUILD)/program.a \
		$(shell pkg-config --libs check 2>/dev/null) $(LIBS)

# Workloads are plain programs that know nothing of mbtrace, linked statically so that they run in any test kernel.
$(BUILD)/tests/workload/%: tests/workload/%.c
	$(call say,WORKLOAD,$@)mkdir -p $(@D) && $(CC) -D_GNU_SOURCE -std=gnu11 -O2 -g -Wall -Wextra -static -MMD -MP -MF $@.d \
		-o $@ $< -lpthread

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(SOURCES)
	$(call say,FUZZ,$@)mkdir -p $(@D) && $(CLANG) $(CPPFLAGS) -std=gnu11 -fvisibility=hidden -O1 -g -w -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -MMD -MP -MF $@.d -o $@ $< $(FUZZ_SOURCES_$*) $(LIBS)

# --- install ---
install: all
	install -D -m 755 $(BUILD)/mbtrace $(DESTDIR)$(PREFIX)/bin/mbtrace
	install -D -m 644 $(BUILD)/libmbtrace.a $(DESTDIR)$(PREFIX)/lib/libmbtrace.a
	install -D -m 755 $(BUILD)/libmbtrace.so $(DESTDIR)$(PREFIX)/lib/libmbtrace.so.0
	ln -sf libmbtrace.so.0 $(DESTDIR)$(PREFIX)/lib/libmbtrace.so
	for page in $(wildcard docs/man/*.[1-8]); do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; done
	install -D -m 644 tools/dist/mbtrace.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mbtrace

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
