/* SPDX-License-Identifier: MIT */
/*
 * kernel - the few fields of kernel structures that the programs read. Offsets
 * come from the running kernel's BTF at load. Declared from Linux 6.1
 * include/net/sock.h, include/net/net_namespace.h, include/linux/ns_common.h;
 * the order and the fields left out do not matter.
 */
#ifndef FI_KERNEL_BPF_H
#define FI_KERNEL_BPF_H

#include <linux/types.h>

#define FI_RELOCATED __attribute__((preserve_access_index))

enum { IPPROTO_TCP = 6 };			/* uapi/linux/in.h */
enum { TCP_ESTABLISHED = 1, TCP_SYN_RECV = 3 }; /* net/tcp_states.h */

struct ns_common {
	unsigned int inum;
} FI_RELOCATED;

struct net {
	struct ns_common ns;
} FI_RELOCATED;

/* possible_net_t: a typedef cannot carry the attribute, and a struct's name is not compared. */
struct fi_possible_net {
	struct net *net;
} FI_RELOCATED;

struct sock_common {
	__u16 skc_num; /* the own port, host order */
	__u16 skc_family;
	struct fi_possible_net skc_net;
} FI_RELOCATED;

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
} FI_RELOCATED;

#endif
