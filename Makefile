# make            builds dist/calico and runs the unit tests
# make demo       two example networks, real packets, and the matrix: profiles against the wire
# make test       every test, kernel and client tests included, but for the slow ones
# make test-slow  what takes minutes: thousands of networks, floods, many kills
# make matrix     on Debian 12 and 13, without IPv6, with nothing else, with a read-only /proc/sys; half an hour and more
# make explore    the properties again, with examples that no run had before
# make prove      harnesses at length, their figures in docs/proof.md; HARNESS=attest SEED=7 SECONDS=60 for one of them
# make check      format, lint, types, import rules, and whether the reference is of today
# make reference  docs/reference/ anew, from the code
# make lock       packaging/locks anew from pyproject.toml; UPGRADE=1 takes the newest of what is not pinned there
# make audit      the locked packages against what is known to be vulnerable, where that can be asked
# make deb        dist/calico-rkt_VERSION_ARCH.deb
# make release VERSION=x.y.z   gate, commit, tag, dist/ with checksums; DRY=1 only says what it would do
# make bench      figures beside the peers, as ratios of medians, in docs/speed.md; PART=attach for one part
PY := .venv/bin/python
# Most of a client test's time is waiting; each has a host of its own.
AT_ONCE := -n 4 --dist worksteal
SOURCES := $(wildcard packaging/share/*) \
	$(shell find compiler plugin templates profiles src packaging docs/codes -type f -name '*.py' -o -type f -name '*.j2' \
	-o -type f -name '*.yaml' -o -type f -name '*.[ch]' -o -type f -name '*.md' -o -type f -name '*.css' -o -type f -name '*.js' 2>/dev/null)

.PHONY: all binary ut demo test test-slow matrix explore check reference bench deb release setup ready lock audit prove clean
all: binary ut

setup:
	@packaging/setup.sh

binary: ready dist/calico

ready:
	@packaging/setup.sh binary

dist/calico: $(SOURCES) pyproject.toml
	$(PY) packaging/build.py

ut: setup
	.venv/bin/pytest -q $(AT_ONCE) -m 'not slow' tests/unit tests/golden tests/properties

demo: binary
	@$(PY) -m tests.demo

test: binary
	@packaging/setup.sh clients
	.venv/bin/pytest -q $(AT_ONCE) -m 'not slow' tests

test-slow: binary
	@packaging/setup.sh clients deb
	.venv/bin/pytest -q -n 2 --dist worksteal -m slow tests

matrix: binary
	@packaging/setup.sh clients
	@$(PY) -m tests.releases $(CELLS)

explore: setup binary
	.venv/bin/pytest -q $(AT_ONCE) --hypothesis-profile=explore -m 'not slow' tests/unit tests/properties

check: setup
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PY) packaging/write_reference.py --check

reference: setup
	$(PY) packaging/write_reference.py

prove: binary
	@packaging/setup.sh clients
	tests/apart.sh $(PY) -m tests.prove $(HARNESS) $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS))

lock: setup
	packaging/lock.sh $(if $(UPGRADE),--upgrade)

audit: setup
	$(PY) packaging/audit.py

bench: binary
	@packaging/setup.sh clients bench
	$(PY) -m tests.bench $(PART)

deb: binary
	@packaging/setup.sh deb
	$(PY) packaging/deb.py

release: setup
	$(PY) packaging/release.py $(if $(DRY),--dry-run) $(if $(GATE),--gate "$(GATE)") -- "$(VERSION)"

clean:
	rm -rf dist build .venv src/*.egg-info
