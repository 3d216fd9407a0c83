/* SPDX-License-Identifier: MIT */
/* bpf: arrivals of requests at libfi's client call and at TCP ports, counted and reported. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "fi_events.h"
#include "kernel.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Bytes waiting in the ring from which each arrival wakes the reader. */
const volatile __u32 ring_mark = FI_RING_MARK;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, FI_RING_BYTES);
} arrivals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FI_MODELS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct fi_model);
} models SEC(".maps");

/* Present and not zero: the model is not resident, its arrivals wake the reader at once. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FI_MODELS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u32);
} cold SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FI_PORTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct fi_port_key);
	__type(value, struct fi_port);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fi_counts);
} counts SEC(".maps");

static __always_inline struct fi_counts *my_counts(void)
{
	__u32 zero = 0;
	struct fi_counts *mine = bpf_map_lookup_elem(&counts, &zero);

	if (mine) {
		mine->type = FI_COUNTS;
		mine->bytes = sizeof(*mine);
	}
	return mine;
}

static __always_inline __u32 log2_floor(__u64 v)
{
	__u32 k = 0;

	for (__u32 step = 32; step; step /= 2) {
		if (v >> step) {
			v >>= step;
			k += step;
		}
	}
	return k;
}

/*
 * Two CPUs may count the same model at once: adding and exchanging are atomic,
 * and a gap that comes out negative was none. So gaps add up to arrivals - 1.
 */
static __always_inline void count(struct fi_model *model, const struct fi_arrival *seen)
{
	__u64 last = __sync_lock_test_and_set(&model->last_ns, seen->time_ns);

	__sync_fetch_and_add(&model->arrivals[seen->source & 1], 1);
	if (last) {
		__u32 k = log2_floor(seen->time_ns > last ? seen->time_ns - last : 0);

		__sync_fetch_and_add(&model->gaps[k & (FI_GAPS - 1)], 1);
	}
}

/*
 * Waking a reader costs the one who is watched ten times what the event does.
 * So it is left to poll, unless the model has to be loaded or the ring fills.
 */
static __always_inline bool must_wake(__u64 hash)
{
	__u32 *is_cold = bpf_map_lookup_elem(&cold, &hash);

	return (is_cold && *is_cold) ||
	       bpf_ringbuf_query(&arrivals, BPF_RB_AVAIL_DATA) >= ring_mark;
}

/* A program that interrupts another on its CPU shares its counts: add atomically. */
static __always_inline void report(const struct fi_arrival *seen)
{
	struct fi_counts *mine = my_counts();
	bool wake = must_wake(seen->model);

	if (!mine)
		return;
	if (bpf_ringbuf_output(&arrivals, (void *)seen, sizeof(*seen),
			       wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP)) {
		__sync_fetch_and_add(&mine->lost, 1);
		return;
	}
	__sync_fetch_and_add(&mine->sent, 1);
	if (wake)
		__sync_fetch_and_add(&mine->woken, 1);
}

static __always_inline void arrive(struct fi_arrival *seen)
{
	struct fi_model *model = bpf_map_lookup_elem(&models, &seen->model);

	if (!model) {
		struct fi_counts *mine = my_counts();

		if (mine)
			__sync_fetch_and_add(&mine->unknown, 1);
		return;
	}
	seen->type = FI_ARRIVAL;
	seen->bytes = sizeof(*seen);
	seen->time_ns = bpf_ktime_get_ns();
	count(model, seen);
	report(seen);
}

/* USDT fusedinf:request(hash of the name). fid-probe saw that the argument is in this register. */
SEC("uprobe")
int on_call(struct pt_regs *regs)
{
	struct fi_arrival seen = {
		.model = PT_REGS_PARM1(regs),
		.source = FI_SOURCE_CALL,
		.pid = bpf_get_current_pid_tgid() >> 32,
	};

	arrive(&seen);
	return 0;
}

/* A handshake that ends well is an arrival; every network namespace passes here. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_tcp, struct sock *sk, int from, int to)
{
	struct fi_port_key key = {};
	struct fi_port *port;

	if (from != TCP_SYN_RECV || to != TCP_ESTABLISHED || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	key.netns = sk->__sk_common.skc_net.net->ns.inum;
	key.port = sk->__sk_common.skc_num;
	port = bpf_map_lookup_elem(&ports, &key);
	if (port) {
		struct fi_arrival seen = {
			.model = port->model,
			.source = FI_SOURCE_TCP,
			.netns = key.netns,
			.port = key.port,
			.family = sk->__sk_common.skc_family,
		};

		arrive(&seen);
	}
	return 0;
}
