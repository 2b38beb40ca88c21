#!/usr/bin/env bash
# A sweep on a real Slurm leaves the records and predictions that it leaves on this machine, although
# a task, the controller and the launcher are stopped midway.
#
#     tests/slurm.sh CTL
#
# CTL is the program `ctl`, such as target/debug/ctl.
# Slurm is started on the loopback device, from the packages slurm-wlm and munge of Debian or their
# like, with keys, sockets, ports and state of its own; no account, service or cluster that is there
# already is touched, and at the end what was started here is stopped.
# Where Slurm is not installed this says so and succeeds.
set -euo pipefail

ctl=$(realpath "${1:?the program ctl}")
PATH=$PATH:/usr/sbin:/sbin
for command in munged slurmctld slurmd sbatch squeue scontrol scancel; do
    if ! command -v "$command" > /dev/null; then
        echo "skipped: $command is not installed (on Debian: slurm-wlm and munge)"
        exit 0
    fi
done

work=$(mktemp -d)
chmod 755 "$work"
# Nothing of a cluster that this machine belongs to.
unset "${!SLURM_@}" "${!SBATCH_@}" "${!SQUEUE_@}" "${!SACCT_@}" "${!SCANCEL_@}"
export SLURM_CONF=$work/slurm.conf
host=$(hostname -s)
user=$(id -un)
# Seconds after which slurmctld has written what it knows (SAVE_MAX_WAIT in its sources is 5).
state_is_saved=7
munged= slurmctld= slurmd= launcher=

