// Forwards application data of TURN between clients on UDP and their peers (RFC 8656 §11, §12), at the ingress
// of an Ethernet interface. What it may forward stands in maps that the relay fills; all else goes up to the
// relay untouched. docs/adr/0009 says why, layout.ts has the same structures in TypeScript, and scripts/build-bpf.ts
// the command that compiles this file.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define INLINE static __always_inline
// Keeps the compiler from working on a value that the verifier is then to see checked.
#define KEEP(value) asm volatile("" : "+r"(value))

// Newer than the headers of Debian 12.
#define ADJ_ROOM_DECAP_L3_IPV4 (1ULL << 7)
#define ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)
#define PASS_ON (-1) // TCX_NEXT
#define PACKET_HOST 0

#define COOKIE 0x2112A442
#define SEND_INDICATION 0x0016
#define DATA_INDICATION 0x0017
#define XOR_PEER_ADDRESS 0x0012
#define DATA 0x0013
#define FINGERPRINT 0x8028
#define COMPREHENSION_OPTIONAL 0x8000
#define ATTRIBUTES_MAX 4

#define SECOND_NS 1000000000ULL
#define HOP_LIMIT 64
#define MORE_FRAGMENTS_AND_OFFSET 0x3fff
#define DONT_FRAGMENT 0x4000
// Longest UDP payload that is looked at: beyond it jumbo frames begin.
#define PAYLOAD_MAX 2000
// The kernel sums so many bytes in one call.
#define SUM_BYTES_MAX 512
// Payload bytes that go with the headers when a packet has to be rid of its pending checksum.
#define EXTRA 8
// A removal of headers must leave an IPv6 header's worth of bytes.
#define REST_MIN 48
// Of a Send indication, what is read at once: all that precedes the data, as clients write it.
#define HEAD_BYTES 64
#define ECN 3
// Traffic classes from here on are those of network control.
#define NETWORK_CONTROL 0xc0

// ---- What the relay and this program share ----------------------------------------------------------------

// IPv4 as ::ffff:a.b.c.d; network byte order.
struct address {
  __be32 w[4];
};

// Where packets to one destination go next.
struct hop {
  __u32 ifindex;
  __u16 mtu;
  __u8 family; // of the next hop
  __u8 pad;
  __be32 next[4];
};

struct totals {
  __u64 packets;
  __u64 bytes;       // application data
  __u64 frame_bytes; // UDP payload on the client's side
};

struct allocation {
  struct address client;
  struct address listener;
  __be16 client_port;
  __be16 listener_port;
  __u8 family; // of the client
  __u8 dont_fragment;
  __u16 pad0;
  struct hop hop; // towards the client
  // Rates (0: none): nanoseconds that a byte costs, times 2^16, and a packet.
  __u64 byte_cost;
  __u64 packet_cost;
  // The moment at which each bucket is full again.
  __u64 bytes_full_at;
  __u64 packets_full_at;
  __u64 rate_drops;
  __u64 pad1[3];
  struct totals from_client;
  __u64 pad2[5];
  struct totals from_peer;
  __u64 pad3[5];
};

struct permission {
  __u64 until; // CLOCK_MONOTONIC, nanoseconds; 0: none
  __u32 allocation;
  __u8 family; // of the peer
  __u8 any_port; // otherwise 443 and from 1024 on
  __u16 pad2;
  struct address peer;
  struct address relay; // the address that the relay socket is bound to
  __be16 relay_port;
  __u16 pad0;
  struct hop hop; // towards the peer
  __u8 pad1[52];
};

struct channel {
  __u64 until;
  __u32 permission;
  __be16 number;
  __be16 port;
  __u64 pad[2];
};

struct client_key {
  struct address client;
  struct address listener;
  __be16 client_port;
  __be16 listener_port;
};

struct relay_key {
  struct address relay;
  __be16 port;
  __u16 pad;
};

struct peer_key {
  __u32 allocation;
  struct address peer;
};

// One lookup for a packet of a channel, either way.
struct number_key {
  struct client_key from;
  __be16 number;
  __u16 pad;
};

struct pair_key {
  struct address relay;
  struct address peer;
  __be16 relay_port;
  __be16 peer_port;
};

