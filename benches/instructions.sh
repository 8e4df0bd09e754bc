#!/usr/bin/env bash
# Instructions per record of each column, counted by callgrind: they hold where times are too noisy to compare.
# With no argument it compares them with instructions.txt and fails where one has grown by more than 5 %;
# with --write it writes that file.
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
    NR == FNR { name = $0; sub(/^[0-9]+ /, "", name); before[name] = $1; next }
    { name = $0; sub(/^[0-9]+ /, "", name) }
    $1 > before[name] * 1.05 { print "grown: " name ", from " before[name] " to " $1; grown = 1 }
    END { exit grown }' instructions.txt -