fail() {
    echo "FAILED: $1"
    for log in "$work"/*.log "$work"/cluster/slurm/task-*.txt; do
        [ -s "$log" ] && { echo "== $log"; tail -n 20 "$log"; }
    done
    exit 1
}

stop() {
    local status=$?
    trap - EXIT
    if [ -n "$launcher" ]; then kill "$launcher" 2> /dev/null || true; fi
    if [ -n "$slurmctld" ] && kill -0 "$slurmctld" 2> /dev/null; then
        timeout 10 scancel --user="$user" 2> /dev/null || true
        within 20 nothing_is_queued || true
    fi
    for daemon in $slurmd $slurmctld $munged; do
        kill "$daemon" 2> /dev/null || true
        within 10 has_ended "$daemon" || kill -9 "$daemon" 2> /dev/null || true
    done
    rm -rf "$work"
    exit "$status"
}
trap stop EXIT

# Waits until a command succeeds, at most some seconds.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

has_ended() { ! kill -0 "$1" 2> /dev/null; }
nothing_is_queued() { [ -z "$(timeout 10 squeue --noheader 2> /dev/null)" ]; }
answers() { timeout 10 scontrol ping 2> /dev/null | grep -q "is UP"; }
node_is_idle() { [ "$(timeout 10 sinfo --noheader --format=%T 2> /dev/null)" = idle ]; }
says() { grep -q "$2" "$work/$1.log" 2> /dev/null; }

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        if ! (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then
            echo "$port"
            return
        fi
    done
}

start_munged() {
    head -c 1024 /dev/urandom > "$work/munge.key"
    chmod 600 "$work/munge.key"
    munged --foreground --key-file="$work/munge.key" --socket="$work/munge.socket" \
        --pid-file="$work/munge.pid" --log-file="$work/munge.log" \
        --seed-file="$work/munge.seed" > "$work/munged.log" 2>&1 &
    munged=$!
    within 10 test -S "$work/munge.socket" || fail "munged does not start"
}

configure() {
    mkdir -m 755 "$work/state" "$work/spool"
    cat > "$SLURM_CONF" << END
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

start_slurmctld() {
    slurmctld -D "$@" >> "$work/slurmctld.log" 2>&1 &
    slurmctld=$!
    within 30 answers || fail "slurmctld does not answer"
}

start_slurmd() {
    slurmd -D > "$work/slurmd.log" 2>&1 &
    slurmd=$!
    within 30 node_is_idle || fail "the node does not become idle"
}

here=("$ctl" benchmark --suite "$work/tiny.toml" --out "$work/local" --jobs 2)
there=("$ctl" benchmark --suite "$work/tiny.toml" --out "$work/cluster" --launcher slurm
    --chunk 2 --jobs 2 --partition main --time 10 --retries 3 --poll 1
    --sbatch-arg=--comment='a test; of $words')

checkpoints() { find "$work/cluster/runs" -name checkpoint.safetensors 2> /dev/null | wc -l; }
is_under_way() { [ "$(checkpoints)" -ge 1 ]; }
both_are_under_way() { [ "$(checkpoints)" -ge 2 ]; }
tasks() { pgrep -f "run-chunk $work/cluster" || true; }
recorded() { find "$work/$1/runs" -name record.json | wc -l; }
batches() { find "$work/cluster/slurm" -name 'batch-*.json' | wc -l; }
expect() { [ "$2" -eq "$3" ] || fail "$1: expected $3, found $2"; }

suite() {
    cat > "$work/tiny.toml" << END
schema = 1
name = "tiny"
title = "Two methods, four seeds"
methods = ["erm", "irm"]
seeds = $1
[training]
size = 32
steps = $2
batch_size = 8
evaluate_every = 100
[[simulated]]
tasks = ["classification"]
shifts = ["combined"]
patients_per_site = 40
source_sites = 2
END
}

# Steps that take a run about 15 s beside another one: the sweep must outlast the interruptions.
measured() {
    local begun=${EPOCHREALTIME/[.,]/}
    "$ctl" benchmark --suite "$work/tiny.toml" --out "$work/measured" --jobs 2 \
        > "$work/measured.log" 2>&1 || fail "the first sweep"
    local spent=$((${EPOCHREALTIME/[.,]/} - begun))
    echo $(((15000000 * 400 / spent / 100 + 1) * 100))
}
runs=8

echo "this machine"
suite 1 400
steps=$(measured)
suite 4 "$steps"
"${here[@]}" > "$work/local.log" 2>&1 || fail "the local launcher"
expect "local records" "$(recorded local)" $runs

echo "munged, slurmctld, slurmd"
start_munged
configure
start_slurmctld -c
start_slurmd

echo "submission"
"${there[@]}" --no-wait > "$work/submit.log" 2>&1 || fail "--no-wait"
says submit "$runs runs are left to the cluster" || fail "--no-wait does not say what is left"

echo "a task is killed"
"${there[@]}" > "$work/watch.log" 2>&1 &
launcher=$!
within 30 says watch "$runs runs are in the queue already" || fail "the jobs are not taken over"
within 60 both_are_under_way || fail "no two tasks begin"
kill -9 "$(tasks | head -n 1)"
within 60 says watch "ended without a record" || fail "the killed task is not missed"
within 30 says watch "^job [0-9]*: 2 runs in 1 array tasks" || fail "nothing is submitted again"

echo "the controller is killed"
sleep "$state_is_saved"
kill -9 "$slurmctld"
{ wait "$slurmctld"; } 2> /dev/null || true
within 60 says watch "asking again" || fail "the launcher does not see that the controller is away"
kill -0 "$launcher" || fail "the launcher ends with the controller"
start_slurmctld
within 60 is_under_way || fail "nothing runs any more"

echo "the launcher is interrupted"
kill -INT "$launcher"
status=0
wait "$launcher" || status=$?
launcher=
expect "status of the interrupted launcher" "$status" 130
says watch "to wait for them and write the report" || fail "it does not say how to resume"
[ "$(recorded cluster)" -lt $runs ] || fail "everything was done before the interruption"

echo "resumed"
"${there[@]}" > "$work/resume.log" 2>&1 || fail "the resumed launcher"
says resume "report: " || fail "no report"
expect "records" "$(recorded cluster)" $runs
[ "$(batches)" -ge 2 ] || fail "nothing was submitted again"
grep -h steps_taken_here "$work"/cluster/runs/*/env.json | grep -qv ": $steps," ||
    fail "no run was continued from its checkpoint"

echo "compared"
for folder in "$work"/local/runs/*; do
    for file in record.json predictions.csv; do
        cmp "$folder/$file" "$work/cluster/runs/${folder##*/}/$file" || fail "$file differs"
    done
done

echo "once more: nothing is left to do"
before=$(batches)
"${there[@]}" > "$work/again.log" 2>&1 || fail "the last launcher"
expect "job arrays" "$(batches)" "$before"
echo "passed: $runs runs, the same on Slurm and on this machine"