// The relay says that it lives: nothing is forwarded beyond this moment.
struct lease {
  __u64 until;
  __u8 without_dscp; // what is forwarded is best effort
  __u8 pad[7];
};

_Static_assert(sizeof(struct hop) == 24, "hop");
_Static_assert(sizeof(struct allocation) == 256, "allocation");
_Static_assert(sizeof(struct permission) == 128, "permission");
_Static_assert(sizeof(struct channel) == 32, "channel");
_Static_assert(sizeof(struct client_key) == 36, "client_key");
_Static_assert(sizeof(struct number_key) == 40, "number_key");
_Static_assert(sizeof(struct pair_key) == 36, "pair_key");

struct scratch {
  __u8 data[PAYLOAD_MAX + 96];
};

#define MAP(kind, name, key_type, value_type)                                                                  \
  struct {                                                                                                     \
    __uint(type, kind);                                                                                        \
    __uint(max_entries, 1);                                                                                    \
    __type(key, key_type);                                                                                     \
    __type(value, value_type);                                                                                 \
  } name SEC(".maps")

// The relay makes the maps; only the names here count.
MAP(BPF_MAP_TYPE_ARRAY, leases, __u32, struct lease);
MAP(BPF_MAP_TYPE_ARRAY, allocations, __u32, struct allocation);
MAP(BPF_MAP_TYPE_ARRAY, permissions, __u32, struct permission);
MAP(BPF_MAP_TYPE_ARRAY, channels, __u32, struct channel);
MAP(BPF_MAP_TYPE_HASH, by_client, struct client_key, __u32);
MAP(BPF_MAP_TYPE_HASH, by_relay, struct relay_key, __u32);
MAP(BPF_MAP_TYPE_HASH, by_peer, struct peer_key, __u32);
MAP(BPF_MAP_TYPE_HASH, by_number, struct number_key, __u32);
MAP(BPF_MAP_TYPE_HASH, by_pair, struct pair_key, __u32);
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, scratches, __u32, struct scratch);

// ---- What arrived -----------------------------------------------------------------------------------------

struct packet {
  struct address source;
  struct address destination;
  __be16 source_port;
  __be16 destination_port;
  __u16 udp_at; // from the start of the frame
  __u16 length; // of the UDP payload
  __be16 udp_length;
  __u16 check;
  __u8 family;
  // The sender left the checksum to its hardware, and so the kernel means to work it out when the packet leaves:
  // it names a place in the packet, and forgets it only when that place is removed.
  __u8 pending;
  __u8 traffic_class; // DSCP and ECN
  __u8 pad;
  __u16 loaded; // so many bytes of the UDP payload stand in the scratch
  __be16 first[2]; // of the UDP payload
};

INLINE __u16 fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

INLINE void set_ipv4(struct address *to, __be32 ip) {
  to->w[0] = 0;
  to->w[1] = 0;
  to->w[2] = bpf_htonl(0xffff);
  to->w[3] = ip;
}

INLINE __u64 sum_address(const struct address *a, __u8 family) {
  return family == 6 ? (__u64)a->w[0] + a->w[1] + a->w[2] + a->w[3] : a->w[3];
}

// The pseudo header of UDP (RFC 768, RFC 8200 §8.1).
INLINE __u64 pseudo_sum(const struct address *a, const struct address *b, __u8 family, __be16 udp_length) {
  return sum_address(a, family) + sum_address(b, family) + udp_length + bpf_htons(IPPROTO_UDP);
}

