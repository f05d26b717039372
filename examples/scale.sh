#!/usr/bin/env bash
# docs/scale.md on one machine: a bucket (an S3), a shared collection (Milvus), and a Ray cluster of two nodes, one of
# which is killed while it indexes. What is found from the command line and over the service is compared with what a
# plain folder gives. Everything listens on this machine alone and is gone afterwards.
#
#   examples/scale.sh                              starts a Milvus of its own (its ports 2379 and 2380 must be free)
#   examples/scale.sh milvus://HOST:PORT/NAME      uses one that is there; or a folder, for a collection on this disk
#
# Needs: pip install 'camseek[milvus,ray,remote,serve]' 'milvus==2.3.5' 'moto[server]'
set -euo pipefail
set -m # each server in a process group of its own, to be ended with all that it starts
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
photos=$here/groceries/photos
queries=("$here"/groceries/queries/{Banana,Cabbage,Galia-Melon}.jpg)
work=$(mktemp -d /tmp/camseek-scale.XXXXXX) # short: Ray makes sockets in it
servers=()

finish() {
  local status=$?
  trap - EXIT
  for server in "${servers[@]}"; do kill -TERM -- "-$server" 2>/dev/null || true; done
  for _ in {1..50}; do
    for server in "${servers[@]}"; do kill -0 -- "-$server" 2>/dev/null && { sleep 0.1; continue 2; }; done
    break
  done
  for server in "${servers[@]}"; do kill -KILL -- "-$server" 2>/dev/null || true; done
  if ((status)); then
    for log in "$work"/*.log; do
      echo "--- ${log##*/}" >&2
      tail -n 15 "$log" >&2
    done
  fi
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# What camseek keeps for itself, what drivers read, and what no server is to tell anybody.
export XDG_CACHE_HOME=$work/cache XDG_DATA_HOME=$work/data XDG_CONFIG_HOME=$work/config
export AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
export RAY_USAGE_STATS_ENABLED=0 RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0

said() { printf '\n== %s\n' "$*"; }
free_port() { python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# started NAME COMMAND...: in the background, its words in a file; $! is its number.
started() {
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 </dev/null &
  servers+=($!)
  disown # so that nobody tells when it ends
}
# until_true SECONDS COMMAND...: until it succeeds.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS > end)); then
      echo "waited in vain for: $*" >&2
      return 1
    fi
    sleep 0.3
  done
}
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }

said "A bucket with the demo's pictures"
port=$(free_port)
export AWS_ENDPOINT_URL=http://127.0.0.1:$port
started s3 moto_server -H 127.0.0.1 -p "$port"
until_true 60 answers "$port"
python "$here/scale.py" upload "$photos" s3://groceries/photos

if (($#)); then
  collection=$1
else
  said "A Milvus server"
  port=$(free_port)
  started milvus milvus-server --data "$work/milvus" --proxy-port "$port"
  until_true 120 python "$here/scale.py" ready "$port"
  collection=milvus://127.0.0.1:$port/groceries
fi

said "A Ray cluster of two nodes, with one core each"
port=$(free_port)
node=(--block --num-cpus=1 --object-store-memory=100000000 --disable-usage-stats)
# Not 127.0.0.1, which Ray takes for this machine's name in a network.
started head ray start --head --port="$port" --node-ip-address=127.0.0.2 --include-dashboard=false \
  --temp-dir="$work/ray" "${node[@]}"
until_true 90 grep -q "Ray runtime started" "$work/head.log"
started worker ray start --address="127.0.0.2:$port" --node-ip-address=127.0.0.3 "${node[@]}"
worker=$!
until_true 90 grep -q "Ray runtime started" "$work/worker.log"

said "The bucket's pictures into $collection; the second node is killed on the way"
camseek index s3://groceries/photos --collection "$collection" --ray "127.0.0.2:$port" --json >"$work/indexed.json" \
  2>"$work/index.log" &
indexing=$!
servers+=("$indexing")
some_were_read() { (($(grep -c '"GET /groceries/photos/' "$work/s3.log") >= 24)) || ! kill -0 "$indexing"; }
until_true 240 some_were_read
if kill -0 "$indexing" 2>/dev/null; then
  kill -KILL -- "-$worker"
  echo "killed"
fi
wait "$indexing"
python "$here/scale.py" indexed "$work/indexed.json" 70

said "Once more: nothing has changed, and nothing is read"
camseek index s3://groceries/photos --collection "$collection"

said "The same pictures from their folder, by one process"
camseek index "$photos" --collection "$work/folder.camseek"

said "Searches from the command line"
for place in "$collection" "$work/folder.camseek"; do
  camseek search "${queries[@]}" --collection "$place" --top 10 --json >"$work/found-${place##*/}.json"
done
python "$here/scale.py" compare "$work/found-folder.camseek.json" "$work/found-${collection##*/}.json"

said "Searches over the service"
port=$(free_port)
started service camseek serve --collection "groceries=$collection" --port "$port" --state "$work/state"
until_true 90 answers "$port"
python "$here/scale.py" serve "http://127.0.0.1:$port/api/v1/collections/groceries" "$work/found-folder.camseek.json" \
  "${queries[@]}"

said "The same answers everywhere"
