# CornerRT: the only list of commands. `make help` shows the public ones.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
BUILD := build

# --- what to build: make engine MODEL=... WEIGHTS=... PRECISION=fp32|fp16|bf16|int8 SIZE=HxW TARGET=...
MODEL ?= cornernet-nano
PRECISION ?= int8
TARGET ?= auto
SIZE_cornernet-nano := 320x320
SIZE_cornernet-saccade := 255x255
SIZE_centernet-nano := 320x320
SIZE ?= $(or $(SIZE_$(MODEL)),$(if $(filter centernet-%,$(MODEL)),512x512,511x511))
WEIGHTS ?= $(wildcard detectors/weights/$(MODEL).safetensors)
# Images to calibrate on; made from Shapes unless you name a folder of your own.
CALIB ?= $(SHAPES)/calibration
CALIB_IMAGES ?= 200
# What is done to keep accuracy: fast (ranges alone), good or best (minutes on two cores).
EFFORT ?= good
# More for the calibration: CALIB_OPTIONS='--method entropy --seed 1 --balance'
CALIB_OPTIONS ?=

SHAPES := $(BUILD)/shapes
DEMO := $(BUILD)/demo
STEM := $(BUILD)/$(MODEL)-$(SIZE)
HEIGHT_WIDTH = $(subst x, ,$(SIZE))

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- set-up, once: repeated only when the list of dependencies changes
EXTRAS := opencv,ort,export,train,track,mqtt,metrics,web,profile,dev
READY := $(VENV)/ready

.PHONY: setup
setup: $(READY) ## Make .venv with everything pinned (other targets do this by themselves)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || { echo \
	  "error: $$($(PYTHON) --version); expected 3.10 to 3.13; name one: make PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
	  "error: $(PYTHON) cannot make virtual environments; install it: apt install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@# Without what it asks for: an OpenCV with windows beside the one that is there.
	$(PY) -m pip install --quiet --no-deps --constraint constraints.txt trackers
	@$(PY) -m pip install --quiet --only-binary=:all: --constraint constraints.txt --editable ".[rtx]" \
	  || echo "TensorRT-RTX has no wheel for this machine: its target and tests are left out"
	@touch $@

# --- data
$(SHAPES)/val/annotations.json: | $(READY)
	$(PY) -m detectors.shapes --out $(@D) --images 500 --seed 2
$(SHAPES)/train/annotations.json: | $(READY)
	$(PY) -m detectors.shapes --out $(@D) --images 12000 --seed 1
$(SHAPES)/calibration/annotations.json: | $(READY)
	$(PY) -m detectors.shapes --out $(@D) --images $(CALIB_IMAGES) --seed 4

# The shipped weights were made in five runs: on crowded scenes, on ordinary ones, on ordinary ones
# without zoom, and on others at a larger size, twice. $(1) is the folder of a run; RESUME=1 continues the
# one that was stopped.
TRAIN_IN = $(PY) -m detectors.train --model cornernet-nano --batch 8 --vertical-flip --out $(1) \
	$(if $(RESUME),$(if $(wildcard $(1)/last.pt),--resume))
TRAINED = cornernet-nano.safetensors
$(SHAPES)/train-crowded/annotations.json: | $(READY)
	$(PY) -m detectors.shapes --out $(@D) --images 12000 --seed 1 --crowded
$(BUILD)/train-crowded/$(TRAINED): | $(SHAPES)/train-crowded/annotations.json
	$(call TRAIN_IN,$(@D)) --data $(SHAPES)/train-crowded --size 256 256 \
	  --steps 8000 --stop-after 2250 --seed 1
$(BUILD)/train/$(TRAINED): $(BUILD)/train-crowded/$(TRAINED) | $(SHAPES)/train/annotations.json
	$(call TRAIN_IN,$(@D)) --data $(SHAPES)/train --size 256 256 --steps 7000 --init $< --seed 1
$(BUILD)/train-last/$(TRAINED): $(BUILD)/train/$(TRAINED)
	$(call TRAIN_IN,$(@D)) --data $(SHAPES)/train --size 256 256 --steps 2700 --init $< --seed 2 \
	  --rate 6e-4 --warmup 50 --zoom-chance 0
