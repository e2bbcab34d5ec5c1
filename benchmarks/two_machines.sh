#!/usr/bin/env bash
# Two machines on one: network namespaces joined by a veth pair, with a rank of one run in each.
# The second machine's rank is killed in the middle; torchrun starts both again, and they go on.
# As root, from the repository: PYTHON=.venv/bin/python bash benchmarks/two_machines.sh
set -euo pipefail
python=$(realpath -s "${PYTHON:-.venv/bin/python}")
folder=$(mktemp -d)
network=10.77.0

cleanup() {
    for number in 1 2; do
        ip netns pids machine$number | xargs -r kill
    done
    wait || true
    ip netns delete machine1
    ip netns delete machine2
    rm -rf "$folder"
}

machine() { # its number, and a command
    local number=$1
    shift
    ip netns exec "machine$number" "$@"
}

train() { # the machine's number; what it prints is marked with it
    machine "$1" env GLOO_SOCKET_IFNAME=veth"$1" OMP_NUM_THREADS=1 \
        "$python" -m torch.distributed.run --nnodes 2 --nproc-per-node 1 --max-restarts 1 \
        --rdzv-backend c10d --rdzv-id two --rdzv-endpoint $network.1:29400 \
        --rdzv-conf is_host=$((2 - $1)) --local-addr "$network.$1" \
        train_agent.py env=room_watermaze aux=cpc agent=a2c_laptop env.num_envs=6 seed=1 \
        threads=1 total_frames=100_000 log.every_frames=20_000 log.checkpoint_frames=20_000 device=cpu \
        run_root="$folder/machine$1" 2>&1 | sed -u "s/^/machine $1 | /"
}

jobs=()
ip netns add machine1
ip netns add machine2
trap cleanup EXIT
ip link add veth1 netns machine1 type veth peer name veth2 netns machine2
for number in 1 2; do
    machine $number ip address add "$network.$number/24" dev "veth$number"
    machine $number ip link set lo up
    machine $number ip link set "veth$number" up
done
train 1 &
jobs+=($!)
train 2 &
jobs+=($!)
progress=$folder/machine1/labsim/room_watermaze/a2c_laptop/cpc/seed_1/progress.csv
until [ -f "$progress" ] && [ "$(wc -l <"$progress")" -ge 3 ]; do
    sleep 0.2
    kill -0 "${jobs[0]}"
done
rank=$(pgrep -f "train_agent.py.*run_root=$folder/machine2" | tail -1)
echo "kill -9 $rank, the rank on machine 2"
kill -9 "$rank"
wait "${jobs[@]}"
echo "machine 2 has $(find "$folder/machine2" -type f 2>/dev/null | wc -l) files of the run"
cut -d, -f1,3 "$progress"
