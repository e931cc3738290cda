# syntax=docker/dockerfile:1
#
# The image of a RunPod endpoint, queue or load balancing. docs/deploy.md says how it is used.
#
#   docker build -t pinpoint .                                         model chosen at run time by MODEL_NAME
#   docker build -t pinpoint --build-arg BAKED_MODEL=mistralai/Mistral-7B-Instruct-v0.3 .
#                            [--build-arg BAKED_REVISION=<commit>] [--secret id=hf_token,src=token.txt]
#   docker run --rm pinpoint                                           answers test_input.json and ends
#   docker run --rm --read-only --tmpfs /tmp pinpoint                  the same, and writes nothing but below /tmp
#   docker run --rm -p 8000:8000 -e PINPOINT_ENDPOINT=http -e PINPOINT_HOST=0.0.0.0 pinpoint
#
# The weights come in one of three ways: RunPod's cached model (MODEL_NAME a name on the Hub, nothing here), a network
# volume (MODEL_NAME a folder below /runpod-volume), or baked in (BAKED_MODEL).
#
# Base: Python's own slim image and not a CUDA image. torch's wheels bring the CUDA runtime, cuBLAS and cuDNN that they were
# built with, and bitsandbytes uses the same ones; those of a CUDA image would be a second copy that nobody loads. Only the
# driver comes from the host. It has to support CUDA 13.0, which torch from PyPI is built for (driver 580 or later). For
# older hosts, a lock of another build of torch:
#   python3.12 deploy/lock.py --torch-index https://download.pytorch.org/whl/cu126 --out requirements-cu126.lock
#   docker build --build-arg LOCK=requirements-cu126.lock --build-arg MIN_CUDA_VERSION=12.6 .
FROM python:3.12.13-slim-bookworm@sha256:8a7e7cc04fd3e2bd787f7f24e22d5d119aa590d429b50c95dfe12b3abe52f48b

ARG LOCK="requirements.lock"
# The lowest CUDA version that a host's driver must support; goes with LOCK. The SDK refuses an older host at start.
ARG MIN_CUDA_VERSION="13.0"

# The OpenMP runtime that bitsandbytes' CPU library is linked to, the C compiler with which Triton makes what calls its
# kernels (without it 8-bit products are slower), and an init as process 1. Not pinned: Debian keeps one version of each.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev libgomp1 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home pinpoint \
    && mkdir -p /runpod-volume/huggingface-cache /models \
    && chown -R pinpoint:pinpoint /runpod-volume

# Without the first two, a plain image gets neither driver libraries nor nvidia-smi from the container runtime.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    RUNPOD_MIN_CUDA_VERSION=${MIN_CUDA_VERSION}

WORKDIR /worker

# Requirements first: this layer changes when a pin changes, not with every line of code. Wheels alone, by their hashes.
COPY ${LOCK} ./requirements.lock
RUN pip install --require-hashes --only-binary :all: --no-deps -r requirements.lock

# A model of one's own in the image: faster cold starts, no volume. None by default: the weights would be in every pull, and
# 16-bit Mixtral 8x7B (93 GB) is over the 80 GB that a RunPod build may have. Before the code, so that a change of code does
# not fetch it again. Outside /runpod-volume, which a mounted volume would hide. Only safetensors: the worker reads no others.
# The token is mounted for this one command and is in no layer.
ARG BAKED_MODEL=""
ARG BAKED_REVISION="main"
RUN --mount=type=secret,id=hf_token \
    if [ -n "$BAKED_MODEL" ]; then \
        HF_TOKEN="$(cat /run/secrets/hf_token 2>/dev/null || true)" \
        python -c "import sys; from huggingface_hub import snapshot_download; \
snapshot_download(sys.argv[1], revision=sys.argv[2], local_dir='/models/' + sys.argv[1], \
allow_patterns=['*.json', '*.jinja', '*.model', '*.safetensors', 'SHA256SUMS'], ignore_patterns=['consolidated*'])" \
            "$BAKED_MODEL" "$BAKED_REVISION"; \
    fi

# Not editable: what runs is what was built. Dependencies are there already, and so is what builds the package.
COPY pyproject.toml README.md LICENSE requirements*.txt ./
COPY src ./src
RUN pip install --no-deps --no-build-isolation . && pip check && rm -rf src build

COPY handler.py test_input.json deploy/entry.sh deploy/self_test.py ./

# The hub folder below HF_HOME is where RunPod puts its cached models, so they are found as if downloaded, and what a worker
# downloads to a network volume is there for the next one. Without a volume it is a folder of the container's disk.
# Triton's kernels are compiled at the first passes: which ones depends on the model and the card, and what launches them is
# linked to the driver, so none are made here.
ENV HF_HOME=/runpod-volume/huggingface-cache \
    TRITON_CACHE_DIR=/tmp/triton \
    PYTHONDONTWRITEBYTECODE=1 \
    MODEL_NAME=${BAKED_MODEL:+/models/${BAKED_MODEL}}

# The image tries itself: the embedded model has to call the invoice in test_input.json one, as the user it will run as.
RUN MODEL_NAME="" HF_HUB_OFFLINE=1 ./entry.sh python self_test.py

EXPOSE 8000
# Root only as long as entry.sh looks whether the user pinpoint can write what it has to; see there.
ENTRYPOINT ["/usr/bin/tini", "--", "/worker/entry.sh"]
CMD ["python", "-u", "handler.py"]
