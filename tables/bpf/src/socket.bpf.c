// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Connections opened, accepted and closed, with the process that did it.
//
// A TCP socket enters SYN_SENT and LISTEN in the context of the task that asks
// for it; every later change may come from anywhere, on loopback even in the
// context of the other side. So the opener is kept by socket until the close,
// and the acceptor is taken where accept ends.

#include "identity.h"
#include "ring.h"

enum {
	REC_ATTEMPT = 16, // connect begins; the local port is often not known yet
	REC_CONNECTED,    // it succeeded
	REC_FAILED,       // it did not
	REC_ACCEPT,
	REC_CLOSE,
	REC_LISTEN,
	REC_BIND,
	REC_UDP_CONNECT,
	REC_INCOMING, // a peer connected; nobody has accepted it yet
};

enum { ESTABLISHED = 1, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING };

#define AF_INET 2
#define AF_INET6 10
#define TCP 6
#define UDP 17

struct socket_rec {
	struct header h;
	struct identity id; // zero where the opening was not seen
	__u64 cookie;
	__u64 opened; // nanoseconds since boot, 0 if not seen
	__u8 local[16], remote[16];
	__u16 local_port, remote_port; // as numbers
	__u16 family, protocol;
};

enum { CONNECTING, OPEN, INCOMING };

struct opener {
	struct identity id;
	__u64 opened;
	__u64 sk; // the key again, as a number that programs may read from
	__u32 state;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64); // address of the sock, which ends with its close
	__type(value, struct opener);
} openers SEC(".maps");

// Numbers of the system calls accept and accept4; the loader sets them.
const volatile __s64 nr_accept = -1;
const volatile __s64 nr_accept4 = -1;

// Whether accept is seen by the name of the peer that it asks for; the loader
// sets it.
const volatile __s64 accept_by_name = 0;

