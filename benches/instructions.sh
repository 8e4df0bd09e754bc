#!/usr/bin/env bash
# Instructions per record of each column, counted by callgrind: they hold where times are too noisy to compare.
# With no argument it compares them with instructions.txt, each as a share of those by hand in the same run, since compilers
# and C libraries change both; it fails where a share has grown by more than 5 %. With --write it writes that file.
set -euo pipefail
cd "$(dirname "$0")"
records=200
# The count of three rounds less that of one leaves out the start and the events.
count() { valgrind --tool=callgrind --callgrind-out-file=/dev/null "$columns" "$1" $records "$2" 2>&1 | awk '/Collected/ {print $4}'; }

cargo build --quiet --release -p lambda-streams-benches --bin columns
columns=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/columns
measured=$("$columns" | while read -r name; do
    echo "$(( ($(count "$name" 3) - $(count "$name" 1)) / 2 / records )) $name"
done)
echo "$measured"
[ "${1:-}" = --write ] && { echo "$measured" > instructions.txt; exit; }
echo "$measured" | awk '
    { name = $0; sub(/^[0-9]+ /, "", name) }
    FNR == 1 { by_hand = $1 }
    NR == FNR { before[name] = $1 / by_hand; next }
    !(name in before) { print "instructions.txt has no count for: " name; failed = 1; next }
    $1 / by_hand > before[name] * 1.05 {
        printf "grown: %s, from %.1f %% to %.1f %% of the instructions by hand\n", name, before[name] * 100, $1 / by_hand * 100
        failed = 1
    }
    END { exit failed }' instructions.txt -
