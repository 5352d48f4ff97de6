// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <bpf/libbpf.h>

#include "bpflog.h"
#include "build.h"
#include "cleanup.h"
#include "log.h"

#define POLICY_SIZE_MAX (4UL << 20) /* no policy comes near; a mistyped path may */

static const struct {
	const char *name;
	const char *start;
	const char *end;
} builtin[] = {
	{ "kernel", ox_obj_kernel, ox_obj_kernel_end },
	{ "priority", ox_obj_priority, ox_obj_priority_end },
};

#define N_BUILTIN (sizeof(builtin) / sizeof(builtin[0]))

const char *ox_policy_builtin(unsigned int i)
{
	return i < N_BUILTIN ? builtin[i].name : NULL;
}

/* ---- what is in the file -------------------------------------------------------------------- */

struct found {
	struct oomx_policy_note note;
	bool has_note;
	bool has_rank;
};

/* Sections a policy may have besides those of its own code and of debug information. */
static bool section_allowed(const char *name, const GElf_Shdr *sh)
{
	static const char *const ok[] = { ".text", "license", ".rodata", ".data", ".bss" };
	unsigned int i;

	if (!(sh->sh_flags & (SHF_ALLOC | SHF_EXECINSTR)) || !sh->sh_size)
		return true;
	if (!strncmp(name, ".rodata", 7))
		return true;
	for (i = 0; i < sizeof(ok) / sizeof(ok[0]); i++)
		if (!strcmp(name, ok[i]))
			return true;
	return false;
}

static int check_sections(Elf *elf, const char *what)
{
	Elf_Scn *scn = NULL;
	size_t strndx;
	GElf_Shdr sh;
	const char *name;

	if (elf_getshdrstrndx(elf, &strndx))
		return ox_err_r(-ENOEXEC, "policy '%s': damaged object file: %s", what,
				elf_errmsg(-1));
	while ((scn = elf_nextscn(elf, scn))) {
		name = gelf_getshdr(scn, &sh) ? elf_strptr(elf, strndx, sh.sh_name) : NULL;
		if (!name)
			return ox_err_r(-ENOEXEC, "policy '%s': damaged object file: %s", what,
					elf_errmsg(-1));
		if (!section_allowed(name, &sh))
			return ox_err_r(-ENOEXEC,
					"policy '%s': section '%s' is not a policy's to have: a policy "
					"has no programs and no maps of its own, only OOMX_POLICY()",
					what, name);
	}
	return 0;
}

/*
 * A policy ranks and does nothing else: of all calls, only those to its own functions. A function
 * of the kernel is an undefined symbol, and look_at_symbol() refuses those.
 */
static int check_code(Elf *elf, const char *what)
{
	struct bpf_insn insn;
	Elf_Scn *scn = NULL;
	Elf_Data *data;
	GElf_Shdr sh;
	size_t i;

	while ((scn = elf_nextscn(elf, scn))) {
		if (!gelf_getshdr(scn, &sh) || !(sh.sh_flags & SHF_EXECINSTR))
			continue;
		data = elf_getdata(scn, NULL);
		for (i = 0; data && data->d_buf && i < data->d_size / sizeof(insn); i++) {
			/* in a damaged file it need not be aligned */
			memcpy(&insn, (const char *)data->d_buf + i * sizeof(insn), sizeof(insn));
			if (insn.code == (BPF_JMP | BPF_CALL) && insn.src_reg != BPF_PSEUDO_CALL)
				return ox_err_r(-ENOEXEC,
						"policy '%s': calls the kernel (helper %d): a policy "
						"ranks by the facts it is given, and does nothing "
						"else", what, insn.imm);
		}
	}
	return 0;
}

/* The bytes of a symbol's object, or NULL. */
static const void *symbol_data(Elf *elf, const GElf_Sym *sym, size_t need)
{
	Elf_Scn *scn = elf_getscn(elf, sym->st_shndx);
	Elf_Data *data = scn ? elf_getdata(scn, NULL) : NULL;

	if (!data || !data->d_buf || sym->st_value > data->d_size ||
	    data->d_size - sym->st_value < need)
		return NULL;
	return (const char *)data->d_buf + sym->st_value;
}

static int look_at_symbol(Elf *elf, const char *name, const GElf_Sym *sym, const char *what,
			  struct found *f)
{
	const void *note;

