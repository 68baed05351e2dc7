# bgppeerd: `make run` builds and serves, `make test` builds and tests, `make help` lists the rest.
#
# On a fresh Debian 12 both work with nothing but git and make installed: missing packages are found and
# installed first (.ci/packages). That is why nothing here asks pkg-config or the compiler while make
# reads this file; flags that need them are computed when the first recipe uses them.

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
UNITDIR ?= $(PREFIX)/lib/systemd/system
ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS  ?= -O2 -g
LDFLAGS ?=
ARGS    ?=#               more arguments for `make run` and `make bench`
TESTS   ?=#               only the test programs whose names contain one of these words
SANITIZE ?=#              address,undefined or thread
VERSION ?= $(or $(shell git describe --tags --dirty 2>/dev/null),0.1.0$(addprefix -g,$(shell git describe --always --dirty 2>/dev/null)))

# --- Packages: Debian's name = how to see that it is there ---------------------------------------------
# tests/repo/container_test.py holds service/Dockerfile to the first two lists.
BUILD_PACKAGES := gcc=gcc libc6-dev=file:/usr/include/stdlib.h pkg-config=pkg-config \
    libmicrohttpd-dev=pc:libmicrohttpd libsqlite3-dev=pc:sqlite3 libjansson-dev=pc:jansson \
    libsodium-dev=pc:libsodium libyaml-dev=pc:yaml-0.1 libgnutls28-dev=pc:gnutls \
    libcurl4-gnutls-dev=pc:libcurl
RUNTIME_PACKAGES := libmicrohttpd12 libsqlite3-0 libjansson4 libsodium23 libyaml-0-2 libgnutls30 libcurl3-gnutls
TEST_PACKAGES := libcmocka-dev=pc:cmocka python3=python3 python3-yaml=py:yaml curl=curl valgrind=valgrind \
    groff-base=groff
DEV_PACKAGES := clang=clang llvm=llvm-symbolizer clang-format=clang-format valgrind=valgrind
ANALYSE_PACKAGES := cppcheck=cppcheck clang-tidy=clang-tidy
BENCH_PACKAGES := nginx=nginx etcd-server=etcd valgrind=valgrind
CLIENT_PACKAGES := python3-kubernetes=debpy:kubernetes nodejs=node npm=npm ansible=ansible-playbook
PROXY_PACKAGES := nginx=nginx haproxy=file:/usr/sbin/haproxy apache2-bin=file:/usr/sbin/apache2
ETCD_PACKAGES := etcd-server=etcd etcd-client=etcdctl
MONITORING_PACKAGES := prometheus=promtool#  for promtool, which tests the alert rules
E2E_PACKAGES := bird2=file:/usr/sbin/bird frr=file:/usr/lib/frr/bgpd frr-pythontools=file:/usr/lib/frr/frr-reload.py \
    gobgpd=gobgpd openbgpd=file:/usr/sbin/bgpd iproute2=file:/sbin/ip iputils-ping=ping util-linux=nsenter mount=mount

