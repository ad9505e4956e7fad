// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// A list of all tasks in one reading: an iterator, which runs when its file is
// read and is attached to nothing. It writes one record for each thread; the
// reader adds those of a process up. Memory of processes is not touched, which
// could make the reader wait for whoever serves it.

#include <linux/types.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;
struct bpf_iter_meta { struct seq_file *seq; };

typedef struct { unsigned int val; } kuid_t;
typedef struct { unsigned int val; } kgid_t;
struct cred {
	kuid_t uid, suid, euid;
	kgid_t gid, sgid, egid;
};
struct super_block { unsigned int s_dev; };
struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
};
struct hlist_bl_node { struct hlist_bl_node **pprev; };
struct qstr { __u64 hash_len; };
struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};
struct vfsmount { struct dentry *mnt_root; };
struct mount {
	int mnt_id;
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct file {
	struct path f_path;
	void *private_data;
};
struct fdtable { struct file **fd; };
struct files_struct { struct fdtable *fdt; };
struct bpf_array { void *pptrs[1]; };
struct fs_struct { struct path root, pwd; };
/* Linux 6.2 and later */
struct percpu_counter {
	__s64 count;
	__s32 *counters;
};
struct mm_struct {
	struct file *exe_file;
	unsigned long total_vm;
	unsigned long locked_vm;
	struct percpu_counter rss_stat[4];
};
/* until Linux 6.1 */
struct mm_rss_stat { long count[4]; };
struct mm_struct___old { struct mm_rss_stat rss_stat; };
struct prev_cputime { __u64 utime, stime; };
struct task_io_accounting { __u64 read_bytes, write_bytes, cancelled_write_bytes; };
struct pid_namespace;
struct upid {
	int nr;
	struct pid_namespace *ns;
};
struct pid {
	unsigned int level;
	struct upid numbers[1];
};
struct signal_struct {
	int nr_threads;
	struct pid *pids[4];
	__u64 utime, stime;
	unsigned long long sum_sched_runtime;
	struct prev_cputime prev_cputime;
	struct task_io_accounting ioac;
};
struct sched_entity { __u64 sum_exec_runtime; };
struct css_set;
struct task_struct {
	unsigned int __state;
	unsigned int flags;
	int pid, tgid;
	int exit_state;
	int static_prio;
	struct sched_entity se;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	const struct cred *real_cred; // which /proc shows
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct files_struct *files;
	struct signal_struct *signal;
	struct css_set *cgroups;
	__u64 utime, stime, start_boottime;
	struct task_io_accounting ioac;
	char comm[16];
};
struct task_struct___old { long state; }; /* until Linux 5.13 */

#pragma clang attribute pop

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

enum { PIDTYPE_TGID_ = 1, PIDTYPE_PGID_ = 2 };
enum { MM_FILE = 0, MM_ANON = 1, MM_SHMEM = 3 };

#define DEPTH 48
#define CPUS_MAX 64

// Of rec.known.
#define KNOWN_LEADER 1
#define KNOWN_MM 2
#define KNOWN_RSS 4

struct thread_rec {
	__u64 process; // the group leader's address, by which threads find their process
	__u32 known, pad;
	__u64 utime, stime, rtime; // of this thread, in nanoseconds
	__u64 io_read, io_write, io_cancelled;
};

// A leader's record.
struct rec {
	struct thread_rec t;
	__u64 start;
	__u64 dead_utime, dead_stime, dead_rtime; // of threads that have ended
	__u64 dead_read, dead_write, dead_cancelled;
	__u64 prev_utime, prev_stime; // as was told last
	__u64 cgroups;                // the same for the same place in all hierarchies
	__u64 exe, cwd, root;         // the same for the same path; 0 unknown
	__s64 rss;                    // pages
	__u64 total_vm, locked_vm;    // pages
	__u32 pid, ppid, pgrp;        // as the reader numbers them; 0 for what it does not see
	__u32 state, exit_state, flags;
	__s32 threads, nice;
	__u32 uid, euid, suid, gid, egid, sgid;
	char comm[16];
};

static __always_inline void count(struct thread_rec *t, struct task_struct *task, struct task_struct *leader)
{
	t->process = (__u64)leader;
	t->pad = 0;
	t->utime = task->utime;
	t->stime = task->stime;
	t->rtime = task->se.sum_exec_runtime;
	t->io_read = t->io_write = t->io_cancelled = 0;
	if (bpf_core_field_exists(task->ioac.read_bytes)) {
		t->io_read = task->ioac.read_bytes;
		t->io_write = task->ioac.write_bytes;
		t->io_cancelled = task->ioac.cancelled_write_bytes;
	}
}

// What the reader wants: 1 exe, 2 cwd, 4 root.
volatile __u32 want = 0;
const volatile __u32 cpus = 1;
// How far each processor's copy of a variable is from its nominal address. The
// kernel tells no program, but a map of our own lies there, too: its address
// as the kernel keeps it and those of its copies give the distance. The map is
// found by the reader's file descriptor of it, which is probe_fd.
volatile __s32 probe_fd = -1;
volatile __u64 nominal;
volatile __u64 copies[CPUS_MAX];

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} probe SEC(".maps");

