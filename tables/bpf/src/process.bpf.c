// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Birth, execution and death of processes, at raw tracepoints, which need
// neither tracefs nor kprobes.

#include "identity.h"
#include "ring.h"

enum { REC_EXEC = 1, REC_EXIT = 2, REC_FORK = 3 };

// Flags of an execution's header.
#define EXEC_ARGV_CUT 1    // more arguments than ARGV_MAX
#define EXEC_ARGV_UNREAD 2 // the arguments could not be read
#define EXEC_EXE_CUT 4     // path of the executed file is not whole
#define EXEC_CWD_CUT 8     // path of the working directory is not whole
#define EXEC_DELETED 16    // the executed file has no name any more

#define ARGV_MAX 8192
#define NAME_MAX_ 256
#define FILENAME_MAX_ 1024
#define PATH_DEPTH 40
#define PATHS_MAX 2048 // bytes of both walked paths together, about

struct fork_rec {
	struct header h;
	struct identity id;
};

struct exit_rec {
	struct header h;
	struct identity id;
	__u32 code; // as wait(2) gives it
	__u32 pad;
};

struct exec_rec {
	struct header h;
	struct identity id;
	__u64 inode;
	__s64 atime, mtime, ctime;
	__u64 argv_size; // true size, also of what was cut off
	__u32 dev, mode, owner_uid, owner_gid;
	// Bytes of each part of data, in this order. The paths are names from
	// the innermost outwards, each ended by a zero.
	__u16 argv_len, filename_len, exe_len, cwd_len;
	char data[ARGV_MAX + FILENAME_MAX_ + PATHS_MAX + 2 * NAME_MAX_];
};
#define DATA_MAX (ARGV_MAX + FILENAME_MAX_ + PATHS_MAX)
#define EXEC_FIXED __builtin_offsetof(struct exec_rec, data)

struct exec_work {
	// Where the next part goes. It stands in memory so that the verifier
	// forgets what it could be, and need not follow each path apart.
	volatile __u32 off;
	__u32 pad;
	struct exec_rec rec;
};

// Each program has a scratch of its own: the kernel never runs one program
// twice at a time on a CPU, but another may come in between.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exec_work);
} scratch SEC(".maps");

// Thread groups whose end was told, where the tracepoint does not say which
// thread is the last.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64); // start of the group leader
	__type(value, __u8);
} ended SEC(".maps");

// Whether sched_process_exit has the argument group_dead; the loader asks BTF.
const volatile bool exit_tells_group_dead = false;

// walk writes the names of path from the innermost outwards behind what the
// record holds. It crosses mounts up to the root of the mount namespace, as the
// kernel's d_path does, and says whether it got there.
static __always_inline bool walk(struct exec_work *w, struct path *path)
{
	struct dentry *dentry = BPF_CORE_READ(path, dentry);
	struct vfsmount *vfs = BPF_CORE_READ(path, mnt);

	for (int i = 0; i < PATH_DEPTH; i++) {
		struct dentry *root = BPF_CORE_READ(vfs, mnt_root);
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);

		if (dentry == root) {
			struct mount *m = (void *)vfs - bpf_core_field_offset(struct mount, mnt);
			struct mount *up = BPF_CORE_READ(m, mnt_parent);

			if (up == m || !up)
				return true;
			dentry = BPF_CORE_READ(m, mnt_mountpoint);
			vfs = (void *)up + bpf_core_field_offset(struct mount, mnt);
			continue;
		}
		__u32 off = w->off;
		if (off >= DATA_MAX)
			return false;
		long n = bpf_probe_read_kernel_str(w->rec.data + off, NAME_MAX_, BPF_CORE_READ(dentry, d_name.name));
		if (n <= 0)
			return false;
		w->off = off + n;
		if (dentry == parent)
			return true; // a file without a tree, such as a memfd
		dentry = parent;
	}
	return false;
}