# --- Flags ---------------------------------------------------------------------------------------------
# gnu17 is C17 plus the two extensions the code uses: attributes and __VA_OPT__.
MODULES := libmicrohttpd sqlite3 jansson libsodium yaml-0.1 gnutls libcurl
WARN    := -Wall -Wextra -Wconversion -Wshadow -Werror
HARDEN  := -fPIE -fstack-protector-strong $(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
ifeq ($(SANITIZE),)
HARDEN  += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
else
HARDEN  += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
# gcc guesses these from the flow of the code, and guesses wrong when instrumentation has changed it.
WARN    += $(if $(findstring clang,$(CC)),,-Wno-format-truncation -Wno-maybe-uninitialized)
endif
# Asked once, by the first recipe that needs it: the variable replaces itself with its value.
PKG_CFLAGS  = $(eval PKG_CFLAGS := $(shell pkg-config --cflags $(MODULES)))$(PKG_CFLAGS)
PKG_LIBS    = $(eval PKG_LIBS := $(shell pkg-config --libs $(MODULES)))$(PKG_LIBS)
ALL_CFLAGS  = -std=gnu17 -D_GNU_SOURCE -Iinclude -I$(BUILD)/gen $(WARN) $(HARDEN) -pthread $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed $(LDFLAGS)

# --- Sources -------------------------------------------------------------------------------------------
# A room is a folder; a large one has folders inside, whose files name its private headers "folder/header.h".
ROOMS   := $(wildcard service/*/*.c service/*/*/*.c)
DIVIDED := $(sort $(foreach file,$(wildcard service/*/*/*.c),$(word 2,$(subst /, ,$(file)))))
MAIN    := $(wildcard service/main.c)
# The rooms that api/openapi-gen.c is built from; it cannot use what it generates.
TABLES  := $(foreach room,base selector model codec,$(wildcard service/$(room)/*.c service/$(room)/*/*.c))
TESTDIRS := unit conformance fault
CTESTS  := $(foreach dir,$(TESTDIRS),$(wildcard tests/$(dir)/*_test.c))
FUZZERS := $(wildcard tests/fuzz/*_fuzz.c)
BENCHES := $(patsubst %.c,%,$(wildcard tests/bench/*.c))
objects  = $(patsubst %.c,$(BUILD)/%.o,$1)
GENERATED := $(BUILD)/gen/migrations.o $(BUILD)/gen/openapi.o
LIB     := $(BUILD)/libbgppeerd.a
PROGRAM := $(BUILD)/bgppeerd
AGENT   := $(BUILD)/bgppeer-agent
TEST_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(CTESTS) $(FUZZERS))

quiet = $(if $(V),,@echo "  $1 $@" &&)

.PHONY: all run test e2e demo deps deps-test deps-dev deps-analyse deps-bench deps-clients deps-e2e deps-etcd bench bench-check check-source \
    format format-check analyse sanitize tsan fuzz fuzzers power-loss test-programs openapi install uninstall clean help FORCE
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

## all            build the service and the node agent: build/bgppeerd, build/bgppeer-agent (BUILD=dir for another place)
all: $(PROGRAM) $(AGENT)

## run            build and serve on 127.0.0.1:8080 with data in ./data (ARGS="--listen …")
run: $(PROGRAM)
	exec $(PROGRAM) serve $(ARGS)

## test           build and run all tests (TESTS="selector http" for some of them)
test: $(PROGRAM) $(AGENT) test-programs
	tests/run --build $(BUILD) $(TESTS)

test-programs: $(TEST_PROGRAMS) $(BUILD)/tests/bench/worst

## e2e            BGP daemons in network namespaces, fed by the service: needs root (TESTS=e2e/racks, E2E=short)
e2e: deps-e2e $(PROGRAM) $(AGENT) $(BUILD)/tests/e2e/fields
	tests/run --build $(BUILD) $(or $(TESTS),e2e/)
## demo           the two racks of api/examples in namespaces with real daemons, service and agents, until Ctrl-C
demo: deps-e2e $(PROGRAM) $(AGENT)
	BUILD=$(abspath $(BUILD)) exec $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=BUILD )tests/e2e/demo

# --- Packages ------------------------------------------------------------------------------------------
## deps           install what building needs; all, run and test do this by themselves (AUTO_DEPS=no: don't)
deps:
	@.ci/packages $(BUILD_PACKAGES)
deps-test: deps
	@.ci/packages $(TEST_PACKAGES)
## deps-dev       … what format, sanitize, fuzz and the clang build need
deps-dev: deps-test
	@.ci/packages $(DEV_PACKAGES)
## deps-analyse   … what analyse needs
deps-analyse: deps-dev
	@.ci/packages $(ANALYSE_PACKAGES)
## deps-bench     … what bench needs
deps-bench: deps-test
	@.ci/packages $(BENCH_PACKAGES)
## deps-clients   … real Kubernetes clients, and proxies, for the tests that drive the service with them
deps-clients: deps-test
	@.ci/packages $(CLIENT_PACKAGES)
	@.ci/packages --without-services $(MONITORING_PACKAGES) $(PROXY_PACKAGES)
	@.ci/kubectl build/clients/bin
	npm install --silent --no-audit --no-fund --prefix build/clients @kubernetes/client-node@1 </dev/null

## deps-e2e       … BGP daemons for the tests that run them; their services are neither started nor enabled
deps-e2e: deps-test
	@.ci/packages --without-services $(E2E_PACKAGES)

## deps-etcd      … an etcd for the tests of several instances; its service is neither started nor enabled
deps-etcd: deps-test
	@.ci/packages --without-services $(ETCD_PACKAGES)

# --- Compiling -----------------------------------------------------------------------------------------
# Everything depends on the flags: another compiler, other flags or another version rebuild what they touch.
write_if_changed = mkdir -p $(dir $1) && printf '%s\n' '$(subst ','\'',$2)' >$1.new && \
    if cmp -s $1.new $1; then rm $1.new; else mv $1.new $1; fi

$(BUILD)/flags: FORCE | deps
	@$(call write_if_changed,$@,$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(PKG_LIBS))
$(BUILD)/version: FORCE
	@$(call write_if_changed,$@,$(VERSION))

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call quiet,CC  )$(CC) $(ALL_CFLAGS) $(INSIDE) $(DEFINES) -MMD -MP -c -o $@ $<
$(BUILD)/gen/%.o: $(BUILD)/gen/%.c $(BUILD)/flags
	$(call quiet,CC  )$(CC) $(ALL_CFLAGS) $(INSIDE) $(DEFINES) -MMD -MP -c -o $@ $<

# A divided room's private headers are found by its own files and its own unit tests.
define inside_rules
$$(BUILD)/service/$1/%.o $$(BUILD)/tests/unit/$1_%.o: INSIDE = -Iservice/$1
endef
$(foreach room,$(DIVIDED),$(eval $(call inside_rules,$(room))))
$(BUILD)/tests/unit/state_property_test.o $(BUILD)/gen/openapi.o: INSIDE = -Iservice/http

# Only these know the version, so that a commit does not recompile the world.
VERSIONED := $(call objects,$(MAIN) $(wildcard service/cli/*.c) \
    service/agent/settings.c service/agent/agent.c service/agent/report.c)
$(VERSIONED): DEFINES = -DBGPPEERD_VERSION='"$(VERSION)"'
$(VERSIONED): $(BUILD)/version

$(LIB): $(call objects,$(ROOMS)) $(GENERATED)
	$(call quiet,AR  )rm -f $@ && ar rcs $@ $^
$(PROGRAM): $(call objects,$(MAIN)) $(LIB)
	$(call quiet,LD  )$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm
# What the agent does not use of the library, the linker leaves out: no SQLite, no libmicrohttpd.
$(AGENT): $(call objects,service/agent_main.c) $(LIB)
	$(call quiet,LD  )$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm

# --- Generated: the migrations, and the API's description from the field tables --------------------------
$(BUILD)/gen/migrations.c: service/store/embed-migrations.sh migrations $(wildcard migrations/*.sql)
	@mkdir -p $(@D)
	$(call quiet,GEN )sh service/store/embed-migrations.sh migrations >$@
$(BUILD)/gen/migrations.o: DEFINES = -Iservice/store

$(BUILD)/api/openapi-gen: $(call objects,$(wildcard api/*.c) $(TABLES))
	$(call quiet,LD  )$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm
$(BUILD)/gen/openapi.c: $(BUILD)/api/openapi-gen api/openapi-skeleton.json
	@mkdir -p $(@D)
	$(call quiet,GEN )$(BUILD)/api/openapi-gen c >$@
## openapi        write api/openapi.yaml again after a field table or a route changed
openapi: $(BUILD)/api/openapi-gen
	$(BUILD)/api/openapi-gen yaml >api/openapi.yaml

# The man pages, from the tables of options.
MANUALS := $(BUILD)/man/bgppeerd.8 $(BUILD)/man/bgppeer-agent.8
$(BUILD)/man/bgppeerd.8: $(PROGRAM)
	@mkdir -p $(@D)
	$(call quiet,MAN )$(PROGRAM) manual >$@
$(BUILD)/man/bgppeer-agent.8: $(AGENT)
	@mkdir -p $(@D)
	$(call quiet,MAN )$(AGENT) --manual >$@

# --- Tests ---------------------------------------------------------------------------------------------
# One program a file. Files beside them that are not named *_test.c are shared by the tests of that folder; a
# program gets of them what it uses, because some put themselves in place of the C library's calls.
CMOCKA_LIBS = $(eval CMOCKA_LIBS := $(shell pkg-config --libs cmocka))$(CMOCKA_LIBS)
test_shared = $(call objects,$(filter-out %_test.c %_fuzz.c,$(wildcard tests/$1/*.c)))
define test_rules
$$(BUILD)/tests/$1/shared.a: $$(call test_shared,$1)
	@mkdir -p $$(@D)
	$$(call quiet,AR  )rm -f $$@ && ar rcs $$@ $$^
$$(BUILD)/tests/$1/%_test: $$(BUILD)/tests/$1/%_test.o $$(BUILD)/tests/$1/shared.a $$(LIB)
	$$(call quiet,LD  )$$(CC) $$(ALL_CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$^ $$(CMOCKA_LIBS) $$(PKG_LIBS) -lm
endef
$(foreach dir,$(TESTDIRS),$(eval $(call test_rules,$(dir))))
$(call objects,$(wildcard tests/*/*.c)): | deps-test