static __always_inline void learn_offsets(struct task_struct *me)
{
	struct file **files = BPF_CORE_READ(me, files, fdt, fd), *file = 0;
	__u64 base = 0;
	void *map;
	__u32 zero = 0;

	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_map_lookup_percpu_elem))
		return;
	bpf_probe_read_kernel(&file, sizeof(file), files + probe_fd);
	map = BPF_CORE_READ(file, private_data);
	bpf_probe_read_kernel(&base, sizeof(base), map + bpf_core_field_offset(struct bpf_array, pptrs));
	nominal = base;
	for (__u32 i = 0; i < CPUS_MAX; i++) {
		void *copy;

		if (i >= cpus)
			break;
		copy = bpf_map_lookup_percpu_elem(&probe, &zero, i);
		if (copy)
			copies[i] = (__u64)copy;
	}
}

// number is how the reader's namespace of processes numbers one, 0 if not.
static __always_inline __u32 number(struct pid *pid, __u32 level, struct pid_namespace *ns)
{
	struct pid_namespace *of = 0;
	int nr = 0;
	void *at;

	if (!pid || pid->level < level)
		return 0;
	at = (void *)pid + bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid);
	bpf_probe_read_kernel(&of, sizeof(of), at + bpf_core_field_offset(struct upid, ns));
	if (of != ns)
		return 0;
	bpf_probe_read_kernel(&nr, sizeof(nr), at + bpf_core_field_offset(struct upid, nr));
	return nr;
}

static __always_inline __u64 mix(__u64 h, __u64 v)
{
	h ^= v;
	h *= 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 29);
}

// path_key_above goes on with the path of the place that mnt is mounted on.
static __always_inline __u64 path_key_above(__u64 h, struct mount *mnt, struct mount *above)
{
	struct dentry *dentry = BPF_CORE_READ(mnt, mnt_mountpoint);

	mnt = above;
	for (int i = 0; i < DEPTH; i++) {
		struct dentry *up = BPF_CORE_READ(dentry, d_parent);

		if (dentry == BPF_CORE_READ(mnt, mnt.mnt_root)) {
			above = BPF_CORE_READ(mnt, mnt_parent);
			h = mix(h, (__u64)mnt);
			if (above == mnt)
				return h | 1;
			dentry = BPF_CORE_READ(mnt, mnt_mountpoint);
			mnt = above;
			continue;
		}
		h = mix(mix(h, (__u64)dentry), BPF_CORE_READ(dentry, d_name.hash_len));
		if (dentry == up)
			return h | 1;
		dentry = up;
	}
	return 0;
}

// path_key is a number that is the same for the same path of the same file,
// and another one once any name in it has changed. 0: too deep to tell.
static __always_inline __u64 path_key(struct vfsmount *vfs, struct dentry *dentry)
{
	struct mount *mnt = 0;
	struct dentry *root = vfs->mnt_root;
	struct inode *inode = dentry->d_inode;
	__u64 h = 0;

	// A deleted file is not to be found by its name.
	if (inode)
		h = mix(inode->i_ino, inode->i_sb->s_dev);
	h = mix(h, dentry->d_hash.pprev == 0);
	for (int i = 0; i < DEPTH; i++) {
		struct dentry *up = dentry->d_parent;

		if (dentry == root) {
			struct mount *above;

			if (!mnt)
				mnt = (void *)vfs - bpf_core_field_offset(struct mount, mnt);
			above = BPF_CORE_READ(mnt, mnt_parent);
			h = mix(h, BPF_CORE_READ(mnt, mnt_id));
			if (above == mnt)
				return h | 1;
			return path_key_above(h, mnt, above);
		}
		// The hash of a name is salted with the folder that it is in.
		h = mix(h, dentry->d_name.hash_len);
		if (dentry == up) // detached
			return h | 1;
		dentry = up;
	}
	return 0;
}

