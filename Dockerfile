# syntax=docker/dockerfile:1
#
# The image of a RunPod endpoint.
#
#   docker build -t pinpoint .                                         model chosen at run time by MODEL_NAME
#   docker build -t pinpoint --build-arg BAKED_MODEL=mistralai/Mistral-7B-Instruct-v0.3 .
#                            [--build-arg BAKED_REVISION=<commit>] [--secret id=hf_token,src=token.txt]
#   docker build -t pinpoint --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126 .
#   docker run --rm pinpoint                                           answers test_input.json and ends
#
# Base: Python's own slim image and not a CUDA image. torch's wheels bring the CUDA runtime, cuBLAS and cuDNN that they were
# built with, and bitsandbytes uses the same ones; those of a CUDA image would be a second copy that nobody loads. Only the
# driver comes from the host. It has to support CUDA 13.0, which torch 2.13 from PyPI is built for (driver 580 or later);
# TORCH_INDEX takes another build where hosts are older.
FROM python:3.12-slim-bookworm

ARG TORCH_INDEX=""
# The lowest CUDA version that a host's driver must support; goes with TORCH_INDEX. The SDK refuses an older host at start.
ARG MIN_CUDA_VERSION="13.0"

# The OpenMP runtime that bitsandbytes' CPU library is linked to, and the C compiler with which Triton makes what calls its
# kernels; without it 8-bit products are slower.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev libgomp1 \
    && rm -rf /var/lib/apt/lists/*

# Without these two, a plain image gets neither driver libraries nor nvidia-smi from the container runtime.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    RUNPOD_MIN_CUDA_VERSION=${MIN_CUDA_VERSION}

# Root: RunPod mounts the network volume as root's, and runs workers as root by custom. Another user could not write the
# model cache there, and the container is the boundary in either case.
WORKDIR /worker

# Requirements first, torch first among them: these layers change when a pin changes, not with every line of code.
COPY requirements.txt requirements-ocr.txt ./
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' requirements.txt)"
RUN pip install -r requirements.txt -r requirements-ocr.txt

# A model of one's own in the image: faster cold starts, no volume. None by default: the weights would be in every pull, and
# 16-bit Mixtral 8x7B (93 GB) is over the 80 GB that a RunPod build may have. Before the code, so that a change of code does
# not fetch it again. Outside /runpod-volume, which a mounted volume would hide. Only safetensors: the worker reads no others.
ARG BAKED_MODEL=""
ARG BAKED_REVISION="main"
RUN --mount=type=secret,id=hf_token \
    if [ -n "$BAKED_MODEL" ]; then \
        HF_TOKEN="$(cat /run/secrets/hf_token 2>/dev/null || true)" \
        python -c "import sys; from huggingface_hub import snapshot_download; \
snapshot_download(sys.argv[1], revision=sys.argv[2], local_dir='/models/' + sys.argv[1], \
allow_patterns=['*.json', '*.jinja', '*.model', '*.safetensors'], ignore_patterns=['consolidated*'])" \
            "$BAKED_MODEL" "$BAKED_REVISION"; \
    fi

# Not editable: what runs is what was built. Dependencies are there already, pinned.
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --no-deps . && rm -rf src build

COPY handler.py test_input.json ./

# The hub folder below this is where RunPod puts its cached models, so they are found as if downloaded, and what a worker
# downloads to a network volume is there for the next one. Without a volume it is a folder of the container's disk.
ENV HF_HOME=/runpod-volume/huggingface-cache \
    MODEL_NAME=${BAKED_MODEL:+/models/${BAKED_MODEL}}

CMD ["python", "-u", "handler.py"]