static __always_inline void executable(struct exec_rec *r, struct file *exe)
{
	struct dentry *dentry = BPF_CORE_READ(exe, f_path.dentry);
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);

	if (!BPF_CORE_READ(dentry, d_hash.pprev))
		r->h.flags |= EXEC_DELETED;
	r->inode = BPF_CORE_READ(inode, i_ino);
	r->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	r->mode = BPF_CORE_READ(inode, i_mode);
	r->owner_uid = BPF_CORE_READ(inode, i_uid.val);
	r->owner_gid = BPF_CORE_READ(inode, i_gid.val);
	struct inode___v66 *i66 = (void *)inode;
	struct inode___v5 *i5 = (void *)inode;
	if (bpf_core_field_exists(inode->i_mtime_sec)) {
		r->atime = BPF_CORE_READ(inode, i_atime_sec);
		r->mtime = BPF_CORE_READ(inode, i_mtime_sec);
		r->ctime = BPF_CORE_READ(inode, i_ctime_sec);
	} else {
		if (bpf_core_field_exists(i66->__i_atime))
			r->atime = BPF_CORE_READ(i66, __i_atime.tv_sec);
		else if (bpf_core_field_exists(i5->i_atime))
			r->atime = BPF_CORE_READ(i5, i_atime.tv_sec);
		if (bpf_core_field_exists(i66->__i_mtime))
			r->mtime = BPF_CORE_READ(i66, __i_mtime.tv_sec);
		else if (bpf_core_field_exists(i5->i_mtime))
			r->mtime = BPF_CORE_READ(i5, i_mtime.tv_sec);
		if (bpf_core_field_exists(i66->__i_ctime))
			r->ctime = BPF_CORE_READ(i66, __i_ctime.tv_sec);
		else if (bpf_core_field_exists(i5->i_ctime))
			r->ctime = BPF_CORE_READ(i5, i_ctime.tv_sec);
	}
}

SEC("raw_tp/sched_process_exec")
int process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	struct linux_binprm *bprm = (void *)ctx->args[2];
	__u32 zero = 0;
	struct exec_work *w = bpf_map_lookup_elem(&scratch, &zero);
	struct cpu_count *c;

	if (!w)
		return 0;
	struct exec_rec *r = &w->rec;
	c = stamp(&r->h, REC_EXEC);
	if (!c)
		return 0;
	identify(&r->id, task);

	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	__u64 from = BPF_CORE_READ(mm, arg_start);
	__u64 size = BPF_CORE_READ(mm, arg_end) - from;
	__u64 len = size;

	r->argv_size = size;
	if (len > ARGV_MAX) {
		len = ARGV_MAX;
		r->h.flags |= EXEC_ARGV_CUT;
	}
	if (bpf_probe_read_user(r->data, len, (void *)from)) {
		r->h.flags |= EXEC_ARGV_UNREAD;
		len = 0;
	}
	r->argv_len = len;
	w->off = len;

	__u32 off = w->off;
	if (off > ARGV_MAX)
		return 0; // cannot be, but the verifier wants to see it
	long n = bpf_probe_read_kernel_str(r->data + off, FILENAME_MAX_, BPF_CORE_READ(bprm, filename));
	if (n < 0)
		n = 0;
	r->filename_len = n;
	w->off = off + n;

	struct file *exe = BPF_CORE_READ(mm, exe_file);
	executable(r, exe);
	off = w->off;
	if (!walk(w, &exe->f_path))
		r->h.flags |= EXEC_EXE_CUT;
	r->exe_len = w->off - off;

	off = w->off;
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	if (!walk(w, &fs->pwd))
		r->h.flags |= EXEC_CWD_CUT;
	r->cwd_len = w->off - off;

	__u64 total = EXEC_FIXED + w->off;
	if (total > sizeof(*r))
		total = sizeof(*r);
	submit(c, r, total);
	return 0;
}

SEC("raw_tp/sched_process_exit")
int process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	struct exit_rec r = {};
	struct cpu_count *c;

	if (exit_tells_group_dead) {
		if (!(ctx->args[1] & 1))
			return 0;
	} else if (BPF_CORE_READ(task, signal, live.counter) != 0) {
		return 0;
	}
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	if (!exit_tells_group_dead) {
		// The last two threads can both see that none is left.
		__u64 start = BPF_CORE_READ(leader, start_boottime);
		__u8 yes = 1;
		if (bpf_map_update_elem(&ended, &start, &yes, BPF_NOEXIST))
			return 0;
	}
	c = stamp(&r.h, REC_EXIT);
	if (!c)
		return 0;
	identify(&r.id, task);
	// As wait(2) sees it: the group's code, or else the leader's.
	if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		r.code = BPF_CORE_READ(task, signal, group_exit_code);
	else
		r.code = BPF_CORE_READ(leader, exit_code);
	bpf_core_read_str(r.id.comm, sizeof(r.id.comm), &leader->comm);
	submit(c, &r, sizeof(r));
	return 0;
}

SEC("raw_tp/sched_process_fork")
int process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *child = (void *)ctx->args[1];
	struct fork_rec r = {};
	struct cpu_count *c;

	if (BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid))
		return 0; // a thread
	c = stamp(&r.h, REC_FORK);
	if (!c)
		return 0;
	identify(&r.id, child);
	submit(c, &r, sizeof(r));
	return 0;
}
