# Everything happens in a virtual environment of its own, .venv, with the versions in constraints.txt.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
IMAGES ?=
K      ?= 2
NETWORK ?=
STORE  ?= features.h5
OUT    ?= clusters
# These reach the recipes through the environment, as they were typed: no shell and no make reads them as code.
override IMAGES  := $(value IMAGES)
override K       := $(value K)
override NETWORK := $(value NETWORK)
override STORE   := $(value STORE)
override OUT     := $(value OUT)
export IMAGES K NETWORK STORE OUT

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Commands and tests start many processes: what Python compiled for one, the next one takes.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow fuzz kills attack check extract cluster bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|' 2>/dev/null \
	  || grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST)

# A stamp per set of extras: a second run installs nothing. The constraints hold for the build's own tools too.
$(VENV)/.installed-%: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing imgcluster[$*] into $(VENV)"
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --editable '.[$*]'
	@$(BIN)/python -c 'import cv2' 2>/dev/null || { \
	  version=$$($(BIN)/python -c 'from importlib.metadata import version; print(version("opencv-python"))'); \
	  echo "this machine lacks the graphics libraries that opencv-python links to: putting opencv-python-headless $$version in its place"; \
	  $(BIN)/python -m pip install --quiet --no-deps --force-reinstall "opencv-python-headless==$$version"; }
	@touch $@

# The commands of the demo are shown as they run, for they are the ones to use.
RUN_DEMO = PATH="$(abspath $(BIN)):$$PATH" && run() { echo; echo "$$ $$*"; "$$@"; }
demo: $(VENV)/.installed-offline,report,demo ## the main job on real photographs; IMAGES=~/Pictures K=8 takes your own
	@mkdir -p demo
	@$(RUN_DEMO); images=$${IMAGES:-demo/images}; network=$$NETWORK; store=--store=demo/features.h5; \
	if [ -z "$$IMAGES" ]; then K=8; run imgcluster demo-images demo/images || exit; fi; \
	if [ -n "$$network" ]; then run imgcluster extract $$store --network="$$network" -- "$$images" || exit; \
	else run imgcluster extract $$store -- "$$images" || { \
	  network=efficientnet_lite2; \
	  echo "So the demo takes EfficientNet-Lite2, whose ImageNet weights come inside a package."; \
	  run imgcluster extract $$store --network=$$network -- "$$images" || exit; }; fi; \
	run imgcluster cluster --k="$$K" $$store $${network:+--network="$$network"} --out=demo/clusters --report -- "$$images" || exit; \
	if [ -z "$$IMAGES" ]; then \
	  run imgcluster evaluate --clusters=demo/clusters || exit; \
	  echo; echo "Another k; the network does not run again:"; \
	  run imgcluster cluster --k=4 $$store $${network:+--network="$$network"} --out=demo/clusters-4 -- demo/images || exit; fi; \
	echo; echo "Look at demo/clusters, one folder per cluster, and open $(abspath demo)/clusters/report.html"

test: $(VENV)/.installed-dev ## run the tests (some five minutes on two cores)
	@$(BIN)/python -m pytest -n auto --dist worksteal -m 'not slow and not long'

test-slow: $(VENV)/.installed-dev ## run the tests that are too long for every run (some fifteen minutes on two cores)
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m slow --ignore=tests/browser --ignore=tests/engines
	@$(BIN)/python -m pytest -m slow tests/browser tests/engines

fuzz: $(VENV)/.installed-dev ## decode thousands of damaged files; IMGCLUSTER_FUZZ_FILES=20000 takes more
	@$(BIN)/python -m pytest -s -m long tests/images/test_fuzz.py

kills: $(VENV)/.installed-dev ## kill writers of stores and moves of images by the hundred
	@$(BIN)/python -m pytest -m long tests/store tests/output

attack: $(VENV)/.installed-dev ## forge states of folders by the thousand, and run every command on them; IMGCLUSTER_ATTACKS=9 takes fewer
	@$(BIN)/python -m pytest -m long tests/cli/test_attacks.py

check: $(VENV)/.installed-dev ## ruff, mypy --strict and the rules of the house
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

extract: $(VENV)/.installed-offline ## embed the images below IMAGES=...
	@$(BIN)/imgcluster extract --store="$$STORE" $${NETWORK:+--network="$$NETWORK"} -- $${IMAGES:+"$$IMAGES"}

cluster: $(VENV)/.installed-offline ## sort the embedded images into K=... folders
	@$(BIN)/imgcluster cluster --k="$$K" --store="$$STORE" --out="$$OUT" $${NETWORK:+--network="$$NETWORK"}

bench: $(VENV)/.installed-dev ## measure this machine, one table
	@$(BIN)/python -m tests.benchmarks.bench

clean: ## remove what the targets made, but never your images, features or clusters
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
