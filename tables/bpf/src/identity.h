/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Who a record is about.
 */
#ifndef EDR_IDENTITY_H
#define EDR_IDENTITY_H

#include "kernel.h"

struct identity {
	__u64 start, parent_start, grandparent_start;
	__u64 cgroup;        // in the hierarchy of version 2
	__u64 cgroup_legacy; // that which counts processes, perhaps of version 1
	__u32 pid, ppid, gppid, auid;
	__u32 uid, euid, suid, fsuid;
	__u32 gid, egid, sgid, fsgid;
	char comm[16];
};

static __always_inline void identify(struct identity *id, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct task_struct *parent = BPF_CORE_READ(task, real_parent, group_leader);
	struct task_struct *grand = BPF_CORE_READ(parent, real_parent, group_leader);
	const struct cred *cred = BPF_CORE_READ(task, cred);

	id->pid = BPF_CORE_READ(leader, pid);
	id->start = BPF_CORE_READ(leader, start_boottime);
	id->ppid = BPF_CORE_READ(parent, pid);
	id->parent_start = BPF_CORE_READ(parent, start_boottime);
	id->gppid = BPF_CORE_READ(grand, pid);
	id->grandparent_start = BPF_CORE_READ(grand, start_boottime);
	id->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	// Where containers are kept in version 1, version 2 shows the root only.
	id->cgroup_legacy = 0;
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id)) {
		struct css_set *set = BPF_CORE_READ(task, cgroups);
		struct cgroup_subsys_state *css = 0;

		bpf_probe_read_kernel(&css, sizeof(css), (void *)set + bpf_core_field_offset(struct css_set, subsys) +
			bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id) * sizeof(void *));
		id->cgroup_legacy = BPF_CORE_READ(css, cgroup, kn, id);
	}
	id->auid = (__u32)-1;
	if (bpf_core_field_exists(task->loginuid))
		id->auid = BPF_CORE_READ(task, loginuid.val);
	id->uid = BPF_CORE_READ(cred, uid.val);
	id->euid = BPF_CORE_READ(cred, euid.val);
	id->suid = BPF_CORE_READ(cred, suid.val);
	id->fsuid = BPF_CORE_READ(cred, fsuid.val);
	id->gid = BPF_CORE_READ(cred, gid.val);
	id->egid = BPF_CORE_READ(cred, egid.val);
	id->sgid = BPF_CORE_READ(cred, sgid.val);
	id->fsgid = BPF_CORE_READ(cred, fsgid.val);
	bpf_core_read_str(id->comm, sizeof(id->comm), &task->comm);
}

#endif
