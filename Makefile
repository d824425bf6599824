# Everything that can be run, from a fresh checkout: Debian, Python 3.11, make.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALL := $(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt
REPORT := $(VENV)/.report
ALL := $(VENV)/.all
MUTANTS := $(VENV)/.mutants
PAGE := $(VENV)/.page
# Processes that share the tests file by file; 0: no others. One thread each: of more, the ones that wait for others
# take the cores of those that work.
WORKERS ?= auto
TESTS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) --dist loadfile

# Processors that lack instructions, stood in for by variables that the libraries read (experiments/processors.py).
WITHOUT_AVX512 := OPENBLAS_CORETYPE=Haswell NPY_DISABLE_CPU_FEATURES=X86_V4,AVX512_ICL,AVX512_SPR ATEN_CPU_CAPABILITY=avx2
WITHOUT_AVX2 := OPENBLAS_CORETYPE=Prescott NPY_DISABLE_CPU_FEATURES=X86_V3,X86_V4,AVX512_ICL,AVX512_SPR ATEN_CPU_CAPABILITY=default

.PHONY: help report test test-processors test-examples page-test page-picture mutants study bench gate models songs wavenet fuzz distance constants lint site clean

help:  ## print this map
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(REPORT): requirements.txt constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) -r requirements.txt
	@touch $@

$(ALL): pyproject.toml $(REPORT)
	$(INSTALL) -e ".[all]"
	$(INSTALL) --no-deps distillmos
	@touch $@

$(MUTANTS): $(ALL)
	$(INSTALL) -e ".[mutants]"
	@touch $@

$(PAGE): $(ALL)
	$(INSTALL) -e ".[page-test]"
	@touch $@

report: $(REPORT)  ## test sets, results of the challenge, notebooks, pages, figures and report.md (under 3 minutes)
	$(RUN) -m gen_audio --test_files test_audio
	$(RUN) -m experiments challenge
	$(RUN) -m report notebooks
	$(RUN) -m report pages
	$(RUN) -m report

test: $(ALL)  ## all tests (about 7 minutes on two cores)
	$(TESTS)

test-processors: $(ALL)  ## all tests as this processor is, without AVX512 and without AVX2 (under half an hour)
	@for setting in "" "$(WITHOUT_AVX512)" "$(WITHOUT_AVX2)"; do \
	    echo "processor: $${setting:-as it is}"; \
	    env -u OPENBLAS_CORETYPE -u NPY_DISABLE_CPU_FEATURES -u ATEN_CPU_CAPABILITY $$setting \
	        $(TESTS) || exit 1; \
	done

test-examples: $(ALL)  ## the properties, with other examples each time (a minute)
	$(TESTS) --hypothesis-profile=others -m hypothesis

page-test: $(PAGE)  ## page and site in Debian's chromium: they draw, play, list, and fetch nothing (minutes)
	@command -v chromium >/dev/null || { echo "page-test needs chromium: apt-get install chromium" >&2; exit 2; }
	$(RUN) -m pytest -s tests/test_page_in_browser.py tests/test_report_pages.py::test_they_open_in_a_browser \
	    tests/test_report_pages.py::test_axe_finds_nothing_in_what_is_not_seen tests/test_site_in_browser.py

page-picture: $(PAGE)  ## figures/listening_page.png, the page at the top of README (needs chromium)
	$(RUN) -m report picture

mutants: $(MUTANTS)  ## changes of the statistics that no test notices (half an hour)
	rm -rf mutants
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN) -m mutmut run
	$(RUN) tests/mutants.py

study: $(ALL)  ## results on real audio: known sounds, all candidates (needs AUDIO_DATA, about an hour)
	$(RUN) -m experiments real_audio
	$(RUN) -m experiments real_waveforms
	$(RUN) -m experiments scenes
	$(RUN) -m experiments trials
	$(RUN) -m experiments soundness
	$(RUN) -m experiments unseen
	$(RUN) -m experiments listening
	$(RUN) -m experiments quality

bench: $(ALL)  ## bias, false alarms, power, coverage, soundness, speed (needs AUDIO_DATA; about an hour)
	$(RUN) -m experiments statistics
	$(RUN) -m experiments speed
	$(RUN) -m experiments large_sets
	$(RUN) -m experiments wavenet_speed

gate: $(ALL)  ## regressions caught and not caught, error rates of verdicts (no data needed; about half an hour)
	$(RUN) -m experiments regressions
	$(RUN) -m experiments calibration

models: $(ALL)  ## autoencoders with planted faults, classifier and new folders (needs AUDIO_DATA; over two hours)
	$(RUN) -m experiments autoencoders
	$(RUN) -m experiments classifier
	$(MAKE) runs/families.pt2
	$(RUN) -m experiments trained

songs: $(ALL)  ## a music collection: taste, leaks, copies, sets, engines (needs game-music and Java; about 40 minutes)
	$(RUN) -m experiments songs
	$(RUN) -m experiments songs_speed

wavenet: $(ALL)  ## a WaveNet: bits, distance, faults, songs, cost (needs AUDIO_DATA and game-music; three hours)
	$(RUN) -m experiments wavenet
	$(RUN) -m experiments wavenet_training

runs/families.safetensors: $(ALL)
	$(RUN) -m models release classifier --out $@

runs/families.pt2: runs/families.safetensors
	$(RUN) -m models export $< --out $@

fuzz: $(ALL)  ## 10,000 damaged files of fifty kinds, read: none may crash, hang, or be wrong without a word (a minute)
	$(RUN) -m tests.fuzz --count 10000 --seed 0

distance: $(REPORT)  ## make distance REFERENCE=folder CANDIDATE=folder
	@test -n "$(REFERENCE)" -a -n "$(CANDIDATE)" || { echo "make distance REFERENCE=folder CANDIDATE=folder" >&2; exit 2; }
	$(RUN) -m metrics "$(REFERENCE)" "$(CANDIDATE)"

constants: $(REPORT)  ## make audio_distance/constants.json again
	$(RUN) -m study.constants

lint: $(ALL)  ## ruff, and mypy on the package
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

site: $(ALL)  ## site/: report, chapters, notebooks, functions as one static site, every link followed
	$(RUN) -m report site

clean:  ## remove the environment, the test sets and caches
	rm -rf $(VENV) build mutants site *.egg-info test_audio .pytest_cache .ruff_cache .mypy_cache .hypothesis notebooks/.ipynb_checkpoints notebooks/*.part
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