// Reads a whole UDP packet without IP options, extension headers or fragments; false: not one.
INLINE int read_packet(struct __sk_buff *skb, struct packet *p) {
  void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
  struct udphdr *udp;
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    struct iphdr *ip = data + ETH_HLEN;
    if ((void *)(ip + 1) + sizeof *udp > end) {
      if (bpf_skb_pull_data(skb, ETH_HLEN + sizeof *ip + sizeof *udp)) return 0;
      data = (void *)(long)skb->data, end = (void *)(long)skb->data_end;
      ip = data + ETH_HLEN;
      if ((void *)(ip + 1) + sizeof *udp > end) return 0;
    }
    if (*(__u8 *)ip != 0x45 || ip->protocol != IPPROTO_UDP) return 0;
    if (ip->frag_off & bpf_htons(MORE_FRAGMENTS_AND_OFFSET)) return 0;
    __u32 *words = (void *)ip;
    if (fold((__u64)words[0] + words[1] + words[2] + words[3] + words[4]) != 0xffff) return 0;
    set_ipv4(&p->source, ip->saddr);
    set_ipv4(&p->destination, ip->daddr);
    p->family = 4;
    p->traffic_class = ip->tos;
    p->udp_at = ETH_HLEN + sizeof *ip;
    udp = (void *)(ip + 1);
    if (bpf_ntohs(ip->tot_len) != sizeof *ip + bpf_ntohs(udp->len)) return 0;
  } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = data + ETH_HLEN;
    if ((void *)(ip + 1) + sizeof *udp > end) {
      if (bpf_skb_pull_data(skb, ETH_HLEN + sizeof *ip + sizeof *udp)) return 0;
      data = (void *)(long)skb->data, end = (void *)(long)skb->data_end;
      ip = data + ETH_HLEN;
      if ((void *)(ip + 1) + sizeof *udp > end) return 0;
    }
    if (ip->version != 6 || ip->nexthdr != IPPROTO_UDP) return 0;
    __builtin_memcpy(&p->source, &ip->saddr, sizeof p->source);
    __builtin_memcpy(&p->destination, &ip->daddr, sizeof p->destination);
    p->family = 6;
    p->traffic_class = bpf_ntohl(*(__be32 *)ip) >> 20;
    p->udp_at = ETH_HLEN + sizeof *ip;
    udp = (void *)(ip + 1);
    if (ip->payload_len != udp->len || udp->check == 0) return 0;
  } else {
    return 0;
  }
  p->source_port = udp->source;
  p->destination_port = udp->dest;
  p->udp_length = udp->len;
  p->check = udp->check;
  __u32 length = bpf_ntohs(udp->len);
  if (length < sizeof *udp + 4 || length > sizeof *udp + PAYLOAD_MAX) return 0;
  p->length = length - sizeof *udp;
  __be16 *payload = (void *)(udp + 1);
  if ((void *)(payload + 2) <= end) __builtin_memcpy(p->first, payload, sizeof p->first);
  else if (bpf_skb_load_bytes(skb, p->udp_at + sizeof *udp, p->first, sizeof p->first)) return 0;
  p->pending = p->check == fold(pseudo_sum(&p->source, &p->destination, p->family, p->udp_length));
  return p->udp_at + length <= skb->len;
}

// ---- Checksums --------------------------------------------------------------------------------------------

// Sums `length` bytes of scratch data; behind them zeros are written up to a multiple of four. Negative: an error.
INLINE __s64 sum_scratch(struct scratch *s, __u32 length) {
  KEEP(length);
  if (length > PAYLOAD_MAX) return -1;
  s->data[length] = 0;
  s->data[length + 1] = 0;
  s->data[length + 2] = 0;
  __u32 rest = (length + 3) & ~3;
  __s64 sum = 0;
#pragma unroll
  for (int i = 0; i < PAYLOAD_MAX / SUM_BYTES_MAX + 1; i++) {
    __u32 part = rest > SUM_BYTES_MAX ? SUM_BYTES_MAX : rest;
    part &= 0x3fc;
    if (part == 0) break;
    if (part > SUM_BYTES_MAX) return -1;
    sum = bpf_csum_diff(0, 0, (__be32 *)(s->data + i * SUM_BYTES_MAX), part, sum);
    if (sum < 0) return -1;
    rest -= part;
  }
  return sum;
}

INLINE int load(struct __sk_buff *skb, __u32 at, struct scratch *s, __u32 length) {
  KEEP(length);
  if (length == 0 || length > PAYLOAD_MAX) return -1;
  return bpf_skb_load_bytes(skb, at, s->data, length);
}

// ---- Limits -----------------------------------------------------------------------------------------------

// A token bucket of one second, told by when it would be full again. Both sides of the relay draw from it.
INLINE int take(__u64 *full_at, __u64 cost, __u64 now) {
  if (cost == 0) return 1;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    __u64 old = *(volatile __u64 *)full_at;
    __u64 start = old + SECOND_NS > now ? old : now - SECOND_NS;
    __u64 next = start + cost;
    if (next > now) return 0;
    if (__sync_val_compare_and_swap(full_at, old, next) == old) return 1;
  }
  return 1;
}