static __always_inline __s64 rss_of(struct mm_struct *mm, int kind)
{
	struct percpu_counter *c;
	__s64 sum;
	__s32 *part;

	if (bpf_core_type_exists(struct mm_rss_stat)) {
		struct mm_struct___old *old = (void *)mm;

		sum = 0;
		bpf_probe_read_kernel(&sum, sizeof(sum), (void *)old + bpf_core_field_offset(struct mm_struct___old, rss_stat) + kind * sizeof(sum));
		return sum > 0 ? sum : 0;
	}
	c = (void *)mm + bpf_core_field_offset(struct mm_struct, rss_stat) + kind * bpf_core_type_size(struct percpu_counter);
	sum = BPF_CORE_READ(c, count);
	part = BPF_CORE_READ(c, counters);
	if (part && nominal && cpus <= CPUS_MAX) {
		for (__u32 i = 0; i < CPUS_MAX; i++) {
			__s32 n = 0;

			if (i >= cpus)
				break;
			bpf_probe_read_kernel(&n, sizeof(n), (void *)part + (copies[i] - nominal));
			sum += n;
		}
	}
	return sum > 0 ? sum : 0;
}

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	struct bpf_iter_meta *meta = ctx->meta;
	struct task_struct *task = ctx->task, *leader, *me;
	struct signal_struct *signal;
	struct pid_namespace *ns = 0;
	struct mm_struct *mm;
	const struct cred *cred;
	struct pid *own;
	struct rec r = {};
	__u32 level;

	if (!task)
		return 0;
	me = (void *)bpf_get_current_task();
	if (probe_fd >= 0) { // asked for once, before all else
		learn_offsets(me);
		return 0;
	}
	leader = task->group_leader;
	signal = task->signal;
	if (leader != task) {
		struct thread_rec t;

		t.known = 0;
		count(&t, task, leader);
		bpf_seq_write(meta->seq, &t, sizeof(t));
		return 0;
	}

	count(&r.t, task, leader);
	r.t.known = KNOWN_LEADER;
	// The reader's own innermost namespace is the one whose numbers count.
	own = BPF_CORE_READ(me, thread_pid);
	level = BPF_CORE_READ(own, level);
	bpf_probe_read_kernel(&ns, sizeof(ns), (void *)own + bpf_core_field_offset(struct pid, numbers) +
		level * bpf_core_type_size(struct upid) + bpf_core_field_offset(struct upid, ns));
	r.pid = number(signal->pids[PIDTYPE_TGID_], level, ns);
	r.pgrp = number(signal->pids[PIDTYPE_PGID_], level, ns);
	r.ppid = number(task->real_parent->signal->pids[PIDTYPE_TGID_], level, ns);
	r.start = task->start_boottime;
	r.flags = task->flags;
	if (bpf_core_field_exists(task->__state))
		r.state = task->__state;
	else
		r.state = BPF_CORE_READ((struct task_struct___old *)task, state);
	r.exit_state = task->exit_state;
	r.nice = task->static_prio - 120;
	r.threads = signal->nr_threads;
	r.dead_utime = signal->utime;
	r.dead_stime = signal->stime;
	r.dead_rtime = signal->sum_sched_runtime;
	r.prev_utime = signal->prev_cputime.utime;
	r.prev_stime = signal->prev_cputime.stime;
	if (bpf_core_field_exists(signal->ioac.read_bytes)) {
		r.dead_read = signal->ioac.read_bytes;
		r.dead_write = signal->ioac.write_bytes;
		r.dead_cancelled = signal->ioac.cancelled_write_bytes;
	}
	r.cgroups = (__u64)task->cgroups;
	cred = task->real_cred;
	bpf_core_read_str(r.comm, sizeof(r.comm), &task->comm);
	mm = task->mm;
	if (mm) {
		struct file *exe = mm->exe_file;

		r.t.known |= KNOWN_MM;
		r.total_vm = mm->total_vm;
		r.locked_vm = mm->locked_vm;
		r.rss = rss_of(mm, MM_FILE) + rss_of(mm, MM_ANON) + rss_of(mm, MM_SHMEM);
		if ((nominal && copies[0] && cpus <= CPUS_MAX) || bpf_core_type_exists(struct mm_rss_stat))
			r.t.known |= KNOWN_RSS;
		if (exe && (want & 1))
			r.exe = path_key(exe->f_path.mnt, exe->f_path.dentry);
		if (want & 6) {
			struct fs_struct *fs = task->fs;

			if (fs && (want & 2))
				r.cwd = path_key(fs->pwd.mnt, fs->pwd.dentry);
			if (fs && (want & 4))
				r.root = path_key(fs->root.mnt, fs->root.dentry);
		}
	}
	r.uid = cred->uid.val;
	r.euid = cred->euid.val;
	r.suid = cred->suid.val;
	r.gid = cred->gid.val;
	r.egid = cred->egid.val;
	r.sgid = cred->sgid.val;
	bpf_seq_write(meta->seq, &r, sizeof(r));
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
