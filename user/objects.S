/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The BPF objects, inside the binary: objects.h names them. */
.macro object name, path
	.balign 8
	.global ox_obj_\name
	.global ox_obj_\name\()_end
ox_obj_\name:
	.incbin "\path"
ox_obj_\name\()_end:
.endm

	.section .rodata
	object observe, hooks/observe.bpf.o
	object nominate, hooks/nominate.bpf.o
	object struct_ops, hooks/struct_ops.bpf.o
	object kernel, policies/kernel.bpf.o
	object priority, policies/priority.bpf.o
	object calibrate, probe/calibrate.bpf.o
	object score, probe/score.bpf.o
	object selftest, probe/selftest.bpf.o
	object cgroups, probe/cgroups.bpf.o
	object procs, probe/procs.bpf.o
	object shields, probe/shields.bpf.o
	.section .note.GNU-stack,"",@progbits