INLINE int within_rate(struct allocation *a, __u32 bytes, __u64 now) {
  if (take(&a->packets_full_at, a->packet_cost, now) &&
      take(&a->bytes_full_at, (a->byte_cost * bytes) >> 16, now))
    return 1;
  __sync_fetch_and_add(&a->rate_drops, 1);
  return 0;
}

INLINE void count(struct totals *t, __u32 bytes, __u32 frame_bytes) {
  __sync_fetch_and_add(&t->packets, 1);
  __sync_fetch_and_add(&t->bytes, bytes);
  __sync_fetch_and_add(&t->frame_bytes, frame_bytes);
}

// ---- What goes out ----------------------------------------------------------------------------------------

// The headers of the new packet, IPv4's at the end of the room for IPv6's, and the extra payload behind.
struct room {
  union {
    struct ipv6hdr ip6;
    struct {
      __u8 gap[20];
      struct iphdr ip4;
    };
  };
  struct udphdr udp;
  __u8 turn[48];
  __u8 extra[EXTRA];
};

// What becomes of a packet.
struct plan {
  const struct address *source;
  const struct address *destination;
  const struct hop *hop;
  struct totals *totals;
  __be16 source_port;
  __be16 destination_port;
  __u8 family;
  __u8 dont_fragment;
  __u8 traffic_class;
  __u16 payload_at; // from the start of the frame
  __u16 payload_length;
  __u16 head; // length of the TURN header
  __u16 padding;
  __be16 channel; // of that header; 0: it is a Data indication's
};

INLINE void write_ip(struct room *r, const struct plan *to, __be16 udp_length) {
  __u16 length = bpf_ntohs(udp_length);
  if (to->family == 6) {
    *(__be32 *)&r->ip6 = bpf_htonl(0x60000000 | to->traffic_class << 20);
    r->ip6.payload_len = udp_length;
    r->ip6.nexthdr = IPPROTO_UDP;
    r->ip6.hop_limit = HOP_LIMIT;
    __builtin_memcpy(&r->ip6.saddr, to->source, sizeof *to->source);
    __builtin_memcpy(&r->ip6.daddr, to->destination, sizeof *to->destination);
    return;
  }
  __u32 *words = (void *)&r->ip4;
  *(__u8 *)&r->ip4 = 0x45;
  r->ip4.tos = to->traffic_class;
  r->ip4.tot_len = bpf_htons(length + sizeof r->ip4);
  // Packets that routers may cut into fragments need an id of their own (RFC 6864 §4.3).
  r->ip4.id = to->dont_fragment ? 0 : bpf_get_prandom_u32();
  r->ip4.frag_off = to->dont_fragment ? bpf_htons(DONT_FRAGMENT) : 0;
  r->ip4.ttl = HOP_LIMIT;
  r->ip4.protocol = IPPROTO_UDP;
  r->ip4.check = 0;
  r->ip4.saddr = to->source->w[3];
  r->ip4.daddr = to->destination->w[3];
  r->ip4.check = ~fold((__u64)words[0] + words[1] + words[2] + words[3] + words[4]);
}