$(SHAPES)/train-more/annotations.json: | $(READY)
	$(PY) -m detectors.shapes --out $(@D) --images 20000 --seed 5
$(BUILD)/train-320/$(TRAINED): $(BUILD)/train-last/$(TRAINED) | $(SHAPES)/train-more/annotations.json
	$(call TRAIN_IN,$(@D)) --data $(SHAPES)/train-more --size 320 320 --steps 9000 \
	  --stop-after 7500 --init $< --seed 3 --rate 1e-3 --warmup 200 --zoom-chance 0 \
	  --embedding-weight 0.25
$(BUILD)/train-final/$(TRAINED): $(BUILD)/train-320/$(TRAINED)
	$(call TRAIN_IN,$(@D)) --data $(SHAPES)/train-more --size 320 320 --steps 4500 --init $< \
	  --seed 4 --rate 7e-4 --warmup 100 --zoom-chance 0 --embedding-weight 0.25

# Images of your own: make train DATA=my/train MODEL=cornernet-squeeze TRAIN='--recipe published'
DATA ?=
TRAIN ?=
OWN_TRAINING := $(BUILD)/train-$(MODEL)-own

.PHONY: train
ifeq ($(DATA),)
train: $(BUILD)/train-final/$(TRAINED) ## Train nano on Shapes (hours), or MODEL on DATA=...; RESUME=1 continues
else
train: $(READY)
	$(PY) -m detectors.train --model $(MODEL) --data $(DATA) --out $(OWN_TRAINING) $(TRAIN) \
	  $(if $(RESUME),$(if $(wildcard $(OWN_TRAINING)/last.pt),--resume))
endif

# --- accuracy: make evaluate VAL=my/val EVALUATE='--flip --per-class'
VAL ?= $(SHAPES)/val
VAL_INPUT = $(if $(filter $(SHAPES)/val,$(VAL)),$(VAL)/annotations.json)
EVALUATE ?=
.PHONY: evaluate
evaluate: $(VAL_INPUT) ## Average precision of an engine, on Shapes or VAL=...
	@$(MAKE) --no-print-directory engine
	$(PY) -m detectors.evaluate --data $(VAL) --artifact $$(cat $(STEM)-$(PRECISION).engine-path) \
	  --json $(STEM)-$(PRECISION).evaluation.json $(EVALUATE)

# --- where every millisecond goes: make profile PROFILE='--frames my.mp4 --soak 10 --fail-if ...'
PROFILE ?=
PROFILE_STEM = $(STEM)-$(PRECISION).profile
.PHONY: profile
profile: $(if $(filter --frames,$(PROFILE)),,$(DEMO)/clip.mp4) ## Latency by stage and layer of an engine, as JSON and a page: PROFILE='...'
	@$(MAKE) --no-print-directory engine
	$(PY) runtime/measure.py $$(cat $(STEM)-$(PRECISION).engine-path) --layers \
	  --json $(PROFILE_STEM).json --html $(PROFILE_STEM).html $(PROFILE)

# --- the floor, without a GPU: make roofline MODEL=cornernet-squeeze DEVICE=agx-orin ROOFLINE='--top 0'
DEVICE ?= orin-nano
ROOFLINE ?=
# An FP32 graph counted as PRECISION; or a file: make roofline ONNX=build/model-int8.onnx
ROOFLINE_OF = $(if $(ONNX),--onnx $(ONNX),--model $(MODEL) --size $(HEIGHT_WIDTH) \
	--precision $(PRECISION) --graphs $(BUILD)/roofline)
.PHONY: roofline
roofline: $(READY) ## The time below which DEVICE cannot run MODEL: DEVICE=orin-nano|agx-orin|h200|... ROOFLINE='...'
	$(PY) -m export.roofline $(ROOFLINE_OF) --device $(DEVICE) $(ROOFLINE)

