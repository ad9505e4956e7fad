/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The few kernel structures that our programs read, with only the members
 * that they read. preserve_access_index makes the compiler record each access,
 * and the loader puts in the offsets of the running kernel from its BTF.
 * A name with three underscores is the same structure in another kernel
 * version: what follows the underscores is ignored when names are compared.
 */
#ifndef EDR_KERNEL_H
#define EDR_KERNEL_H

#include <linux/types.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef int pid_t;
typedef struct { unsigned int val; } kuid_t;
typedef struct { unsigned int val; } kgid_t;

struct hlist_bl_node { struct hlist_bl_node **pprev; };
struct qstr { const unsigned char *name; };
struct super_block { unsigned int s_dev; };

struct inode {
	unsigned short i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	struct super_block *i_sb;
	unsigned long i_ino;
	/* Linux 6.11 and later */
	__s64 i_atime_sec;
	__s64 i_mtime_sec;
	__s64 i_ctime_sec;
};
struct timespec64 { __s64 tv_sec; };
/* until Linux 6.5 */
struct inode___v5 {
	struct timespec64 i_atime;
	struct timespec64 i_mtime;
	struct timespec64 i_ctime;
};
/* Linux 6.6 to 6.10 */
struct inode___v66 {
	struct timespec64 __i_atime;
	struct timespec64 __i_mtime;
	struct timespec64 __i_ctime;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};
struct vfsmount { struct dentry *mnt_root; };
struct mount {
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
struct fs_struct { struct path pwd; };
struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
	struct file *exe_file;
};
struct cred {
	kuid_t uid, suid, euid, fsuid;
	kgid_t gid, sgid, egid, fsgid;
};
typedef struct { int counter; } atomic_t;
struct signal_struct {
	atomic_t live;
	int group_exit_code;
	unsigned int flags;
};
struct kernfs_node { __u64 id; };
struct cgroup { struct kernfs_node *kn; };
struct cgroup_subsys_state { struct cgroup *cgroup; };
struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};
enum cgroup_subsys_id { pids_cgrp_id = 1 };
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};
struct files_struct { struct fdtable *fdt; };
struct task_struct {
	unsigned int flags;
	pid_t pid;
	pid_t tgid;
	int exit_code;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	const struct cred *cred;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct files_struct *files;
	struct signal_struct *signal;
	struct css_set *cgroups;
	__u64 start_boottime;
	kuid_t loginuid;
	char comm[16];
};
typedef struct { __s64 counter; } atomic64_t;
struct in6_addr { __u8 bytes[16]; };
struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
};
struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
};
struct inet_sock { __be16 inet_sport; };
struct socket {
	short type;
	struct sock *sk;
};
/* The number of a system call, where each processor keeps it. */
struct pt_regs___x86 { unsigned long orig_ax; };
struct pt_regs___arm64 { int syscallno; };
struct linux_binprm { const char *filename; };

#pragma clang attribute pop

#define SIGNAL_GROUP_EXIT 0x00000004

#endif
