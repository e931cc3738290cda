#!/bin/sh
# Starts what the image runs, as the user pinpoint wherever it can be.
#
# RunPod mounts a network volume as root's. Models are downloaded there and the memory of jobs that ended a worker is kept
# there, so where root alone can write it, root runs the worker; the same where root alone may use the GPU. Everywhere
# else it is user 10001, without capabilities and without a way to get them back. Each command below replaces this one,
# so that signals reach the worker.
set -eu

if [ "$(id -u)" != 0 ]; then
    exec "$@"
fi

drop() { setpriv --reuid=10001 --regid=10001 --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs "$@"; }

why=""
home="${HF_HOME:-/runpod-volume/huggingface-cache}"
drop mkdir -p "$home" 2>/dev/null || mkdir -p "$home" 2>/dev/null || true
for path in "$home" /dev/nvidiactl /dev/nvidia[0-9]*; do
    # What root cannot write either, on a read-only disk, is no reason.
    if [ -e "$path" ] && [ -w "$path" ] && ! drop test -w "$path"; then
        why="$path"
    fi
done

if [ -n "$why" ]; then
    echo "worker user=root path=$why, which user pinpoint cannot write" >&2
    exec "$@"
fi
echo "worker user=pinpoint" >&2
export HOME=/home/pinpoint
exec setpriv --reuid=10001 --regid=10001 --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