// Puts the TURN header and the IP and UDP headers of the plan before the payload, in place of all that precedes
// it, cuts or fills what follows it, and sends the packet on.
INLINE int send_on(struct __sk_buff *skb, const struct packet *p, const struct plan *to, struct room *r,
                   __u64 sum_of_payload) {
  __u32 payload_at = to->payload_at, payload_length = to->payload_length;
  __u32 head = to->head, padding = to->padding;
  __u32 old_ip = p->family == 6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
  __u32 new_ip = to->family == 6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
  __be16 udp_length = bpf_htons(sizeof r->udp + head + payload_length + padding);
  __u32 remove = payload_at - ETH_HLEN;
  __u32 add = new_ip + sizeof r->udp + head;
  __u32 whole = ETH_HLEN + add + payload_length + padding;
  __u32 extra = 0;

  int crosses = old_ip != new_ip;
  if (p->pending) {
    if (bpf_skb_load_bytes(skb, payload_at, r->extra, EXTRA)) return TC_ACT_SHOT;
    extra = EXTRA;
  }

  write_ip(r, to, udp_length);
  r->udp.source = to->source_port;
  r->udp.dest = to->destination_port;
  r->udp.len = udp_length;
  __u64 sum = pseudo_sum(to->source, to->destination, to->family, udp_length) + sum_of_payload;
  sum += (__u64)r->udp.source + r->udp.dest + r->udp.len;
  __u16 *words = (void *)r->turn;
  if (head >= 4) {
#pragma unroll
    for (int i = 0; i < 2; i++) sum += words[i];
  }
  if (head >= 36) {
#pragma unroll
    for (int i = 2; i < 18; i++) sum += words[i];
  }
  if (head >= 48) {
#pragma unroll
    for (int i = 18; i < 24; i++) sum += words[i];
  }
  __u16 check = ~fold(sum);
  r->udp.check = check ? check : 0xffff;
  if (extra && head < sizeof r->turn) {
    __u64 bytes = *(__u64 *)r->extra;
    if (head == 0) *(__u64 *)r->turn = bytes;
    else if (head == 4) __builtin_memcpy(r->turn + 4, &bytes, sizeof bytes);
    else if (head == 36) __builtin_memcpy(r->turn + 36, &bytes, sizeof bytes);
  }

  if (p->pending || crosses) {
    if (payload_length < REST_MIN + EXTRA && bpf_skb_change_tail(skb, skb->len + REST_MIN + EXTRA, 0))
      return TC_ACT_SHOT;
    __u64 flags = !crosses ? 0 : to->family == 6 ? ADJ_ROOM_DECAP_L3_IPV6 : ADJ_ROOM_DECAP_L3_IPV4;
    if (bpf_skb_adjust_room(skb, -(__s32)(remove + extra), BPF_ADJ_ROOM_MAC, flags)) return TC_ACT_SHOT;
    if (bpf_skb_adjust_room(skb, add + extra, BPF_ADJ_ROOM_MAC, 0)) return TC_ACT_SHOT;
  } else if (add != remove) {
    if (bpf_skb_adjust_room(skb, (__s32)add - (__s32)remove, BPF_ADJ_ROOM_MAC, 0)) return TC_ACT_SHOT;
  }
  if (skb->len != whole && bpf_skb_change_tail(skb, whole, 0)) return TC_ACT_SHOT;

  __u32 bytes = add + extra;
  __u32 gap = sizeof(struct ipv6hdr) - sizeof(struct iphdr);
  int failed;
  if (to->family == 6) {
    if (bytes > sizeof *r || bytes < 40) return TC_ACT_SHOT;
    failed = bpf_skb_store_bytes(skb, ETH_HLEN, r, bytes, 0);
  } else {
    if (bytes > sizeof *r - gap || bytes < 20) return TC_ACT_SHOT;
    failed = bpf_skb_store_bytes(skb, ETH_HLEN, (__u8 *)r + gap, bytes, 0);
  }
  if (failed) return TC_ACT_SHOT;

  struct bpf_redir_neigh next = {.nh_family = to->hop->family};
  __builtin_memcpy(next.ipv6_nh, to->hop->next, sizeof next.ipv6_nh);
  return bpf_redirect_neigh(to->hop->ifindex, &next, sizeof next, 0);
}

// The sum of the payload; negative: the packet is damaged, or cannot be read.
INLINE __s64 payload_sum(struct __sk_buff *skb, const struct packet *p, struct scratch *s, __u32 payload_at,
                         __u32 payload_length) {
  __u32 start = p->udp_at + sizeof(struct udphdr);
  __u32 head = payload_at - start;
  __u64 rest = pseudo_sum(&p->source, &p->destination, p->family, p->udp_length);
  rest += (__u64)p->source_port + p->destination_port + p->udp_length + p->check;
  int is_last = head + payload_length == p->length;
  int is_known = p->check != 0 && !p->pending;
  // The checksum that came tells the sum of all, and so that of the payload: a damaged one stays damaged.
  if (is_known && is_last && head == 0) return (__u16)~fold(rest);
  if (is_known && is_last && head == 4) return (__u16)~fold(rest + p->first[0] + p->first[1]);
  if (is_known && is_last) {
    if (head > p->loaded && load(skb, start, s, head)) return -1;
    __s64 before = sum_scratch(s, head);
    return before < 0 ? -1 : (__u16)~fold(rest + before);
  }
  if (is_known) {
    if (load(skb, start, s, p->length)) return -1;
    __s64 whole = sum_scratch(s, p->length);
    if (whole < 0 || fold(rest + whole) != 0xffff) return -1;
  }
  if (payload_length == 0) return 0;
  if (load(skb, payload_at, s, payload_length)) return -1;
  return sum_scratch(s, payload_length);
}

