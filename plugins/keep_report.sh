#!/bin/sh
# Run a compiler and keep what it says in <object file>.report; show it only when it matters.
# Usage: keep_report.sh OBJECT COMPILER [ARGUMENT...]
object=$1
shift
"$@" >"$object.report" 2>&1
status=$?
if [ "$status" -ne 0 ] || grep -qi 'warning\|error' "$object.report"; then
  cat "$object.report" >&2
fi
exit "$status"
