/*
 * What the kernel alone costs: forwards datagrams between clients and peers as a TURN relay with channels would,
 * without TURN. Nothing is authenticated, checked, counted or ever given back.
 *
 * usage: floor <address> <port> <single|batch|runs>
 *
 * single: one system call for each datagram. batch: recvmmsg and sendmmsg. runs: besides, datagrams of one flow
 * that arrive together leave as one send that the kernel cuts (UDP_SEGMENT), and arrive joined (UDP_GRO).
 *
 * A client opens a flow with "OPEN" and the peer's IPv4 address and port (network order); the answer is the port
 * of its relay socket. From then on four bytes are taken from the front of what it sends, and four are put in
 * front of what the peer sends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  FLOWS_MAX = 16384,
  TABLE_SIZE = 65536,
  BATCH = 64,
  BATCHES_PER_TURN = 4,
  SLOTS = 512,
  SLOT_BYTES = 65536 + 512,
  RUN_SEGMENTS_MAX = 64,
  RUN_BYTES_MAX = 65000,
  RUNS_MAX = SLOTS * RUN_SEGMENTS_MAX,
  HEADER_BYTES = 4,
  OPEN_BYTES = 10,
  EVENTS = 256,
  BUFFER_BYTES = 4194304,
};

typedef enum { TO_PEER, TO_CLIENT } direction;

typedef struct {
  struct sockaddr_in client, peer;
  int fd;
  uint8_t header[HEADER_BYTES];
  int run[2];
} flow;

typedef struct {
  flow *flow;
  direction to;
  int vectors, segments, closed;
  uint32_t segment, bytes;
  struct iovec vector[2 * RUN_SEGMENTS_MAX];
  char control[CMSG_SPACE(sizeof(uint16_t))];
} run;

static enum { SINGLE, BATCHED, RUNS } mode;
static int listener, poller;
static flow flows[FLOWS_MAX];
static int flow_count;
static int table[TABLE_SIZE];
static int by_fd[FLOWS_MAX + 64];
static uint8_t slots[SLOTS][SLOT_BYTES];
static int slot_count;
static run *runs;
static int run_count;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int slot_of(const struct sockaddr_in *client) {
  uint32_t key = client->sin_addr.s_addr * 2654435761u ^ client->sin_port * 40503u;
  int at = (key ^ key >> 16) & (TABLE_SIZE - 1);
  while (table[at] >= 0) {
    const struct sockaddr_in *known = &flows[table[at]].client;
    if (known->sin_port == client->sin_port && known->sin_addr.s_addr == client->sin_addr.s_addr) break;
    at = (at + 1) & (TABLE_SIZE - 1);
  }
  return at;
}

static int open_socket(struct sockaddr_in *name) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), on = 1, bytes = BUFFER_BYTES;
  if (fd < 0 || bind(fd, (struct sockaddr *)name, sizeof *name) < 0) die("bind");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  if (mode == RUNS) setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
  socklen_t length = sizeof *name;
  getsockname(fd, (struct sockaddr *)name, &length);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
  return fd;
}

static void open_flow(const uint8_t *request, const struct sockaddr_in *client, struct in_addr address) {
  int slot = slot_of(client);
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = address};
  if (table[slot] < 0) {
    if (flow_count == FLOWS_MAX) return;
    flow *new = &flows[flow_count];
    new->client = *client;
    new->peer.sin_family = AF_INET;
    memcpy(&new->peer.sin_addr, request + 4, 4);
    memcpy(&new->peer.sin_port, request + 8, 2);
    new->fd = open_socket(&name);
    new->run[TO_PEER] = new->run[TO_CLIENT] = -1;
    by_fd[new->fd] = flow_count;
    table[slot] = flow_count++;
  }
  socklen_t length = sizeof name;
  getsockname(flows[table[slot]].fd, (struct sockaddr *)&name, &length);
  sendto(listener, &name.sin_port, 2, 0, (struct sockaddr *)client, sizeof *client);
}

static run *run_for(flow *of, direction to, uint32_t bytes) {
  int at = of->run[to];
  if (mode == RUNS && at >= 0) {
    run *open = &runs[at];
    if (!open->closed && bytes <= open->segment && open->segments < RUN_SEGMENTS_MAX &&
        open->bytes + bytes <= RUN_BYTES_MAX) {
      if (bytes < open->segment) open->closed = 1;
      return open;
    }
  }
  run *new = &runs[of->run[to] = run_count++];
  new->flow = of;
  new->to = to;
  new->vectors = new->segments = new->closed = 0;
  new->segment = bytes;
  new->bytes = 0;
  return new;
}

static void add(flow *of, direction to, uint8_t *payload, uint32_t length) {
  uint32_t header = to == TO_CLIENT ? HEADER_BYTES : 0;
  run *into = run_for(of, to, length + header);
  if (header) {
    of->header[0] = 0x40;
    of->header[2] = length >> 8;
    of->header[3] = length;
    into->vector[into->vectors++] = (struct iovec){of->header, HEADER_BYTES};
  }
  into->vector[into->vectors++] = (struct iovec){payload, length};
  into->segments++;
  into->bytes += length + header;
}

static void message_of(run *of, struct msghdr *message) {
  struct sockaddr_in *to = of->to == TO_PEER ? &of->flow->peer : &of->flow->client;
  *message = (struct msghdr){.msg_name = to,
                             .msg_namelen = sizeof *to,
                             .msg_iov = of->vector,
                             .msg_iovlen = of->vectors};
  if (of->segments < 2) return;
  message->msg_control = of->control;
  message->msg_controllen = sizeof of->control;
  struct cmsghdr *control = CMSG_FIRSTHDR(message);
  control->cmsg_level = SOL_UDP;
  control->cmsg_type = UDP_SEGMENT;
  control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
  memcpy(CMSG_DATA(control), &(uint16_t){of->segment}, sizeof(uint16_t));
}

static void flush(void) {
  static struct mmsghdr to_clients[RUNS_MAX];
  unsigned count = 0, sent = 0;
  for (int i = 0; i < run_count; i++) {
    run *one = &runs[i];
    one->flow->run[one->to] = -1;
    if (one->to == TO_CLIENT && mode != SINGLE) {
      message_of(one, &to_clients[count++].msg_hdr);
      continue;
    }
    struct msghdr message;
    message_of(one, &message);
    sendmsg(one->to == TO_PEER ? one->flow->fd : listener, &message, MSG_DONTWAIT);
  }
  while (sent < count) {
    int more = sendmmsg(listener, to_clients + sent, count - sent > 1024 ? 1024 : count - sent, MSG_DONTWAIT);
    sent += more > 0 ? more : 1;
  }
  run_count = slot_count = 0;
}

static void take(int fd, const struct sockaddr_in *from, uint8_t *bytes, uint32_t length, struct in_addr own) {
  if (fd != listener) {
    add(&flows[by_fd[fd]], TO_CLIENT, bytes, length);
    return;
  }
  if (length == OPEN_BYTES && memcmp(bytes, "OPEN", 4) == 0) {
    open_flow(bytes, from, own);
    return;
  }
  int known = table[slot_of(from)];
  if (known >= 0 && length > HEADER_BYTES) add(&flows[known], TO_PEER, bytes + HEADER_BYTES, length - HEADER_BYTES);
}

static uint32_t joined(struct msghdr *message) {
  for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
    if (at->cmsg_level == SOL_UDP && at->cmsg_type == UDP_GRO) {
      int bytes;
      memcpy(&bytes, CMSG_DATA(at), sizeof bytes);
      return bytes;
    }
  }
  return 0;
}

/** Says whether there may be more. */
static int receive(int fd, struct in_addr own) {
  static struct mmsghdr messages[BATCH];
  static struct iovec vectors[BATCH];
  static struct sockaddr_in names[BATCH];
  static char controls[BATCH][CMSG_SPACE(sizeof(int))];
  int most = mode == SINGLE ? 1 : BATCH;
  if (slot_count + most > SLOTS) flush();
  for (int i = 0; i < most; i++) {
    vectors[i] = (struct iovec){slots[slot_count + i], SLOT_BYTES};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &names[i],
                                          .msg_namelen = sizeof names[i],
                                          .msg_iov = &vectors[i],
                                          .msg_iovlen = 1,
                                          .msg_control = mode == RUNS ? controls[i] : 0,
                                          .msg_controllen = mode == RUNS ? sizeof controls[i] : 0};
  }
  int count;
  if (mode == SINGLE) {
    ssize_t length = recvmsg(fd, &messages[0].msg_hdr, MSG_DONTWAIT);
    messages[0].msg_len = length;
    count = length < 0 ? -1 : 1;
  } else {
    count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, 0);
  }
  for (int i = 0; i < count; i++) {
    uint32_t length = messages[i].msg_len, segment = joined(&messages[i].msg_hdr);
    if (segment == 0) segment = length;
    for (uint32_t at = 0; at < length; at += segment) {
      take(fd, &names[i], slots[slot_count + i] + at, length - at < segment ? length - at : segment, own);
    }
  }
  if (count > 0) slot_count += count;
  if (mode == SINGLE) flush();
  return count == most;
}

int main(int argc, char **argv) {
  struct sockaddr_in name = {.sin_family = AF_INET};
  if (argc != 4 || inet_pton(AF_INET, argv[1], &name.sin_addr) != 1) {
    fprintf(stderr, "usage: floor <address> <port> <single|batch|runs>\n");
    return 2;
  }
  name.sin_port = htons(atoi(argv[2]));
  mode = strcmp(argv[3], "runs") == 0 ? RUNS : strcmp(argv[3], "batch") == 0 ? BATCHED : SINGLE;
  setrlimit(RLIMIT_NOFILE, &(struct rlimit){FLOWS_MAX + 32, FLOWS_MAX + 32});
  struct in_addr own = name.sin_addr;
  memset(table, -1, sizeof table);
  runs = malloc(sizeof *runs * RUNS_MAX);
  poller = epoll_create1(0);
  listener = open_socket(&name);
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(poller, events, EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      int more = 1;
      for (int batch = 0; more && batch < BATCHES_PER_TURN; batch++) more = receive(events[i].data.fd, own);
    }
    flush();
  }
}