// The ports of a peer that may be talked to.
INLINE int admits(const struct permission *m, __be16 port) {
  __u16 number = bpf_ntohs(port);
  return number != 0 && (m->any_port || number >= 1024 || number == 443);
}

// ---- Client to peer ---------------------------------------------------------------------------------------

INLINE int to_peer(struct plan *to, struct allocation *a, struct permission *m, __be16 port, __u64 now) {
  if (m->until <= now || !admits(m, port)) return 0;
  to->source = &m->relay;
  to->destination = &m->peer;
  to->source_port = m->relay_port;
  to->destination_port = port;
  to->family = m->family;
  to->dont_fragment = a->dont_fragment;
  to->hop = &m->hop;
  to->totals = &a->from_client;
  return 1;
}

// What a live channel leads to: its permission and its allocation; 0: nothing.
INLINE struct allocation *through(const struct channel *c, struct permission **m) {
  *m = bpf_map_lookup_elem(&permissions, &c->permission);
  return *m ? bpf_map_lookup_elem(&allocations, &(*m)->allocation) : 0;
}

INLINE struct allocation *channel_data(struct plan *to, const struct packet *p, const struct client_key *from,
                                       __u64 now) {
  __u32 length = bpf_ntohs(p->first[1]);
  struct number_key key = {.from = *from, .number = p->first[0]};
  struct permission *m;
  if (length + 4 > p->length) return 0;
  __u32 *found = bpf_map_lookup_elem(&by_number, &key);
  if (!found) return 0;
  struct channel *c = bpf_map_lookup_elem(&channels, found);
  if (!c || c->until <= now) return 0;
  struct allocation *a = through(c, &m);
  if (!a) return 0;
  to->payload_at = p->udp_at + sizeof(struct udphdr) + 4;
  to->payload_length = length;
  return to_peer(to, a, m, c->port, now) ? a : 0;
}

struct attribute_header {
  __be16 type;
  __be16 length;
};

// Reads so many bytes of the UDP payload, from the scratch where it has them.
INLINE int fetch(struct __sk_buff *skb, const struct packet *p, const struct scratch *s, __u32 at, void *to,
                 __u32 size) {
  KEEP(at);
  if (at > HEAD_BYTES - size || at + size > p->loaded)
    return bpf_skb_load_bytes(skb, p->udp_at + sizeof(struct udphdr) + at, to, size);
  __builtin_memcpy(to, s->data + at, size);
  return 0;
}

// XOR-PEER-ADDRESS (RFC 8656 §18.3).
INLINE int read_peer(struct __sk_buff *skb, const struct packet *p, const struct scratch *s, __u32 at,
                     __u32 length, struct peer_key *key, __be16 *port) {
  struct {
    __u8 zero;
    __u8 family;
    __be16 port;
    __be32 ip[4];
  } v = {};
  const __be32 *id = (void *)(s->data + 8);
  if (length == 8) {
    if (fetch(skb, p, s, at, &v, 8) || v.family != 1) return 0;
    set_ipv4(&key->peer, v.ip[0] ^ bpf_htonl(COOKIE));
  } else if (length == 20) {
    if (fetch(skb, p, s, at, &v, 20) || v.family != 2) return 0;
    key->peer.w[0] = v.ip[0] ^ bpf_htonl(COOKIE);
    key->peer.w[1] = v.ip[1] ^ id[0];
    key->peer.w[2] = v.ip[2] ^ id[1];
    key->peer.w[3] = v.ip[3] ^ id[2];
  } else {
    return 0;
  }
  *port = v.port ^ bpf_htons(COOKIE >> 16);
  return 1;
}

