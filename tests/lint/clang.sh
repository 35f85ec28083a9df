#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The TCB and the bare guests also compile with clang, with no warning.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
make -s -j2 --no-print-directory CC=clang BUILD="$build/clang" THIRD="${THIRD:-build/third_party}" tcb-objects bare-guests
