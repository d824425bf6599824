# Everything that can be run, from a fresh checkout: Debian, Python 3.11, make.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready

REQUIREMENTS := requirements.txt requirements-optional.txt requirements-ablations.txt requirements-models.txt

# Processors that lack instructions, stood in for by variables that the libraries read (experiments/processors.py).
WITHOUT_AVX512 := OPENBLAS_CORETYPE=Haswell NPY_DISABLE_CPU_FEATURES=X86_V4,AVX512_ICL,AVX512_SPR ATEN_CPU_CAPABILITY=avx2
WITHOUT_AVX2 := OPENBLAS_CORETYPE=Prescott NPY_DISABLE_CPU_FEATURES=X86_V3,X86_V4,AVX512_ICL,AVX512_SPR ATEN_CPU_CAPABILITY=default

.PHONY: help report test test-processors study bench gate models distance constants lint clean

help:  ## print this map
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(READY): $(REQUIREMENTS) constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check $(REQUIREMENTS:%=-r %) -c constraints.txt
	@touch $@

report: $(READY)  ## test sets, results of the challenge, notebooks, figures and report.md (under 5 minutes)
	$(RUN) -m gen_audio --test_files test_audio
	$(RUN) -m study.challenge
	$(RUN) -m study.notebooks
	$(RUN) -m study.report

test: $(READY)  ## all tests (under 10 minutes)
	$(RUN) -m pytest

test-processors: $(READY)  ## all tests as this processor is, without AVX512 and without AVX2 (under half an hour)
	@for setting in "" "$(WITHOUT_AVX512)" "$(WITHOUT_AVX2)"; do \
	    echo "processor: $${setting:-as it is}"; \
	    env -u OPENBLAS_CORETYPE -u NPY_DISABLE_CPU_FEATURES -u ATEN_CPU_CAPABILITY $$setting \
	        $(RUN) -m pytest || exit 1; \
	done

study: $(READY)  ## results on real audio: known sounds, all candidates (needs AUDIO_DATA, under an hour)
	$(RUN) -m study.real_audio
	$(RUN) -m study.candidates
	$(RUN) -m study run
	$(RUN) -m study listen

bench: $(READY)  ## bias, false alarms, power, coverage, soundness, speed (needs AUDIO_DATA; about ten minutes)
	$(RUN) -m study.benchmark
	$(RUN) -m study.speed

gate: $(READY)  ## regressions caught and not caught, error rates of verdicts (no data needed; about half an hour)
	$(RUN) -m ablations calibrate
	$(RUN) -m ablations study

models: $(READY)  ## autoencoders with planted faults, classifier and new folders (needs AUDIO_DATA; over two hours)
	$(RUN) -m models study
	$(MAKE) runs/families.pt2
	$(RUN) -m study run --embeddings runs/families.pt2,three_views,log_mel --out trained

runs/families.safetensors: $(READY)
	$(RUN) -m models release classifier --out $@

runs/families.pt2: runs/families.safetensors
	$(RUN) -m models export $< --out $@

distance: $(READY)  ## make distance REFERENCE=folder CANDIDATE=folder
	@test -n "$(REFERENCE)" -a -n "$(CANDIDATE)" || { echo "make distance REFERENCE=folder CANDIDATE=folder" >&2; exit 2; }
	$(RUN) -m metrics "$(REFERENCE)" "$(CANDIDATE)"

constants: $(READY)  ## make metrics_constants.json again
	$(RUN) -m study.constants

lint: $(READY)  ## ruff
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

clean:  ## remove the environment, the test sets and caches
	rm -rf $(VENV) test_audio .pytest_cache .ruff_cache .hypothesis notebooks/.ipynb_checkpoints notebooks/*.part
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
