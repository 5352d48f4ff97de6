// SPDX-License-Identifier: GPL-2.0-only
/* sleeper - a program that may sleep: the kernel module must not take it. */
#include <oomx/kernel.bpf.h>
#include <oomx_choice.h>

char _license[] SEC("license") = "GPL";

SEC("struct_ops.s/sleeper")
int BPF_PROG(sleeper, struct oomx_choice *c)
{
	return OOMX_CHOOSE_NOBODY;
}

SEC(".struct_ops.link")
struct oomx_choice_ops ops_sleeper = {
	.choose = (void *)sleeper,
	.abi = OOMX_CHOICE_ABI,
	.name = "sleeper",
};