static __always_inline void ends(struct socket_rec *r, const struct sock *sk)
{
	r->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	r->protocol = BPF_CORE_READ(sk, sk_protocol);
	r->cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	// skc_num is already zero when the socket closes.
	r->local_port = __builtin_bswap16(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	r->remote_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (r->family == AF_INET) {
		*(__u32 *)r->local = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		*(__u32 *)r->remote = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	} else {
		bpf_core_read(r->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(r->remote, 16, &sk->__sk_common.skc_v6_daddr);
	}
}

// adopted tells of an accept by the current task of a connection that waited
// for one.
static __always_inline void adopted(struct opener *o)
{
	struct socket_rec r = {};
	struct cpu_count *c;

	ends(&r, (const struct sock *)o->sk);
	identify(&o->id, (void *)bpf_get_current_task());
	o->opened = bpf_ktime_get_boot_ns();
	o->state = OPEN;
	r.id = o->id;
	r.opened = o->opened;
	c = stamp(&r.h, REC_ACCEPT);
	if (c)
		submit(c, &r, sizeof(r));
}

SEC("tp_btf/inet_sock_set_state")
int socket_state(__u64 *ctx)
{
	const struct sock *sk = (void *)ctx[0];
	int old = ctx[1], new = ctx[2];
	struct socket_rec r = {};
	struct cpu_count *c;
	struct opener *o;
	__u64 key = (__u64)sk;
	__u16 type;

	if (BPF_CORE_READ(sk, sk_protocol) != TCP)
		return 0;
	switch (new) {
	case SYN_SENT: {
		struct opener fresh = {};

		bpf_get_socket_cookie((void *)sk); // gives it one
		identify(&fresh.id, (void *)bpf_get_current_task());
		fresh.opened = bpf_ktime_get_boot_ns();
		fresh.state = CONNECTING;
		bpf_map_update_elem(&openers, &key, &fresh, BPF_ANY);
		r.id = fresh.id;
		type = REC_ATTEMPT;
		break;
	}
	case ESTABLISHED:
		bpf_get_socket_cookie((void *)sk);
		o = bpf_map_lookup_elem(&openers, &key);
		if (!o && old == SYN_RECV && accept_by_name) {
			struct opener fresh = {};

			fresh.opened = bpf_ktime_get_boot_ns();
			fresh.sk = key;
			fresh.state = INCOMING;
			bpf_map_update_elem(&openers, &key, &fresh, BPF_ANY);
			type = REC_INCOMING;
			break;
		}
		if (!o || o->state != CONNECTING)
			return 0; // the passive side: accept tells of it
		o->state = OPEN;
		r.id = o->id;
		r.opened = o->opened;
		type = REC_CONNECTED;
		break;
	case FIN_WAIT1:
	case LAST_ACK:
		// close and shutdown come from the task that has the socket. If it
		// accepted without asking for the peer, here is where it shows.
		if (!accept_by_name || !(bpf_get_current_pid_tgid() >> 32))
			return 0;
		o = bpf_map_lookup_elem(&openers, &key);
		if (o && o->state == INCOMING)
			adopted(o);
		return 0;
	case LISTEN:
		bpf_get_socket_cookie((void *)sk);
		identify(&r.id, (void *)bpf_get_current_task());
		type = REC_LISTEN;
		break;
	case CLOSE:
		type = REC_CLOSE;
		o = bpf_map_lookup_elem(&openers, &key);
		if (o) {
			r.id = o->id;
			r.opened = o->opened;
			if (o->state == CONNECTING)
				type = REC_FAILED;
			bpf_map_delete_elem(&openers, &key);
		} else if (old == SYN_SENT || old == SYN_RECV || old == LISTEN || old == CLOSE) {
			return 0; // never was a connection
		}
		break;
	default:
		return 0;
	}
	ends(&r, sk);
	c = stamp(&r.h, type);
	if (!c)
		return 0;
	submit(c, &r, sizeof(r));
	return 0;
}

static __always_inline int accepted(const struct sock *sk)
{
	struct socket_rec r = {};
	struct cpu_count *c;

	if (!sk || BPF_CORE_READ(sk, sk_protocol) != TCP)
		return 0;
	ends(&r, sk);
	if (r.family != AF_INET && r.family != AF_INET6)
		return 0;
	identify(&r.id, (void *)bpf_get_current_task());
	c = stamp(&r.h, REC_ACCEPT);
	if (!c)
		return 0;
	r.opened = r.h.time;
	if (BPF_CORE_READ(sk, __sk_common.skc_state) != CLOSE) {
		struct opener o = {};
		__u64 key = (__u64)sk;

		o.id = r.id;
		o.opened = r.opened;
		o.state = OPEN;
		bpf_map_update_elem(&openers, &key, &o, BPF_ANY);
	}
	submit(c, &r, sizeof(r));
	return 0;
}

// accept asks the new socket for the name of its peer, unless the caller does
// not want to know: that one shows at its close at the latest. Nothing else on
// the machine is slowed down by it.
static __always_inline int named(struct bpf_sock_addr *ctx)
{
	__u64 key = (__u64)ctx->sk;
	struct opener *o = bpf_map_lookup_elem(&openers, &key);

	if (o && o->state == INCOMING)
		adopted(o);
	return 1;
}

SEC("cgroup/getpeername4")
int socket_named4(struct bpf_sock_addr *ctx) { return named(ctx); }

SEC("cgroup/getpeername6")
int socket_named6(struct bpf_sock_addr *ctx) { return named(ctx); }

// The cheap way to see every accept, where the kernel lets us: inet_accept(sock,
// newsock, …) serves both families.
SEC("fexit/inet_accept")
int socket_accept(__u64 *ctx)
{
	struct socket *newsock = (void *)ctx[1];

	return accepted(BPF_CORE_READ(newsock, sk));
}

// The way that works everywhere: the end of the system call. It costs every
// system call of the machine a little.
SEC("raw_tp/sys_exit")
int socket_accept_exit(struct bpf_raw_tracepoint_args *ctx)
{
	void *regs = (void *)ctx->args[0];
	__s64 ret = ctx->args[1], nr = -1;

	if (ret < 0)
		return 0;
	if (bpf_core_field_exists(((struct pt_regs___x86 *)0)->orig_ax))
		nr = BPF_CORE_READ((struct pt_regs___x86 *)regs, orig_ax);
	else if (bpf_core_field_exists(((struct pt_regs___arm64 *)0)->syscallno))
		nr = BPF_CORE_READ((struct pt_regs___arm64 *)regs, syscallno);
	if (nr < 0 || (nr != nr_accept && nr != nr_accept4))
		return 0;
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **fds = BPF_CORE_READ(table, fd);
	struct file *file = 0;

	if (ret >= BPF_CORE_READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), &fds[ret]);
	struct socket *sock = BPF_CORE_READ(file, private_data);
	return accepted(BPF_CORE_READ(sock, sk));
}

static __always_inline void told(struct socket_rec *r, __u16 type)
{
	struct cpu_count *c;

	identify(&r->id, (void *)bpf_get_current_task());
	c = stamp(&r->h, type);
	if (c)
		submit(c, r, sizeof(*r));
}

// The programs at the cgroup root must return 1: 0 would forbid the call.

SEC("cgroup/connect4")
int socket_connect4(struct bpf_sock_addr *ctx)
{
	struct socket_rec r = {};

	if (ctx->protocol != UDP)
		return 1;
	r.family = AF_INET;
	r.protocol = UDP;
	r.cookie = bpf_get_socket_cookie(ctx);
	*(__u32 *)r.remote = ctx->user_ip4;
	r.remote_port = __builtin_bswap16(ctx->user_port);
	told(&r, REC_UDP_CONNECT);
	return 1;
}

SEC("cgroup/connect6")
int socket_connect6(struct bpf_sock_addr *ctx)
{
	struct socket_rec r = {};

	if (ctx->protocol != UDP)
		return 1;
	r.family = AF_INET6;
	r.protocol = UDP;
	r.cookie = bpf_get_socket_cookie(ctx);
	((__u32 *)r.remote)[0] = ctx->user_ip6[0];
	((__u32 *)r.remote)[1] = ctx->user_ip6[1];
	((__u32 *)r.remote)[2] = ctx->user_ip6[2];
	((__u32 *)r.remote)[3] = ctx->user_ip6[3];
	r.remote_port = __builtin_bswap16(ctx->user_port);
	told(&r, REC_UDP_CONNECT);
	return 1;
}

SEC("cgroup/post_bind4")
int socket_bind4(struct bpf_sock *ctx)
{
	struct socket_rec r = {};

	if (ctx->protocol != TCP && ctx->protocol != UDP)
		return 1;
	r.family = AF_INET;
	r.protocol = ctx->protocol;
	r.cookie = bpf_get_socket_cookie(ctx);
	*(__u32 *)r.local = ctx->src_ip4;
	r.local_port = ctx->src_port;
	told(&r, REC_BIND);
	return 1;
}

SEC("cgroup/post_bind6")
int socket_bind6(struct bpf_sock *ctx)
{
	struct socket_rec r = {};

	if (ctx->protocol != TCP && ctx->protocol != UDP)
		return 1;
	r.family = AF_INET6;
	r.protocol = ctx->protocol;
	r.cookie = bpf_get_socket_cookie(ctx);
	((__u32 *)r.local)[0] = ctx->src_ip6[0];
	((__u32 *)r.local)[1] = ctx->src_ip6[1];
	((__u32 *)r.local)[2] = ctx->src_ip6[2];
	((__u32 *)r.local)[3] = ctx->src_ip6[3];
	r.local_port = ctx->src_port;
	told(&r, REC_BIND);
	return 1;
}