# --- export -> (calibrate) -> build, as rules over files: an unchanged step is not repeated.
# The option files change only when an option does, so that a new WEIGHTS or CALIB rebuilds.
.PHONY: FORCE
$(STEM).weights-option: FORCE
	@mkdir -p $(@D); echo '$(WEIGHTS)' | cmp -s - $@ || echo '$(WEIGHTS)' > $@
CALIB_INPUT = $(if $(filter $(SHAPES)/calibration,$(CALIB)),$(CALIB)/annotations.json)
CALIB_FACTS = { echo '$(CALIB) $(CALIB_IMAGES) $(EFFORT) $(CALIB_OPTIONS)$(GATE)'; \
	find '$(CALIB)' $(if $(GATE),'$(VAL)') -type f -printf '%p %s %T@\n' 2>/dev/null | sort; } | sha256sum
# MAX_AP_DROP=0.5: convolutions return to float until AP on VAL drops by no more points.
MAX_AP_DROP ?=
GATE = $(if $(MAX_AP_DROP), --max-ap-drop $(MAX_AP_DROP) --gate-data $(VAL))
$(STEM).calib-option: $(CALIB_INPUT) $(if $(GATE),$(VAL_INPUT)) FORCE
	@mkdir -p $(@D); $(CALIB_FACTS) | cmp -s - $@ || $(CALIB_FACTS) > $@

EXPORT = $(PY) -m export.export_onnx --model $(MODEL) --size $(HEIGHT_WIDTH) \
	$(if $(WEIGHTS),--weights $(WEIGHTS)) --out $@
EXPORT_INPUTS = $(STEM).weights-option $(WEIGHTS) | $(READY)

$(STEM)-fp32.onnx: $(EXPORT_INPUTS)
	$(EXPORT) --precision fp32
$(STEM)-fp16.onnx: $(EXPORT_INPUTS)
	$(EXPORT) --precision fp16
$(STEM)-bf16.onnx: $(EXPORT_INPUTS)
	$(EXPORT) --precision bf16

# $(1) is the target and what it likes, $(2) the ranges. For a GPU, what is not INT8 is FP16;
# TensorRT-RTX moves half the bytes where a convolution's weights have one scale.
CALIBRATE = $(PY) -m calibration.calibrate --onnx $< --images $(CALIB) --max-images $(CALIB_IMAGES) \
	--target $(1) --cache $(2) --effort $(EFFORT) --out $@$(GATE) $(CALIB_OPTIONS)
CALIBRATED = $(STEM)-fp32.onnx $(STEM).calib-option
$(STEM)-int8.onnx: $(CALIBRATED)
	$(call CALIBRATE,onnxruntime,$(STEM)-int8.ranges.npz)
$(STEM)-int8-trt.onnx: $(CALIBRATED)
	$(call CALIBRATE,tensorrt --base fp16,$(STEM)-int8.ranges.npz)
$(STEM)-int8-rtx.onnx: $(CALIBRATED)
	$(call CALIBRATE,tensorrt-rtx --base fp16 --weights per-tensor --weight-method mse,$(STEM)-int8-rtx.ranges.npz)

# --- where INT8 costs accuracy: make sensitivity SENSITIVITY='--metric ap --limit 100'
SENSITIVITY ?=
BY_AP = $(filter ap,$(SENSITIVITY))
.PHONY: sensitivity
sensitivity: $(STEM)-fp32.onnx $(CALIB_INPUT) $(if $(BY_AP),$(VAL_INPUT)) ## What INT8 costs, convolution by convolution
	$(PY) -m calibration.sensitivity --onnx $< --images $(CALIB) --max-images $(CALIB_IMAGES) \
	  --out $(STEM).sensitivity.json --picture $(STEM).sensitivity.png $(if $(BY_AP),--data $(VAL)) $(SENSITIVITY)

