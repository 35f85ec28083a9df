#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# symbols.sh <nm -n output: the assembly of hv.elf's symbol table for backtraces. Addresses ascend; names are offsets into one string block.
echo '.section .ksymtab, "a"'
echo '.globl ksym_count, ksym_addr, ksym_name, ksym_strings'
awk 'BEGIN { n = 0 }
$2 ~ /^[tT]$/ && $3 !~ /^\./ { addr[n] = $1; name[n++] = $3 }
END {
    printf ".balign 8\nksym_count: .quad %d\nksym_addr:\n", n
    for (i = 0; i < n; i++) printf ".quad 0x%s\n", addr[i]
    print "ksym_name:"
    for (i = 0; i < n; i++) { printf ".long %d\n", off; off += length(name[i]) + 1 }
    print "ksym_strings:"
    for (i = 0; i < n; i++) printf ".asciz \"%s\"\n", name[i]
    print ".byte 0"
}'
echo '.section .note.GNU-stack, "", @progbits'