# A fuzzer is a function; tests/fuzz/replay.c calls it with every file of its corpus, with any compiler.
$(BUILD)/tests/fuzz/%_fuzz: $(BUILD)/tests/fuzz/%_fuzz.o $(BUILD)/tests/fuzz/replay.o $(LIB)
	$(call quiet,LD  )$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm

## sanitize       the suite under AddressSanitizer and UndefinedBehaviorSanitizer
# Losses of power are left out: for each image the sanitizer maps all its pages anew, which takes minutes.
SANITIZED := unit/ conformance/ fault/codec fault/store_crash fault/store_damage fault/store_fault fault/vault fuzz/ http/
sanitize:
	FLOOD_SECONDS=10 DAMAGE_CASES=20 ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 \
	    $(MAKE) BUILD=$(BUILD)/sanitize SANITIZE=address,undefined CFLAGS="-O1 -g" \
	    TESTS="$(or $(TESTS),$(SANITIZED))" test
## tsan           the threaded parts under ThreadSanitizer (TESTS="…" for others)
# Losses of power and damage are one thread's, and take minutes when every access is watched.
THREADED := unit/state unit/store unit/snapshot unit/auth unit/base_log threads http
tsan:
	FLOOD_SECONDS=10 TSAN_OPTIONS=halt_on_error=1 \
	    $(MAKE) BUILD=$(BUILD)/tsan SANITIZE=thread CFLAGS="-O1 -g" TESTS="$(or $(TESTS),$(THREADED))" test