	if (GELF_ST_BIND(sym->st_info) == STB_LOCAL)
		return 0;
	if (sym->st_shndx == SHN_UNDEF)
		return ox_err_r(-ENOEXEC, "policy '%s': '%s' is not defined in it: a policy calls "
					  "nothing but its own functions", what, name);
	if (!strcmp(name, "oomx_policy_rank") && GELF_ST_TYPE(sym->st_info) == STT_FUNC) {
		f->has_rank = true;
	} else if (!strcmp(name, "oomx_policy_note")) {
		note = symbol_data(elf, sym, sizeof(f->note));
		if (note) {
			memcpy(&f->note, note, sizeof(f->note));
			f->has_note = true;
		}
	} else if (!strncmp(name, "ox_", 3) || !strncmp(name, "oomx_", 5)) {
		return ox_err_r(-ENOEXEC, "policy '%s': the name '%s' is reserved for oomx", what,
				name);
	}
	return 0;
}

static int look_at_symbols(Elf *elf, const char *what, struct found *f)
{
	Elf_Scn *scn = NULL;
	Elf_Data *data;
	GElf_Shdr sh;
	GElf_Sym sym;
	const char *name;
	int i, err;

	while ((scn = elf_nextscn(elf, scn))) {
		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_SYMTAB)
			continue;
		data = elf_getdata(scn, NULL);
		for (i = 0; data && gelf_getsym(data, i, &sym); i++) {
			name = elf_strptr(elf, sh.sh_link, sym.st_name);
			err = name ? look_at_symbol(elf, name, &sym, what, f) : 0;
			if (err)
				return err;
		}
	}
	return 0;
}

static int check_note(const struct found *f, const char *what)
{
	if (!f->has_note || !f->has_rank || f->note.magic != OOMX_POLICY_MAGIC)
		return ox_err_r(-ENOEXEC,
				"policy '%s': a BPF object, but not a policy: it lacks OOMX_POLICY() "
				"of <oomx/policy.h>", what);
	if (f->note.abi != OOMX_POLICY_ABI)
		return ox_err_r(-ENOEXEC,
				"policy '%s': built for policy ABI %u, this oomx has %u: rebuild it "
				"against this oomx's <oomx/policy.h>", what, f->note.abi,
				OOMX_POLICY_ABI);
	if (f->note.facts_size > sizeof(struct oomx_facts))
		return ox_err_r(-ENOEXEC,
				"policy '%s': wants more facts (%u bytes) than this oomx has (%zu): "
				"it needs a newer oomx", what, f->note.facts_size,
				sizeof(struct oomx_facts));
	if (f->note.flags & ~(OOMX_NOTE_LEAN | OOMX_NOTE_NO_VM))
		return ox_err_r(-ENOEXEC,
				"policy '%s': has flags (%#x) that this oomx does not know: it needs a "
				"newer oomx", what, f->note.flags);
	if (!f->note.name[0] || !memchr(f->note.name, '\0', sizeof(f->note.name)))
		return ox_err_r(-ENOEXEC, "policy '%s': its name is empty or too long", what);
	return 0;
}

static int check_elf(Elf *elf, const char *what, struct found *f)
{
	GElf_Ehdr eh;
	int err;

	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &eh))
		return ox_err_r(-ENOEXEC,
				"policy '%s': not a BPF object file; build one with "
				"'clang -target bpf -O2 -g -c'", what);
	if (eh.e_machine != EM_BPF || eh.e_type != ET_REL || eh.e_ident[EI_DATA] != ELFDATA2LSB)
		return ox_err_r(-ENOEXEC,
				"policy '%s': an object file, but not for BPF; build it with "
				"'clang -target bpf -O2 -g -c'", what);
	err = check_sections(elf, what);
	if (!err)
		err = check_code(elf, what);
	if (!err)
		err = look_at_symbols(elf, what, f);
	return err ?: check_note(f, what);
}

static int check_object(const struct ox_policy *p, const char *what, struct found *f)
{
	Elf *elf;
	int err;

	(void)elf_version(EV_CURRENT); /* fails only for versions that do not exist */
	elf = elf_memory((char *)p->blob.data, p->blob.size);
	err = check_elf(elf, what, f);
	if (elf)
		(void)elf_end(elf); /* returns a count of references */
	return err;
}

/* ---- load ----------------------------------------------------------------------------------- */

