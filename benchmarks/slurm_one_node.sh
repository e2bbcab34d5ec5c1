#!/usr/bin/env bash
# A Slurm cluster of this one machine, to try `python -m studies.run PLAN --executor slurm` on.
# For Debian, as root: apt-get install slurm-wlm munge. `start` begins it, `stop` ends it.
set -euo pipefail
folder=${SLURM_FOLDER:-/var/lib/slurm-one-node}
host=$(hostname -s)
export SLURM_CONF=$folder/slurm.conf

start() {
    install -d -m 0755 "$folder" "$folder/state" "$folder/spool"
    cat >"$SLURM_CONF" <<CONF
ClusterName=one-node
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=60
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    install -d -o munge -g munge -m 0755 /run/munge
    [ -s /etc/munge/munge.key ] || /usr/sbin/mungekey --create
    chown munge:munge /etc/munge/munge.key
    if ! pgrep -x munged >/dev/null; then
        runuser -u munge -- /usr/sbin/munged
        touch "$folder/own-munged"
    fi
    slurmctld
    slurmd
    for _ in $(seq 50); do
        sinfo --noheader --states=idle | grep -q . && break
        sleep 0.2
    done
    sinfo
    echo "export SLURM_CONF=$SLURM_CONF"
}

stop() {
    for daemon in slurmd slurmctld; do
        [ -f "$folder/$daemon.pid" ] && kill "$(cat "$folder/$daemon.pid")" || true
    done
    if [ -f "$folder/own-munged" ]; then
        rm "$folder/own-munged"
        pkill -x munged || true
    fi
}

"${1:?start or stop}"
