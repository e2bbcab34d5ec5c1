#!/usr/bin/env bash
# Downloads what benchmarks/gpu_kit.sh needs, on a machine with network, into .wheels, and lists it.
#
#     benchmarks/gpu_wheels.sh [PYTHON_VERSION] [PACKAGE[==VERSION] ...]
#
# PYTHON_VERSION is the GPU machine's, by default 3.12.
#
# The GPU machine must have PyTorch for CUDA with Triton, NumPy, Numba, SciPy, Matplotlib,
# TensorBoard, Rich, PyYAML, Pillow, ImageIO, scikit-learn and pytest; PACKAGE names what else it
# lacks, or has in a version that does not fit. Versions are those of constraints-PYTHON_VERSION.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:-3.12}
constraints=constraints-$version.txt
[ -f "$constraints" ] || { echo "There is no $constraints; allowed: 3.11, 3.12." >&2; exit 2; }
names=(gymnasium Farama-Notifications cloudpickle hydra-core omegaconf labmaze
    stable_baselines3 sb3_contrib "${@:2}")
platforms=(--platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64
    --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform manylinux1_x86_64)
python=${PYTHON:-python3}
pins=()
for name in "${names[@]}"; do
    case $name in
        *==*) pins+=("$name") ;;
        *) pins+=("$(grep -i "^$name==" "$constraints")") || {
            echo "$constraints has no $name; name it as $name==VERSION." >&2
            exit 2
        } ;;
    esac
done
rm -rf .wheels
mkdir .wheels
"$python" -m pip download --quiet --no-deps --only-binary=:all: --implementation cp \
    --python-version "$version" "${platforms[@]}" --dest .wheels "${pins[@]}"
# Sources alone, and pure Python.
"$python" -m pip wheel --quiet --no-deps --wheel-dir .wheels \
    "$(grep -i "^antlr4-python3-runtime==" "$constraints")"
du --bytes .wheels/*.whl | sort --numeric-sort --reverse
du --bytes --summarize .wheels