## fuzz           each fuzzer for FUZZ_SECONDS (20), starting from its corpus; findings in build/fuzz
FUZZ_SECONDS ?= 20
fuzz: deps-dev
	$(MAKE) BUILD=$(BUILD)/fuzz CC=clang SANITIZE=address,undefined CFLAGS="-O1 -g -fsanitize=fuzzer-no-link" fuzzers
	@set -e; for fuzzer in $(patsubst tests/fuzz/%_fuzz.c,%,$(FUZZERS)); do \
	    echo "== $$fuzzer"; mkdir -p $(BUILD)/fuzz/found/$$fuzzer tests/fuzz/corpus/$$fuzzer; \
	    $(BUILD)/fuzz/fuzzer/$$fuzzer -max_total_time=$(FUZZ_SECONDS) -timeout=10 -max_len=65536 -verbosity=0 \
	        -print_final_stats=1 -artifact_prefix=$(BUILD)/fuzz/$$fuzzer- \
	        $(BUILD)/fuzz/found/$$fuzzer tests/fuzz/corpus/$$fuzzer; done
fuzzers: $(patsubst tests/fuzz/%_fuzz.c,$(BUILD)/fuzzer/%,$(FUZZERS))
$(BUILD)/fuzzer/%: $(BUILD)/tests/fuzz/%_fuzz.o $(LIB)
	@mkdir -p $(@D)
	$(call quiet,LD  )$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS) -lm