# --- fine-tuning for INT8: make qat WEIGHTS=mine.safetensors QAT_DATA=my/train QAT='--steps 3000'
QAT_DATA ?= $(SHAPES)/train-more
QAT ?=
QAT_STEM = $(STEM)-qat
.PHONY: qat
qat: $(STEM)-fp32.onnx $(CALIB_INPUT) | $(QAT_DATA)/annotations.json ## Fine-tune WEIGHTS with INT8's rounding, on Shapes or QAT_DATA=...
	$(PY) -m calibration.calibrate --onnx $< --images $(CALIB) --max-images $(CALIB_IMAGES) \
	  --cache $(QAT_STEM).ranges.npz --effort fast --out $(QAT_STEM)-begin.onnx
	$(PY) -m calibration.quantization_plan --onnx $(QAT_STEM)-begin.onnx --out $(QAT_STEM).plan.json
	$(PY) -m detectors.train --qat $(QAT_STEM).plan.json --init $(WEIGHTS) --model $(MODEL) \
	  --size $(HEIGHT_WIDTH) --data $(QAT_DATA) --out $(QAT_STEM) $(QAT)
	$(PY) -m export.export_onnx --model $(MODEL) --size $(HEIGHT_WIDTH) \
	  --weights $(QAT_STEM)/$(MODEL).safetensors --out $(QAT_STEM)-fp32.onnx
	$(PY) -m calibration.quantize_by_plan --onnx $(QAT_STEM)-fp32.onnx \
	  --plan $(QAT_STEM).plan.json --out $(QAT_STEM)-int8.onnx

# Options of a TensorRT build; an empty one is the builder's default. MAX_BATCH=4  WORKSPACE=2048
# (MiB)  OPT_LEVEL=0..5  WITH_PLUGINS=auto|yes|no  DECODE=auto|plugin|graph|fastest
# TARGET_SM=86,120 (TensorRT-RTX)
# VERSION_COMPATIBLE=1  HARDWARE_COMPATIBILITY=ampere-plus  TIMING_CACHE=F (full TensorRT)
TIMING_CACHE ?= $(BUILD)/tensorrt.timing-cache
TENSORRT_OPTIONS = $(if $(MAX_BATCH),--batch 1 $(MAX_BATCH) $(MAX_BATCH)) \
	$(if $(WORKSPACE),--workspace $(WORKSPACE)) $(if $(OPT_LEVEL),--opt-level $(OPT_LEVEL)) \
	$(if $(WITH_PLUGINS),--plugins $(WITH_PLUGINS)) $(if $(DECODE),--decode $(DECODE))
RTX_OPTIONS = $(TENSORRT_OPTIONS) $(if $(TARGET_SM),--target-sm $(TARGET_SM))
FULL_OPTIONS = $(TENSORRT_OPTIONS) --timing-cache $(TIMING_CACHE) \
	$(if $(VERSION_COMPATIBLE),--version-compatible) \
	$(if $(HARDWARE_COMPATIBILITY),--hardware-compatibility $(HARDWARE_COMPATIBILITY))
$(STEM).rtx-option: FORCE
	@mkdir -p $(@D); echo '$(RTX_OPTIONS)' | cmp -s - $@ || echo '$(RTX_OPTIONS)' > $@
$(STEM).full-option: FORCE
	@mkdir -p $(@D); echo '$(FULL_OPTIONS)' | cmp -s - $@ || echo '$(FULL_OPTIONS)' > $@
PLUGIN_LIBRARY = $(wildcard $(BUILD)/plugins/libcornerrt_plugins.so)
RTX_INPUTS = $(STEM).rtx-option $(PLUGIN_LIBRARY)
FULL_INPUTS = $(STEM).full-option $(PLUGIN_LIBRARY)

BUILD_ENGINE = $(PY) -m export.build_engine --onnx $< --out $@
$(STEM)-%.onnxruntime.onnx: $(STEM)-%.onnx
	$(BUILD_ENGINE) --target onnxruntime
$(STEM)-int8.tensorrt-rtx.engine: $(STEM)-int8-rtx.onnx $(RTX_INPUTS)
	$(BUILD_ENGINE) --target tensorrt-rtx $(RTX_OPTIONS)
$(STEM)-%.tensorrt-rtx.engine: $(STEM)-%.onnx $(RTX_INPUTS)
	$(BUILD_ENGINE) --target tensorrt-rtx $(RTX_OPTIONS)
