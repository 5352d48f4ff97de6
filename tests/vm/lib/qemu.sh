# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The QEMU side of tests/vm/vm: initramfs, command line, choice of accelerator.
# The functions return their results in the arrays and variables named there.
# shellcheck disable=SC2034 # used by vm

# How long a probe boot under KVM may take: a working one needs a second or two.
PROBE_SECONDS=10

# build_initramfs KERNEL_DIR RELEASE GUEST_DIR: prints the path of the initramfs
# for this kernel and these guest scripts, building it when it is new.
build_initramfs() {
	local dir=$1 release=$2 guest=$3 id image tmp module name n=10
	id=$(cat "$guest"/* /bin/busybox | sha256sum | cut -c1-12)
	image=$dir/initramfs-$id
	if [ -s "$image" ]; then
		echo "$image"
		return 0
	fi
	find "$dir" -maxdepth 1 -name 'build.*' -mtime +0 -exec rm -rf {} +
	tmp=$(mktemp -d "$dir/build.XXXXXX")
	mkdir -p "$tmp"/root/{bin,dev,proc,sys,modules,guest,host,rw,new}
	cp /bin/busybox "$tmp/root/bin/busybox"
	ln -s busybox "$tmp/root/bin/sh"
	# Modules in the order of their dependencies; what is built in is not listed.
	while read -r module; do
		name=$n-$(basename "${module%.*z*}")
		case $module in
		*.xz) xz -dc "$module" >"$tmp/root/modules/$name" ;;
		*.zst) zstd -qdc "$module" >"$tmp/root/modules/$name" ;;
		*) cp "$module" "$tmp/root/modules/$name" ;;
		esac
		n=$((n + 1))
	done < <(modprobe -d "$dir/modules" -S "$release" --show-depends -a virtio_pci virtio_console virtiofs overlay |
		awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
	cp "$guest/init" "$tmp/root/init"
	chmod 755 "$tmp/root/init"
	cp "$guest/pid1" "$guest/reporter" "$guest/command" "$guest/oomx-vm.service" "$tmp/root/guest/"
	(cd "$tmp/root" && find . | cpio --quiet -o -H newc -R 0:0) >"$tmp/image"
	find "$dir" -maxdepth 1 -name 'initramfs-*' -mtime +7 -delete
	mv "$tmp/image" "$image"
	rm -rf "$tmp"
	echo "$image"
}

# qemu_command CACHE: sets the array QEMU to the program with its data directories.
qemu_command() {
	local root=$1/qemu
	if [ -x "$root/usr/bin/qemu-system-x86_64" ]; then
		QEMU=(env LD_LIBRARY_PATH="$(library_path "$root")" "$root/usr/bin/qemu-system-x86_64"
			-L "$root/usr/share/qemu" -L "$root/usr/share/seabios")
	else
		QEMU=(qemu-system-x86_64)
	fi
}

# machine_args ACCEL CPUS [BELOW_4G]: sets the array MACHINE. Emulation with one thread a CPU has, rarely, let a
# CPU run an instruction that another had just patched (an int3 of a jump label, in a booting guest
# of 64 CPUs): with many more CPUs than the host has, threads gain nothing, and one cannot do that.
machine_args() {
	local threads=multi
	MACHINE=(-nodefaults -no-user-config -display none -no-reboot
		-machine "q35${3:+,max-ram-below-4g=$3}")
	if [ "$1" = kvm ]; then
		MACHINE+=(-accel kvm -cpu host)
	else
		# A model with what TCG does not emulate taken out: no warnings about it.
		if [ "$2" -gt $((2 * $(nproc))) ]; then threads=single; fi
		MACHINE+=(-accel "tcg,thread=$threads,tb-size=256"
			-cpu "Haswell,-pcid,-tsc-deadline,-x2apic,-invpcid,-erms")
	fi
}

# memory_args MIB CPUS NODES: sets the array MEMORY. vhost-user (virtiofs) needs
# shared guest memory, so there is at least one node with a memory backend.
memory_args() {
	local mib=$1 cpus=$2 nodes=$3 node cpu size
	MEMORY=(-m "${mib}M" -smp "$cpus,sockets=$cpus,cores=1,threads=1")
	for ((node = 0; node < nodes; node++)); do
		size=$((mib / nodes))
		if [ "$node" = 0 ]; then size=$((mib - size * (nodes - 1))); fi
		MEMORY+=(-object "memory-backend-memfd,id=mem$node,size=${size}M,share=on"
			-numa "node,nodeid=$node,memdev=mem$node")
	done
	if [ "$nodes" -gt 1 ]; then
		for ((cpu = 0; cpu < cpus; cpu++)); do
			MEMORY+=(-numa "cpu,node-id=$((cpu * nodes / cpus)),socket-id=$cpu")
		done
	fi
}

# kernel_args ACCEL APPEND: prints the kernel's command line.
kernel_args() {
	local args=(console=ttyS0 rdinit=/init
		# A panic resets the machine at once, and QEMU exits on that.
		panic=-1
		# The NMI that vm sends to a guest that has reached its limit: tasks and CPUs are printed.
		unknown_nmi_panic panic_print=0x41
		# On a loaded host the emulated timer may miss the boot-time check.
		no_timer_check
		# The emulated CPU may not get to run for long: twice and three times
		# the default before a soft lockup and an RCU stall are reported.
		watchdog_thresh=20 rcupdate.rcu_cpu_stall_timeout=60
		psi=1 apparmor=0 loglevel=7 net.ifnames=0)
	# An emulated CPU does not speculate. Two page tables for each process (PTI) would only make it translate
	# every address anew after each system call: with them, starting 300 processes takes three times as long.
	if [ "$1" != kvm ]; then args+=(mitigations=off); fi
	echo "${args[*]}${2:+ $2}"
}

# probe_kvm KERNEL_DIR INITRAMFS WORK: true if a kernel boots to a process under
# KVM. /dev/kvm alone proves nothing: there are hosts where it opens and runs no kernel.
probe_kvm() {
	local dir=$1 initramfs=$2 work=$3 pid result=1 deadline
	machine_args kvm 1
	"${QEMU[@]}" "${MACHINE[@]}" -m 256M -smp 2 -kernel "$dir/vmlinuz" -initrd "$initramfs" \
		-append "$(kernel_args kvm oomx_probe)" -chardev file,id=con,path="$work/probe.console" \
		-serial chardev:con >"$work/probe.log" 2>&1 </dev/null &
	pid=$!
	probe_pid=$pid
	deadline=$((SECONDS + PROBE_SECONDS))
	while [ $SECONDS -lt $deadline ]; do
		if grep -q 'oomx-vm: probe: process runs' "$work/probe.console" 2>/dev/null; then
			result=0
			break
		fi
		# QEMU stops the machine and stays when KVM gives up.
		if grep -q 'KVM internal error' "$work/probe.log" || ! kill -0 "$pid" 2>/dev/null; then break; fi
		sleep 0.1
	done
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	probe_pid=''
	return $result
}

# choose_accel CACHE KERNEL_DIR INITRAMFS WORK: sets ACCEL to kvm or tcg. The
# answer of the probe holds until the host boots anew.
choose_accel() {
	local cache=$1 boot answer
	case ${OOMX_VM_ACCEL:-} in
	tcg | kvm)
		ACCEL=$OOMX_VM_ACCEL
		return 0
		;;
	esac
	ACCEL=tcg
	if ! [ -r /dev/kvm ] || ! [ -w /dev/kvm ]; then return 0; fi
	boot=$(cat /proc/sys/kernel/random/boot_id)
	answer=$cache/kvm-$boot
	exec 8>"$cache/kvm.lock"
	flock 8
	if ! [ -s "$answer" ]; then
		rm -f "$cache"/kvm-????????-*
		if probe_kvm "$2" "$3" "$4"; then echo kvm; else echo tcg; fi >"$cache/kvm.new"
		mv "$cache/kvm.new" "$answer"
	fi
	exec 8>&-
	ACCEL=$(cat "$answer")
}