INLINE struct allocation *send_indication(struct __sk_buff *skb, struct plan *to, struct packet *p,
                                          struct scratch *s, const struct client_key *from, __u64 now) {
  __u32 message_at = p->udp_at + sizeof(struct udphdr);
  __u32 end = p->length;
  if (end < 20 || bpf_ntohs(p->first[1]) + 20 != end || (end & 3)) return 0;
  __u32 loaded = end < HEAD_BYTES ? end : HEAD_BYTES;
  KEEP(loaded);
  if (loaded < 20 || loaded > HEAD_BYTES || bpf_skb_load_bytes(skb, message_at, s->data, loaded)) return 0;
  p->loaded = loaded;
  if (*(__be32 *)(s->data + 4) != bpf_htonl(COOKIE)) return 0;
  __u32 *index = bpf_map_lookup_elem(&by_client, from);
  if (!index) return 0;
  struct peer_key key = {.allocation = *index};
  __be16 port = 0;
  __u32 data_at = 0, data_length = 0, at = 20;
  int has_peer = 0, has_data = 0;
#pragma unroll
  for (int i = 0; i < ATTRIBUTES_MAX; i++) {
    struct attribute_header h;
    if (at + sizeof h > end) break;
    if (fetch(skb, p, s, at, &h, sizeof h)) return 0;
    __u32 type = bpf_ntohs(h.type), length = bpf_ntohs(h.length);
    __u32 next = at + sizeof h + ((length + 3) & ~3);
    if (next > end) return 0;
    if (type == XOR_PEER_ADDRESS && !has_peer) {
      has_peer = 1;
      if (!read_peer(skb, p, s, at + sizeof h, length, &key, &port)) return 0;
    } else if (type == DATA && !has_data) {
      has_data = 1;
      data_at = message_at + at + sizeof h;
      data_length = length;
    } else if (type < COMPREHENSION_OPTIONAL || type == FINGERPRINT) {
      return 0;
    }
    at = next;
  }
  if (!has_peer || !has_data || at != end) return 0;
  __u32 *found = bpf_map_lookup_elem(&by_peer, &key);
  if (!found) return 0;
  struct permission *m = bpf_map_lookup_elem(&permissions, found);
  if (!m || m->allocation != key.allocation) return 0;
  struct allocation *a = bpf_map_lookup_elem(&allocations, &key.allocation);
  if (!a) return 0;
  to->payload_at = data_at;
  to->payload_length = data_length;
  return to_peer(to, a, m, port, now) ? a : 0;
}

// ---- Peer to client ---------------------------------------------------------------------------------------

// XOR-PEER-ADDRESS and the header of DATA behind the header of a Data indication (RFC 8656 §11.3); its length.
INLINE __u32 write_indication(struct room *r, const struct packet *p, __u32 length, __u32 padding) {
  __be16 *half = (void *)r->turn;
  __be32 *word = (void *)r->turn;
  __u32 address = p->family == 6 ? 20 : 8;
  half[0] = bpf_htons(DATA_INDICATION);
  half[1] = bpf_htons(4 + address + 4 + length + padding);
  word[1] = bpf_htonl(COOKIE);
  word[2] = bpf_get_prandom_u32();
  word[3] = bpf_get_prandom_u32();
  word[4] = bpf_get_prandom_u32();
  half[10] = bpf_htons(XOR_PEER_ADDRESS);
  half[11] = bpf_htons(address);
  half[13] = p->source_port ^ bpf_htons(COOKIE >> 16);
  if (p->family == 6) {
    half[12] = bpf_htons(2);
    word[7] = p->source.w[0] ^ bpf_htonl(COOKIE);
    word[8] = p->source.w[1] ^ word[2];
    word[9] = p->source.w[2] ^ word[3];
    word[10] = p->source.w[3] ^ word[4];
    half[22] = bpf_htons(DATA);
    half[23] = bpf_htons(length);
    return 48;
  }
  half[12] = bpf_htons(1);
  word[7] = p->source.w[3] ^ bpf_htonl(COOKIE);
  half[16] = bpf_htons(DATA);
  half[17] = bpf_htons(length);
  return 36;
}