static int read_file(const char *path, struct ox_policy *p)
{
	/* a FIFO must not make us wait */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *buf = NULL;
	struct stat st;
	size_t done = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return ox_err_r(-errno, "policy '%s': %m", path);
	if (!S_ISREG(st.st_mode))
		return ox_err_r(-ENOEXEC, "policy '%s': not a regular file, and a BPF object file has to "
				"be one", path);
	if (st.st_size > (off_t)POLICY_SIZE_MAX)
		return ox_err_r(-ENOEXEC, "policy '%s': not a BPF object file", path);
	buf = malloc(st.st_size + 1);
	if (!buf)
		return ox_err_r(-ENOMEM, "policy '%s': no memory", path);
	while (done < (size_t)st.st_size) {
		n = read(fd, buf + done, st.st_size - done);
		if (n < 0)
			return ox_err_r(-errno, "policy '%s': %m", path);
		if (!n)
			break;
		done += n;
	}
	p->owned = TAKE_PTR(buf);
	p->blob = (struct ox_blob){ p->owned, done };
	return 0;
}

static bool is_path(const char *what)
{
	size_t len = strlen(what);

	return strchr(what, '/') || (len > 2 && !strcmp(what + len - 2, ".o"));
}

int ox_policy_load(const char *what, struct ox_policy *ret)
{
	struct ox_policy p = {};
	struct found f = {};
	unsigned int i;
	int err;

	if (is_path(what)) {
		err = read_file(what, &p);
		if (err)
			return err;
	} else {
		for (i = 0; i < N_BUILTIN && strcmp(what, builtin[i].name); i++)
			;
		if (i == N_BUILTIN)
			return ox_err_r(-ENOENT,
					"no policy '%s': there are kernel, priority, and files by "
					"their path", what);
		p.blob = (struct ox_blob){ builtin[i].start, builtin[i].end - builtin[i].start };
	}
	err = check_object(&p, what, &f);
	if (err) {
		ox_policy_done(&p);
		return err;
	}
	memcpy(p.name, f.note.name, sizeof(p.name));
	p.hash = ox_hash(&p.blob, 1);
	*ret = p;
	return 0;
}

void ox_policy_done(struct ox_policy *p)
{
	free(p->owned);
	*p = (struct ox_policy){};
}

/* ---- link ----------------------------------------------------------------------------------- */

/* A file in memory with a path that libbpf can open. */
static int memory_file(const char *name, struct ox_blob blob, char path[32])
{
	_cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC);
	size_t done = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (done < blob.size) {
		n = write(fd, (const char *)blob.data + done, blob.size - done);
		if (n < 0)
			return -errno;
		done += n;
	}
	(void)snprintf(path, 32, "/proc/self/fd/%d", fd); /* cannot be longer */
	return TAKE_FD(fd);
}

static int link_into(const char *out, const char *hook, const char *policy)
{
	struct bpf_linker *linker = bpf_linker__new(out, NULL);
	int err;

	if (!linker)
		return -errno;
	err = bpf_linker__add_file(linker, hook, NULL);
	if (!err)
		err = bpf_linker__add_file(linker, policy, NULL);
	if (!err)
		err = bpf_linker__finalize(linker);
	bpf_linker__free(linker);
	return err;
}

static int take_file(int fd, struct ox_blob *ret)
{
	_cleanup_free_ char *buf = NULL;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	buf = malloc(st.st_size);
	if (!buf)
		return -ENOMEM;
	if (pread(fd, buf, st.st_size, 0) != st.st_size)
		return -EIO;
	*ret = (struct ox_blob){ TAKE_PTR(buf), st.st_size };
	return 0;
}

int ox_policy_link(const struct ox_policy *p, struct ox_blob hook, struct ox_blob *ret)
{
	char hook_path[32], policy_path[32], out_path[32];
	_cleanup_close_ int hook_fd = memory_file("hook", hook, hook_path);
	_cleanup_close_ int policy_fd = memory_file("policy", p->blob, policy_path);
	_cleanup_close_ int out_fd = memory_file("linked", (struct ox_blob){}, out_path);
	int err;

	if (hook_fd < 0 || policy_fd < 0 || out_fd < 0)
		return ox_err_r(-EIO, "no file in memory to link in: %m");
	ox_bpflog_clear();
	if (link_into(out_path, hook_path, policy_path)) {
		ox_err("policy '%s' does not link to the hook:", p->name);
		ox_bpflog_tell();
		return -ENOEXEC;
	}
	err = take_file(out_fd, ret);
	return err ? ox_err_r(err, "cannot read back the linked object") : 0;
}
