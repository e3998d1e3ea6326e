#!/bin/sh
# Checks journal.jsonl of the folder $1 with nothing but sha256sum: every line names the sha256 of the one
# before it, and the RFC 6962 root over the lines is the one that the checkpoint names.
set -eu
cd "$1"
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
bytes() { awk '{ for (i = 1; i < length($0); i += 2) printf "\\%03o", \
    16 * index("123456789abcdef", substr($0, i, 1)) + index("123456789abcdef", substr($0, i + 1, 1)) }'; }
prev=0000000000000000000000000000000000000000000000000000000000000000 n=0
while IFS= read -r line; do
    case ${line##*',"prev":"'} in
    $prev'","seq":'$n',"t":'*) ;;
    *) echo "line $((n + 1)) does not follow from the one before it" && exit 7 ;;
    esac
    prev=$(printf %s "$line" | sha256sum | cut -c1-64) n=$((n + 1))
    { printf '\000' && printf %s "$line"; } | sha256sum | cut -c1-64 >>"$work/hashes"
done <journal.jsonl
while [ "$(wc -l <"$work/hashes")" -gt 1 ]; do
    while read -r left; do
        if read -r right; then
            printf "\\001$(echo "$left$right" | bytes)" | sha256sum | cut -c1-64
        else echo "$left"; fi
    done <"$work/hashes" >"$work/up"
    mv "$work/up" "$work/hashes"
done
root=$(sed -n 3p checkpoint | base64 -d | od -An -v -tx1 | tr -d ' \n')
[ "$n" = "$(sed -n 2p checkpoint)" ] && [ "$(wc -l <journal.jsonl)" = "$n" ] && [ "$(tail -c 1 journal.jsonl | od -An -tx1)" = " 0a" ] &&
    [ "$(cat "$work/hashes")" = "$root" ] || { echo "not what the checkpoint says" && exit 7; }
echo "$n records, whole"