INLINE struct allocation *to_client(struct plan *to, const struct packet *p, __u64 now) {
  struct pair_key pair = {.relay = p->destination,
                          .peer = p->source,
                          .relay_port = p->destination_port,
                          .peer_port = p->source_port};
  struct allocation *a = 0;
  struct permission *m = 0;
  __u32 *found = bpf_map_lookup_elem(&by_pair, &pair);
  if (found) {
    struct channel *c = bpf_map_lookup_elem(&channels, found);
    if (c && c->until > now) {
      a = through(c, &m);
      to->channel = c->number;
    }
  }
  if (!a) {
    struct relay_key key = {.relay = p->destination, .port = p->destination_port};
    __u32 *index = bpf_map_lookup_elem(&by_relay, &key);
    if (!index) return 0;
    struct peer_key peer = {.allocation = *index, .peer = p->source};
    found = bpf_map_lookup_elem(&by_peer, &peer);
    if (!found) return 0;
    m = bpf_map_lookup_elem(&permissions, found);
    if (!m || m->allocation != peer.allocation) return 0;
    a = bpf_map_lookup_elem(&allocations, &peer.allocation);
    if (!a) return 0;
    to->channel = 0;
  }
  if (!m || m->until <= now || !admits(m, p->source_port)) return 0;
  to->padding = to->channel ? 0 : -p->length & 3;
  to->head = to->channel ? 4 : p->family == 6 ? 48 : 36;
  to->payload_at = p->udp_at + sizeof(struct udphdr);
  to->payload_length = p->length;
  to->source = &a->listener;
  to->destination = &a->client;
  to->source_port = a->listener_port;
  to->destination_port = a->client_port;
  to->family = a->family;
  to->hop = &a->hop;
  to->totals = &a->from_peer;
  return a;
}

// ---- Entry ------------------------------------------------------------------------------------------------

INLINE int forward(struct __sk_buff *skb, const struct packet *p, const struct plan *to, struct allocation *a,
                   struct scratch *s, __u64 now) {
  __u32 length = to->payload_length;
  __u32 ip = to->family == 6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
  if (ip + sizeof(struct udphdr) + to->head + length + to->padding > to->hop->mtu) return PASS_ON;
  if (p->pending && length < EXTRA) return PASS_ON;
  __s64 sum = payload_sum(skb, p, s, to->payload_at, length);
  if (sum < 0) return PASS_ON;
  if (!within_rate(a, length, now)) return TC_ACT_SHOT;
  struct room r = {};
  if (to->channel) {
    *(__be16 *)r.turn = to->channel;
    *(__be16 *)(r.turn + 2) = bpf_htons(length);
  } else if (to->head) {
    write_indication(&r, p, length, to->padding);
  }
  __u32 client_bytes = to->head ? to->head + length + to->padding : p->length;
  int verdict = send_on(skb, p, to, &r, sum);
  if (verdict == TC_ACT_REDIRECT) count(to->totals, length, client_bytes);
  return verdict;
}

SEC("tcx/ingress")
int turn(struct __sk_buff *skb) {
  struct packet p = {};
  struct plan to = {};
  struct allocation *a = 0;
  __u32 zero = 0;
  // Packets that stand for several are cut by the kernel on their way to the relay's socket.
  if (skb->gso_size) return PASS_ON;
  // What is another host's, or belongs to a VLAN's own interface, comes by here as well.
  if (skb->pkt_type != PACKET_HOST || skb->vlan_present) return PASS_ON;
  if (!read_packet(skb, &p)) return PASS_ON;
  // At most a tick behind, which the relay's ends and lease allow for.
  __u64 now = bpf_ktime_get_coarse_ns();
  struct lease *lease = bpf_map_lookup_elem(&leases, &zero);
  struct scratch *s = bpf_map_lookup_elem(&scratches, &zero);
  if (!s || !lease || lease->until <= now) return PASS_ON;
  to.traffic_class = p.traffic_class;
  // RFC 8656 §14, as traffic-class.ts.
  if (lease->without_dscp || p.traffic_class >= NETWORK_CONTROL) to.traffic_class &= ECN;

  // What begins like a client's message may be a peer's as well: the addresses decide.
  __u16 first = bpf_ntohs(p.first[0]);
  if (first == SEND_INDICATION || first >> 12 == 4) {
    struct client_key from = {.client = p.source,
                              .listener = p.destination,
                              .client_port = p.source_port,
                              .listener_port = p.destination_port};
    a = first == SEND_INDICATION ? send_indication(skb, &to, &p, s, &from, now)
                                 : channel_data(&to, &p, &from, now);
  }
  if (!a) a = to_client(&to, &p, now);
  return a ? forward(skb, &p, &to, a, s, now) : PASS_ON;
}

char _license[] SEC("license") = "Apache-2.0";