$(STEM)-int8.tensorrt.engine: $(STEM)-int8-trt.onnx $(FULL_INPUTS)
	$(BUILD_ENGINE) --target tensorrt $(FULL_OPTIONS)
$(STEM)-%.tensorrt.engine: $(STEM)-%.onnx $(FULL_INPUTS)
	$(BUILD_ENGINE) --target tensorrt $(FULL_OPTIONS)

# --- FP32, FP16 and INT8 on one page: make report VAL=my/val REPORT='--latency F.json --worst 20'
REPORT ?=
REPORT_FILES = $(STEM)-fp32.onnxruntime.onnx $(STEM)-int8.onnxruntime.onnx $(STEM)-fp16.onnx
# $(1) is an option, $(2) its file: used if it is not older than the model that it tells of.
IF_CURRENT = $$(test $(2) -nt $(STEM)-fp32.onnx && echo $(1) $(2))
.PHONY: report
report: $(REPORT_FILES) $(VAL_INPUT) ## One HTML page about what INT8 changes, on Shapes or VAL=...
	$(PY) -m calibration.report --fp32 $(word 1,$^) --int8 $(word 2,$^) --fp16 $(word 3,$^) \
	  --onnx $(STEM)-fp32.onnx --data $(VAL) --out $(STEM).report.html \
	  $(call IF_CURRENT,--ranges,$(STEM)-int8.ranges.npz) \
	  $(call IF_CURRENT,--sensitivity,$(STEM).sensitivity.json) $(REPORT)

ENDING_onnxruntime := onnxruntime.onnx
ENDING_tensorrt-rtx := tensorrt-rtx.engine
ENDING_tensorrt := tensorrt.engine

.PHONY: engine
engine: $(READY) ## Build an engine: MODEL= WEIGHTS= PRECISION=fp32|fp16|bf16|int8 SIZE=HxW TARGET= MAX_AP_DROP=
	@$(if $(filter fp32 fp16 bf16 int8,$(PRECISION)),,echo "error: PRECISION is $(PRECISION); expected fp32, fp16, bf16 or int8; name one" >&2; exit 2;) \
	target=$$($(PY) -m export.choose_target $(TARGET)) && $(MAKE) --no-print-directory engine-for CHOSEN=$$target

.PHONY: engine-for
engine-for: $(STEM)-$(PRECISION).$(ENDING_$(CHOSEN))
	@echo $< > $(STEM)-$(PRECISION).engine-path
	@echo "engine: $<"

# --- the same images through PyTorch and through everything that can run here
$(STEM)-maps-%.onnx: $(EXPORT_INPUTS)
	$(EXPORT) --maps --precision $*
$(STEM)-maps-%.plugin.engine: $(STEM)-maps-%.onnx $(PLUGIN_LIBRARY)
	$(BUILD_ENGINE) --target $(CHOSEN) --plugins yes
$(STEM)-maps-%.plugin-free.engine: $(STEM)-maps-%.onnx
	$(BUILD_ENGINE) --target $(CHOSEN) --plugins no
VERIFIED := $(STEM)-maps-fp32.onnx $(STEM)-maps-fp32.onnxruntime.onnx
VERIFIED_ENGINES := $(foreach precision,fp32 fp16,$(foreach kind,$(if $(PLUGIN_LIBRARY),plugin) \
	plugin-free,$(STEM)-maps-$(precision).$(kind).engine))

.PHONY: verify verify-for
verify: $(READY) $(SHAPES)/val/annotations.json ## Compare PyTorch with every runtime here, on the same images
	@target=$$($(PY) -m export.choose_target auto) && $(MAKE) --no-print-directory verify-for CHOSEN=$$target
verify-for: $(VERIFIED) $(if $(filter tensorrt%,$(CHOSEN)),$(VERIFIED_ENGINES))
	@$(if $(filter tensorrt%,$(CHOSEN)),$(if $(PLUGIN_LIBRARY),,echo "engines with plugins are left out: make plugins"),echo "engines are left out: no GPU with TensorRT here")
	$(PY) -m export.verify --model $(MODEL) $(if $(WEIGHTS),--weights $(WEIGHTS)) --images $(SHAPES)/val --artifacts $^

