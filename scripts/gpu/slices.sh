# What the scripts beside this share: their options, and runs of several seeds in slices of time. Sourced, not run.

set -euo pipefail
shopt -s inherit_errexit

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin='' python=python3
[[ -x $repository/.venv/bin/adarts ]] && bin=$repository/.venv/bin/ python=$repository/.venv/bin/python

out='' runs=runs/gpu seeds=1 time_limit='' data=cifar10 scale=paper precision=bfloat16 rest=()

die() {
  echo "$*" >&2
  exit 2
}

# Seconds of a time such as 90s, 9m or 2h.
seconds() {
  [[ $1 =~ ^([0-9]+)([smh])$ ]] || die "--time-limit takes e.g. 90s, 9m or 2h, not '$1'"
  local -A unit=([s]=1 [m]=60 [h]=3600)
  echo $((10#${BASH_REMATCH[1]} * unit[${BASH_REMATCH[2]}]))
}

# options NAME... -- WORD...: sets the variables of these names; all other words are for adarts, in $rest.
options() {
  local known=' ' name
  while [[ $1 != -- ]]; do
    known+="--$1 "
    shift
  done
  shift
  while (($#)); do
    if [[ $known == *" $1 "* ]]; then
      (($# > 1)) || die "$1 needs a value"
      name=${1#--}
      printf -v "${name//-/_}" %s "$2"
      shift 2
    else
      rest+=("$1")
      shift
    fi
  done
  [[ -n $out ]] || die "--out DIR says where the results go"
}

# slices VERB OPTION...: one run a seed, each continued where the last slice left it; small results go to $out.
slices() {
  local verb=$1 begin=$SECONDS limit='' seed run file left
  shift
  [[ $seeds =~ ^[1-9][0-9]{0,3}$ ]] || die "--seeds takes a number of at least 1, not '$seeds'"
  [[ -n $time_limit ]] && limit=$(seconds "$time_limit")
  for ((seed = 0; seed < seeds; seed++)); do
    run=$runs/$verb-$seed
    if [[ ! -f $run/summary.json ]]; then
      left=()
      if [[ -n $limit ]]; then
        ((SECONDS - begin < limit)) || die_later
        left=(--time-limit "$((limit - SECONDS + begin))s")
      fi
      "${bin}adarts" "$verb" "$@" --seed "$seed" --run-dir "$run" "${left[@]}" || die_later $?
    fi
    mkdir -p "$out/$verb-$seed"
    for file in config.yaml environment.json summary.json metrics.jsonl genotype.json genotype.txt; do
      [[ ! -f $run/$file ]] || cp "$run/$file" "$out/$verb-$seed/"
    done
  done
  echo "all $seeds run(s) are finished; their results are in $out"
}

# The exit code of `adarts` after a time limit is 143.
die_later() {
  local code=${1:-143}
  ((code != 143)) || echo "the time is up; call this again, with the same options, to go on" >&2
  exit "$code"
}
