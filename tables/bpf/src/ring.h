/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * One ring of records towards the agent. Each object has its own.
 *
 * Sequence: each record carries its CPU and the next number of that CPU,
 * taken before room in the ring is asked for. A record that finds no room
 * has used its number, so that the reader sees a gap.
 *
 * Waking the reader costs more than everything else that a program does, so
 * a record wakes it only when it is the first since the reader emptied the
 * ring (the reader then waits a while for more), and once more when the ring
 * fills beyond a level.
 */
#ifndef EDR_RING_H
#define EDR_RING_H

#include "kernel.h"

#define WAKE_NONE 0  /* nobody told the reader anything since it last drained */
#define WAKE_FIRST 1 /* it was told that there is something */
#define WAKE_LEVEL 2 /* it was told to hurry */

struct control {
	__u32 wake;  /* WAKE_*; the reader sets it to WAKE_NONE when it drains */
	__u32 level; /* bytes in the ring above which the reader is hurried */
};

struct cpu_count {
	__u64 seq;     /* numbers handed out */
	__u64 dropped; /* records that found no room */
	__u64 pad[6];  /* one cache line a CPU */
};

/* Header of every record. */
struct header {
	__u16 type;
	__u16 flags;
	__u32 cpu;
	__u64 seq;
	__u64 time; /* nanoseconds since boot, suspended time included */
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* the loader sets the number of possible CPUs */
	__type(key, __u32);
	__type(value, struct cpu_count);
} counts SEC(".maps");

static __always_inline struct cpu_count *stamp(struct header *h, __u16 type)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct cpu_count *c = bpf_map_lookup_elem(&counts, &cpu);

	if (!c)
		return 0;
	h->type = type;
	h->flags = 0;
	h->cpu = cpu;
	h->seq = __sync_fetch_and_add(&c->seq, 1);
	h->time = bpf_ktime_get_boot_ns();
	return c;
}

static __always_inline void submit(struct cpu_count *c, void *rec, __u64 size)
{
	__u32 zero = 0;
	struct control *ctl = bpf_map_lookup_elem(&control, &zero);
	__u64 wake = BPF_RB_NO_WAKEUP;

	if (!ctl)
		return;
	if (ctl->wake == WAKE_NONE) {
		ctl->wake = WAKE_FIRST;
		wake = BPF_RB_FORCE_WAKEUP;
	} else if (ctl->wake == WAKE_FIRST &&
		   bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= ctl->level) {
		ctl->wake = WAKE_LEVEL;
		wake = BPF_RB_FORCE_WAKEUP;
	}
	if (bpf_ringbuf_output(&ring, rec, size, wake)) {
		__sync_fetch_and_add(&c->dropped, 1);
		/* This record promised a wake-up and did not give it. */
		ctl->wake = WAKE_NONE;
	}
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#endif
