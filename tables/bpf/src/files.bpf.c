// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// A list of which process holds which socket: an iterator over all open
// files, which runs when its own file is read and is attached to nothing.

#include <linux/types.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id, seq_num;
};
struct inode { unsigned long i_ino; };
struct file { struct inode *f_inode; };
struct pid_namespace;
struct upid {
	int nr;
	struct pid_namespace *ns;
};
struct pid {
	unsigned int level;
	struct upid numbers[1];
};
struct signal_struct { struct pid *pids[4]; };
struct ns_common { unsigned int inum; };
struct net { struct ns_common ns; };
struct nsproxy { struct net *net_ns; };
struct task_struct {
	struct pid *thread_pid;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
};

#pragma clang attribute pop

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

enum { PIDTYPE_TGID_ = 1 };

struct rec {
	__u32 pid; // as the reader numbers it
	__s32 fd;  // -1: the process itself, before its files
	__u64 inode;
	__u32 netns;
	__u32 pad;
};

// The task before. An element that did not fit the buffer is shown again, by
// the same number. One reader at a time.
volatile __u64 last = 0, last_session = 0, last_number = 0;

static __always_inline __u32 number(struct task_struct *task)
{
	struct task_struct *me = (void *)bpf_get_current_task();
	struct pid *own = BPF_CORE_READ(me, thread_pid), *pid = task->signal->pids[PIDTYPE_TGID_];
	__u32 level = BPF_CORE_READ(own, level);
	struct pid_namespace *ns = 0, *of = 0;
	__u64 at = bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid);
	int nr = 0;

	if (!pid || pid->level < level)
		return 0;
	bpf_probe_read_kernel(&ns, sizeof(ns), (void *)own + at + bpf_core_field_offset(struct upid, ns));
	bpf_probe_read_kernel(&of, sizeof(of), (void *)pid + at + bpf_core_field_offset(struct upid, ns));
	if (of != ns)
		return 0;
	bpf_probe_read_kernel(&nr, sizeof(nr), (void *)pid + at + bpf_core_field_offset(struct upid, nr));
	return nr;
}

SEC("iter/task_file")
int files(struct bpf_iter__task_file *ctx)
{
	struct bpf_iter_meta *meta = ctx->meta;
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct rec r = {};
	__u64 me;
	bool fresh;

	if (!task || !file)
		return 0;
	me = 0;
	bpf_probe_read_kernel(&me, sizeof(me), &ctx->task);
	fresh = me != last || meta->session_id != last_session || meta->seq_num == last_number;
	if (!fresh && !bpf_sock_from_file(file))
		return 0;
	r.pid = number(task);
	if (!r.pid)
		return 0;
	if (fresh) {
		last = me;
		last_session = meta->session_id;
		last_number = meta->seq_num;
		r.fd = -1;
		r.netns = task->nsproxy->net_ns->ns.inum;
		bpf_seq_write(meta->seq, &r, sizeof(r));
		if (!bpf_sock_from_file(file))
			return 0;
	}
	r.fd = ctx->fd;
	r.inode = file->f_inode->i_ino;
	bpf_seq_write(meta->seq, &r, sizeof(r));
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