# --- the plugin library: kernels and TensorRT plugins; needs no .venv
PLUGINS := $(BUILD)/plugins
PLUGIN_OPTIONS = $(if $(TENSORRT_ROOT),-DTENSORRT_ROOT='$(abspath $(TENSORRT_ROOT))') \
	$(if $(ARCHITECTURES),-DCORNERRT_ARCHITECTURES='$(ARCHITECTURES)') \
	-DCORNERRT_SELF_REGISTER=$(if $(SELF_REGISTER),ON,OFF)

.PHONY: plugins
plugins: ## Build the TensorRT plugins: TENSORRT_ROOT= ARCHITECTURES="86;89" SELF_REGISTER=1
	@command -v cmake >/dev/null || { echo \
	  "error: found no cmake; expected 3.22 or later; install it: sudo apt install cmake" >&2; exit 2; }
	@command -v c++ >/dev/null || { echo \
	  "error: found no C++ compiler; install one: sudo apt install g++ make" >&2; exit 2; }
	@cmake -S plugins -B $(PLUGINS) -U 'TENSORRT_*' -U 'CORNERRT_*' $(PLUGIN_OPTIONS) || exit 2
	@MAKEFLAGS=--no-print-directory cmake --build $(PLUGINS) --parallel 2
	@echo "plugins: $(PLUGINS)/libcornerrt_plugins.so"

# --- the demo: everything above, on a clip of moving shapes
.PHONY: demo
demo: $(READY) $(DEMO)/clip.mp4 $(SHAPES)/val/annotations.json ## From the shipped weights to boxes on a video, in build/demo/
	@$(MAKE) --no-print-directory engine-for MODEL=cornernet-nano SIZE=320x320 PRECISION=fp32 CHOSEN=onnxruntime
	@$(MAKE) --no-print-directory engine-for MODEL=cornernet-nano SIZE=320x320 PRECISION=int8 CHOSEN=onnxruntime
	$(PY) runtime/stream.py --video $(DEMO)/clip.mp4 --artifact $(DEMO_STEM)-int8.onnxruntime.onnx \
	  --save $(DEMO)/annotated.mp4 --jsonl $(DEMO)/detections.jsonl \
	  --contact-sheet $(DEMO)/contact_sheet.png --summary-json $(DEMO)/stream.json
	$(PY) -m benchmarks.demo_summary --folder $(DEMO) --val $(SHAPES)/val \
	  --fp32 $(DEMO_STEM)-fp32.onnxruntime.onnx --int8 $(DEMO_STEM)-int8.onnxruntime.onnx

DEMO_STEM := $(BUILD)/cornernet-nano-320x320
$(DEMO)/clip.mp4: | $(READY)
	$(PY) -m detectors.shapes --clip $@ --seed 3

# --- the article's experiments: runs that were finished before are not repeated
.PHONY: experiments
experiments: $(READY) ## The article's experiments on Shapes (an hour); fills docs/experiments.md
	$(PY) -m benchmarks.experiments

# --- checks
.PHONY: test test-slow test-all lint format
test: $(READY) ## Run the tests (no GPU needed, a few minutes)
	$(PY) -m pytest -m "not gpu and not jetson and not slow"
test-slow: $(READY) ## Run the tests that take longer: large networks, training, engines
	$(PY) -m pytest -m "slow and not gpu and not jetson"
test-all: test test-slow ## Run both
lint: $(READY) ## ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
format: $(READY) ## Let ruff format everything
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

# Everything that needs a GPU. With PY=python3 it runs in an environment of your own.
.PHONY: gpu-check
gpu-check: $(if $(filter $(VENV)/%,$(PY)),$(READY)) ## Run every GPU test and benchmark; writes benchmarks/results/
	$(PY) -m benchmarks.gpu_check $(GPU_CHECK)

.PHONY: clean
clean: ## Remove build/ (not .venv)
	rm -rf $(BUILD)
