#!/usr/bin/env bash
# Everything that is to be measured and tried on an NVIDIA GPU, in one command: `--help` says what.
# Needs no network: packages that this machine lacks come from .wheels, which
# benchmarks/gpu_wheels.sh fills elsewhere. PYTHON names another python3, one with PyTorch for CUDA.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
if compgen -G ".wheels/*.whl" >/dev/null; then
    site=$PWD/build/gpu_kit_site
    "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --upgrade \
        --target "$site" .wheels/*.whl
    export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi
exec "$python" -m benchmarks.gpu_kit "$@"