## power-loss     what a restarted store finds after a loss of power, in POWER_IMAGES (10000) versions
POWER_IMAGES ?= 10000
power-loss: $(BUILD)/tests/fault/store_power_test
	POWER_IMAGES=$(POWER_IMAGES) $<

## bench          measure, beside libmicrohttpd, nginx, SQLite and etcd (BENCH_ROWS="polls …" for some rows)
BENCH_PROGRAMS := $(addprefix $(BUILD)/,$(BENCHES))
bench: deps-bench $(PROGRAM) $(BENCH_PROGRAMS)
	tests/bench/run --build $(BUILD) $(ARGS)
## bench-check    count the hot functions' instructions; fail when one needs 20 % more than tests/bench/micro.txt
bench-check: deps-bench $(BUILD)/tests/bench/micro
	tests/bench/check --build $(BUILD) $(ARGS)
$(BUILD)/tests/bench/worst.o: INSIDE = -Iservice/http
$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(LIB)
	$(call quiet,LD  )$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm

$(BUILD)/tests/e2e/%: $(BUILD)/tests/e2e/%.o $(LIB)
	$(call quiet,LD  )$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm

# --- Rules of the house --------------------------------------------------------------------------------
## check-source   the rules of style and architecture: rooms, headers, sizes, names
check-source:
	@tests/check-source
CLANG_FORMAT ?= clang-format
FORMATTED = $(sort $(wildcard include/*.h include/*/*.h service/*.c service/*/*.[ch] service/*/*/*.[ch] api/*.[ch] tests/*/*.[ch]))
## format         rewrite the C files in the one layout; format-check only says what differs
format: deps-dev
	$(CLANG_FORMAT) -i $(FORMATTED)
format-check: deps-dev
	$(CLANG_FORMAT) --dry-run -Werror $(FORMATTED)

## analyse        gcc's analyzer, cppcheck and clang-tidy over what is shipped; fails on any finding
analyse: deps-analyse $(BUILD)/gen/openapi.c $(BUILD)/gen/migrations.c
	tests/analyse $(BUILD) $(filter-out -Werror $(HARDEN) $(CFLAGS),$(ALL_CFLAGS))

# --- Installing ----------------------------------------------------------------------------------------
## install        programs, man pages, systemd units and licence below DESTDIR and PREFIX; uninstall takes them away
install: $(PROGRAM) $(AGENT) $(MANUALS)
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/bgppeerd
	install -D -m 755 $(AGENT) $(DESTDIR)$(PREFIX)/bin/bgppeer-agent
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 $(MANUALS) $(DESTDIR)$(PREFIX)/share/man/man8
	sed 's|@PREFIX@|$(PREFIX)|g' service/bgppeerd.service >$(DESTDIR)$(UNITDIR)/bgppeerd.service
	sed 's|@PREFIX@|$(PREFIX)|g' service/bgppeer-agent.service >$(DESTDIR)$(UNITDIR)/bgppeer-agent.service
	install -D -m 644 api/openapi.yaml $(DESTDIR)$(PREFIX)/share/bgppeerd/openapi.yaml
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/bgppeerd/LICENSE
uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,bgppeerd bgppeer-agent)
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,bgppeerd.service bgppeer-agent.service)
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/man/man8/,bgppeerd.8 bgppeer-agent.8)
	rm -rf $(DESTDIR)$(PREFIX)/share/bgppeerd $(DESTDIR)$(PREFIX)/share/doc/bgppeerd

## clean          remove everything that was built; your data directory stays
clean:
	rm -rf $(BUILD)

help:
	@sed -n 's/^## /  /p' $(firstword $(MAKEFILE_LIST))

# Keep objects, and know their headers; the builds inside this one (sanitize, tsan, fuzz, clang) keep their own.
.SECONDARY:
-include $(shell find $(BUILD)/service $(BUILD)/api $(BUILD)/gen $(BUILD)/tests -name '*.d' 2>/dev/null)
